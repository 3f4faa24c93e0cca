"""Parse the address fields of a mail, as real mailers write them (RFC 5322 section 3.4), without recursion."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from poller.escaping import one_line
from poller.mime import charsets
from poller.mime.headers import decode
from poller.model import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.mime.headers import Header

_FIELD_BYTES: Final = 4096  # a name in encoded words takes over 1 KB before its address
_ADDR_SPEC_CHARS: Final = 1024
_NAME_CHARS: Final = 200
_DOMAIN_CHARS: Final = 253  # RFC 1035 section 2.3.4; no longer domain exists
_NOBODY: Final = Address("", "")
_VIA: Final = re.compile(r"\S via \S")  # « 'Jean Petit' via Support », as Google Groups and Mailman write it
# An address whose mail is not read, alone or as part of a longer local part: "no-reply+1", "accounts-noreply".
_UNREAD: Final = re.compile(
    r"(?:^|[^a-z])(?:(?:no|do[._-]?not|dont)[._-]?reply|ne[._-]?pas[._-]?r[ée]pondre|mailer[._-]?daemon|postmaster)"
    r"(?:[^a-z]|$)",
    re.IGNORECASE,
)
_ORIGINALS: Final = (b"x-original-from", b"author", b"x-original-sender")

_LEXEME: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|<[^<>]*+>?|[(),;>]|[^"(),;<>]++', re.DOTALL)
_ADDR_SPEC: Final = re.compile(
    r"""(?:"[^"@<>]{1,64}"|(?<![^\s<>()\[\],;:"'@\\])[^\s<>()\[\],;:"'@\\][^\s<>()\[\],;:"@\\]{0,255})"""
    r"""@(?:[^\s<>()\[\],;:"'@\\]+|\[[\w:.]{1,64}\])"""
)
# Its name, perhaps in encoded words, before the first mailbox's (RFC 5322 section 3.4).
_GROUP: Final = re.compile(r'(?:[^:"=@]|=\?[^?\s]{1,40}\?[bq]\?[^?\s]{0,200}\?=)+:(?=\s*[^\s/])', re.IGNORECASE)
_COMMENT: Final = re.compile(r"\([^()]*\)")


def author_and_sender(header: Header) -> tuple[Address, Address]:
    """Return the author of the mail, and the address to answer (RFC 5322 section 3.6.2).

    The answer goes to Reply-To when it names one mailbox other than the author's. Where a mailing list has put its own
    address into From, the answer goes to the address that the list replaced. A delegate in Sender ("sent on behalf of")
    wrote for From, and is not answered. Where From holds no address, the other fields are tried for the answer. The
    author stays what From says. A Reply-To whose mail is not read ("noreply") is used only where there is no other
    address.
    """
    from_field = header.first(b"from")
    author = next(iter(addresses(from_field)), Address(decode(from_field[:_NAME_CHARS]), ""))
    asked = addresses(header.first(b"reply-to"))
    reply_to = tuple(each for each in asked if not takes_no_answer(each))
    others = [each for each in reply_to if each.addr_spec != author.addr_spec]
    rewritten = _VIA.search(author.display_name) or header.first(b"x-original-from")
    if len(others) == 1 and (rewritten or len(reply_to) == 1):  # a list may name itself as well as the person
        return author, others[0]
    if rewritten and (originals := before_the_list(header.first)):
        return author, originals[0]
    if author.addr_spec:
        return author, author
    fields = (reply_to, *(addresses(header.first(name)) for name in (b"sender", b"return-path")), asked)
    return author, next((found[0] for found in fields if found), _NOBODY)


def takes_no_answer(address: Address) -> bool:
    """Return whether an address says that mail to it is not read ("noreply", "ne-pas-repondre")."""
    return _UNREAD.search(address.addr_spec.rpartition("@")[0]) is not None


