"""The people of a mail: address fields as real mailers write them (RFC 5322 section 3.4), read without recursion."""

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
_DOMAIN_CHARS: Final = 253  # RFC 1035 section 2.3.4; a longer one is nobody's
_NOBODY: Final = Address("", "")
_VIA: Final = re.compile(r"\S via \S")  # « 'Jean Petit' via Support », as Google Groups and Mailman write it
# An address that nobody reads, as it stands alone or within another one: "no-reply+1", "accounts-noreply".
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
_GROUP: Final = re.compile(r'[^:"=@]+:(?=\s*[^\s/])')  # its name, before the first mailbox's (RFC 5322 section 3.4)
_COMMENT: Final = re.compile(r"\([^()]*\)")


def author_and_sender(header: Header) -> tuple[Address, Address]:
    """Who wrote the mail, and who is to be answered: Reply-To when it names one other mailbox (RFC 5322 section 3.6.2).

    Behind a From that a mailing list has put its own address into, the answer goes to whom the list took it from. A
    delegate in Sender ("sent on behalf of") wrote for From, and is not answered. Where From holds no address, the
    others are tried for the answer; the author stays what From says. A Reply-To that nobody reads ("noreply") is used
    only where there is no other.
    """
    from_field = header.first(b"from")
    author = next(iter(addresses(from_field)), Address(decode(from_field[:_NAME_CHARS]), ""))
    asked = addresses(header.first(b"reply-to"))
    reply_to = tuple(each for each in asked if not takes_no_answer(each))
    others = [each for each in reply_to if each.addr_spec != author.addr_spec]
    rewritten = _VIA.search(author.display_name) or header.first(b"x-original-from")
    if len(others) == 1 and (rewritten or len(reply_to) == 1):  # a list may name itself beside the person
        return author, others[0]
    if rewritten and (originals := before_the_list(header.first)):
        return author, originals[0]
    if author.addr_spec:
        return author, author
    fields = (reply_to, *(addresses(header.first(name)) for name in (b"sender", b"return-path")), asked)
    return author, next((found[0] for found in fields if found), _NOBODY)


def takes_no_answer(address: Address) -> bool:
    """Whether an address says of itself that nobody reads what is sent to it ("noreply", "ne-pas-repondre")."""
    return _UNREAD.search(address.addr_spec.rpartition("@")[0]) is not None


def before_the_list(first: Callable[[bytes], bytes]) -> list[Address]:
    """Who stood in From before a list put its own address there, for DMARC's sake; the surest first, [] when none says.

    `first` gives a field by its name. X-Original-From and X-Original-Sender are Google Groups' and Sympa's, Author is
    RFC 9057's.
    """
    return [found for name in _ORIGINALS for found in addresses(first(name))[:1]]


def aligned(domain: str, other: str) -> bool:
    """Whether two domains are one's own and its subdomain, or the same (RFC 7489 section 3.1.1, relaxed).

    Without a list of public suffixes two subdomains of one domain are not known to be one organisation's; neither
    domain may be a top-level one. One is as good in letters as in the ASCII form that servers write (RFC 5890).
    """
    domain, other = _ascii(domain), _ascii(other)
    shorter, longer = sorted((domain, other), key=len)
    return "." in shorter.strip(".") and (shorter == longer or longer.endswith("." + shorter))


def _ascii(domain: str) -> str:
    """A domain in lower case with each label in ASCII, as an A-label where it needs one (RFC 5890 section 2.3.2.1)."""
    if domain.isascii() or len(domain) > _DOMAIN_CHARS:
        return domain.lower()
    labels = unicodedata.normalize("NFC", domain.lower()).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)


def addresses(field: bytes) -> tuple[Address, ...]:
    """The mailboxes of an address field that have an addr-spec, in order; 4 KB of it is read.

    A field that is encoded from end to end, the address too, is read decoded (RFC 2047 section 5 forbids it).
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
    """The mailbox of the words of its name; an address among them is looked for only behind the last comma."""
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
