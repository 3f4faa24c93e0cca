"""Find the author of a forwarded message, from the lines with which mail clients introduce it in the text."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from poller.mime import addresses
from poller.parsing.field_labels import SPACES, bare_author, begins_field, header_fields
from poller.parsing.introductions import ADDRESS, begins_notes_header, forward_heading, introduction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.model import Address

_LINK: Final = re.compile(r"\[([^\[\]]{0,300})\]\((?:mailto:)?[^()\s]{0,300}\)")
_MAILTO: Final = re.compile(r"\[(?:mailto:)([^\[\]\s]{1,300})\]", re.IGNORECASE)
_NAME: Final = re.compile(r"[^,;:<>\d]{0,100}$")  # of the author, before the address in an introduction
_LINE_CHARS: Final = 600
_MAX_LINES: Final = 5000
_HEADER_LINES: Final = 14  # some clients print an empty one below each field
_QUOTES: Final = " «»\"'"
_WRAPPED_LINES: Final = 4
_FIELDS: Final = 2  # beside From; "De : 10 mm" on a plan has none


def original_senders(text: str, *, forward: bool) -> tuple[Address, ...]:
    """Return the author of each message that a text forwards, the outermost first.

    A message that names no address is left out. A header, or an introduction ("Le 3 nov., X a écrit :"), counts below a
    heading ("Forwarded message"). Without a heading it counts only where the mail is known for a `forward`, because an
    answer may contain the same lines.
    """
    lines = list(_lines(text))
    headed, found = forward, []
    at = 0
    while at < len(lines):
        headed = headed or forward_heading(lines[at]) is not None
        length, author = _introduced(lines, at) if headed else (0, None)
        if author:
            found.append(author)
        at += max(1, length)
    return tuple(dict.fromkeys(found))


def _lines(text: str) -> Iterator[str]:
    """Yield the lines without quotation marks, and the header that begins on the line of a heading as a line too."""
    lines = [line[:_LINE_CHARS].translate(SPACES).lstrip("> ").strip() for line in text.split("\n", _MAX_LINES)]
    for at, line in enumerate(lines, start=1):
        yield line
        if rest := forward_heading(line):
            # Yahoo prints all fields on one line, and others wrap it.
            yield " ".join([rest, *takewhile(bool, lines[at : at + _WRAPPED_LINES])])


def _introduced(lines: list[str], at: int) -> tuple[int, Address | None]:
    """Return the number of lines of the header or introduction that begins here, and the author whom it names."""
    count, introduced = introduction(lines, at)
    if count:
        plain = _plain(introduced)
        named = ADDRESS.search(plain)
        if named is None:
            return count, None
        name = _NAME.search(plain[: named.start()])
        return count, _address(f'"{name[0].strip(_QUOTES)}" {named[0]}' if name else named[0])
    if author := lines[at] if begins_notes_header(lines, at) else bare_author(lines, at):
        return 1, _address(author)
    if not begins_field(lines[at]):
        return 0, None
    fields = header_fields(_header(lines, at))
    if "author" not in fields or len(fields.keys() - {"author", ""}) < _FIELDS:
        return 0, None
    return _length(lines, at), _address(fields["author"])


def _header(lines: list[str], at: int) -> list[str]:
    """Return the lines of the header that begins here, without empty ones. A last value may stand on the next line."""
    near = lines[at : at + _HEADER_LINES]
    last = max((number for number, line in enumerate(near) if begins_field(line)), default=0)
    return [line for line in near[: last + 2] if line]


def _length(lines: list[str], at: int) -> int:
    """Return the number of lines from `at` on that begin with a label."""
    end = at
    while end < len(lines) and begins_field(lines[end]):
        end += 1
    return end - at


def _address(value: str) -> Address | None:
    named = addresses.addresses(_plain(value).encode("utf-8", "replace"))
    return named[0] if named else None


def _plain(value: str) -> str:
    return _MAILTO.sub(r"<\1>", _LINK.sub(r"\1", value)).replace("*", "")