def before_the_list(first: Callable[[bytes], bytes]) -> list[Address]:
    """Return the addresses that From held before a list replaced it for DMARC, the surest first.

    [] when no field names one. `first` returns a field by its name. X-Original-From and X-Original-Sender are written
    by Google Groups and Sympa. Author is RFC 9057's.
    """
    return [found for name in _ORIGINALS for found in addresses(first(name))[:1]]


def aligned(domain: str, other: str) -> bool:
    """Return whether two domains are equal, or one is a subdomain of the other (RFC 7489 section 3.1.1, relaxed).

    Without a list of public suffixes, two subdomains of one domain are not known to belong to one organisation. Neither
    domain may be a top-level domain. Each may be written in Unicode or in the ASCII form that servers write (RFC 5890).
    """
    domain, other = _ascii(domain), _ascii(other)
    shorter, longer = sorted((domain, other), key=len)
    return "." in shorter.strip(".") and (shorter == longer or longer.endswith("." + shorter))


def _ascii(domain: str) -> str:
    """Return a domain in lower case, with A-labels for its non-ASCII labels (RFC 5890 section 2.3.2.1)."""
    if domain.isascii() or len(domain) > _DOMAIN_CHARS:
        return domain.lower()
    labels = unicodedata.normalize("NFC", domain.lower()).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)


def addresses(field: bytes) -> tuple[Address, ...]:
    """Return the mailboxes of an address field that have an addr-spec, in order.

    The first 4 KB of the field are read. If no mailbox is found, the field is decoded and read again: some mailers
    encode it from end to end, the address too, although RFC 2047 section 5 forbids it.
    """
    field = field[:_FIELD_BYTES]
    return _mailboxes(charsets.decode_field(field)) or _mailboxes(decode(field))


def _mailboxes(text: str) -> tuple[Address, ...]:
    found: list[Address] = []
    words: list[str] = []
    comments: list[str] = []
    angle, depth, since_comma = "", 0, 0
    for lexeme in [*_LEXEME.findall(text), ","]:
        if lexeme in {"(", ")"}:
            depth = max(0, depth + (1 if lexeme == "(" else -1))
        elif depth and lexeme != ",":
            comments.append(lexeme)
        elif lexeme.startswith("<") and "@" not in angle:
            angle = lexeme
        elif lexeme not in {",", ";"}:
            words += [] if angle else [lexeme]
        elif mailbox := _mailbox(words, since_comma, comments, angle):
            found.append(mailbox)
            words, comments, angle, depth, since_comma = [], [], "", 0, 0
        else:
            words.append(lexeme)  # an unquoted comma in a name: Dupont, Jean <jean@example.com>
            angle, since_comma = "", len(words)
    return tuple(found)


def _mailbox(words: list[str], since_comma: int, comments: list[str], angle: str) -> Address | None:
    """Build the mailbox from the words of its name and its angle brackets, None when there is no address.

    Outside angle brackets, the address is searched only behind the last comma.
    """
    angle = "@".join(part.strip() for part in _COMMENT.sub("", angle).split("@"))
    in_angle = _ADDR_SPEC.search(angle)
    match = in_angle or _ADDR_SPEC.search("".join(words[since_comma:]))
    if match is None:
        return None
    if in_angle:
        if words and (group := _GROUP.match(words[0])):
            words = [words[0][group.end() :], *words[1:]]
        name = "".join(_unquote(word) for word in words)
    else:  # a comment names the person, or what stands around the address
        around = "".join(_unquote(word) for word in words).replace(f"[mailto:{match[0]}]", "").replace(match[0], "")
        name = "".join(comments) or around.rpartition(":")[2]
    local, _, domain = match[0].rpartition("@")
    display_name = decode(name.strip(" \t'").encode("utf-8", "surrogatepass"))
    return Address(
        one_line(display_name, _NAME_CHARS), one_line(f"{local}@{domain.strip('.').lower()}", _ADDR_SPEC_CHARS)
    )


def _unquote(word: str) -> str:
    if word.startswith('"'):
        return re.sub(r"\\(.)", r"\1", word[1:].removesuffix('"'))
    return word.removesuffix("\\")  # before a comma, as in Jean\, Petit
