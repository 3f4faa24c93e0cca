"""The people of a mail: address fields as real mailers write them (RFC 5322 section 3.4), read without recursion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from poller import charsets
from poller.escaping import one_line
from poller.headers import decode
from poller.request import Address

if TYPE_CHECKING:
    from poller.headers import Header

_FIELD_BYTES: Final = 1024
_NAME_CHARS: Final = 200
_NOBODY: Final = Address("", "")

_LEXEME: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|<[^<>]*+>?|[(),;>]|[^"(),;<>]++', re.DOTALL)
_ADDR_SPEC: Final = re.compile(
    r"""(?:"[^"@<>]{1,64}"|[^\s<>()\[\],;:"'@\\][^\s<>()\[\],;:"@\\]*)@[^\s<>()\[\],;:"'@\\]+"""
)
_COMMENT: Final = re.compile(r"\([^()]*\)")


def author_and_sender(header: Header) -> tuple[Address, Address]:
    """Who wrote the mail, and who is to be answered: Reply-To when it names one other mailbox (RFC 5322 section 3.6.2).

    Where From holds no address, the others are tried for the answer; the author stays what From says.
    """
    from_field = header.first(b"from")
    author = next(iter(addresses(from_field)), Address(decode(from_field[:_NAME_CHARS]), ""))
    answer = addresses(header.first(b"reply-to"))
    if len(answer) == 1 and answer[0].addr_spec != author.addr_spec:
        return author, answer[0]
    if author.addr_spec:
        return author, author
    others = (addresses(header.first(name)) for name in (b"reply-to", b"sender", b"return-path"))
    return author, next((found[0] for found in others if found), _NOBODY)


def addresses(field: bytes) -> tuple[Address, ...]:
    """The mailboxes of an address field that have an addr-spec, in order; 1 KB of it is read."""
    found: list[Address] = []
    words: list[str] = []
    comments: list[str] = []
    angle, depth = "", 0
    for lexeme in [*_LEXEME.findall(charsets.decode_field(field[:_FIELD_BYTES])), ","]:
        if lexeme in {"(", ")"}:
            depth = max(0, depth + (1 if lexeme == "(" else -1))
        elif depth and lexeme != ",":
            comments.append(lexeme)
        elif lexeme.startswith("<") and not angle:
            angle = lexeme
        elif lexeme not in {",", ";"}:
            words += [] if angle else [lexeme]
        elif mailbox := _mailbox(words, comments, angle):
            found.append(mailbox)
            words, comments, angle, depth = [], [], "", 0
        else:
            words.append(lexeme)  # an unquoted comma in a name: Dupont, Jean <jean@example.com>
            angle = ""
    return tuple(found)


def _mailbox(words: list[str], comments: list[str], angle: str) -> Address | None:
    name = "".join(_unquote(word) for word in words)
    match = _ADDR_SPEC.search(_COMMENT.sub("", angle))
    if match is None:
        match = _ADDR_SPEC.search("".join(words))
        if match is None:
            return None
        # Without angle brackets: a comment names the person, or what stands around the address.
        name = "".join(comments) or name.replace(match[0], "").rpartition(":")[2]
    local, _, domain = match[0].rpartition("@")
    display_name = decode(name.strip(" \t'").encode("utf-8", "surrogatepass"))
    return Address(one_line(display_name, _NAME_CHARS), one_line(f"{local}@{domain.strip('.').lower()}", _FIELD_BYTES))


def _unquote(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:].removesuffix('"')) if word.startswith('"') else word
