"""Find uuencoded files in the text of a mail, between "begin" and "end" (POSIX uuencode, used before MIME)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.escaping import one_line
from poller.mime import charsets
from poller.mime.transfer_encoding import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN: Final = re.compile(rb"begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n")
_FULL: Final = re.compile(rb"M[ -`]{0,64}\r?\n")
_LAST: Final = re.compile(rb"[!-L][ -`]{1,64}\r?\n")
_ZERO: Final = re.compile(rb"[` ]?[ ]*\r?\n")
_END: Final = re.compile(rb"end[ \t]*(?:\r?\n|\Z)")
_LINE_BYTES: Final = 1024
_MAX_LINES: Final = 1_000_000  # 45 MB of files
_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Block:
    """A uuencoded file in a text."""

    name: str  # one line, as the sender wrote it
    span: Span  # of the encoded lines, including "begin" and "end"


def blocks(text: BinaryIO) -> list[Block]:
    """Return the complete uuencoded files in the first million lines of a text, in order."""
    found: list[Block] = []
    begun: tuple[bytes, int] | None = None  # the name, and where its line begins
    expected: tuple[re.Pattern[bytes], ...] = ()
    for line, at in _lines(text):
        shape = next((pattern for pattern in expected if pattern.fullmatch(line)), None) if begun else None
        if begun and shape is _END:
            name = one_line(charsets.decode_field(begun[0]), _NAME_CHARS)
            found.append(Block(name, Span(begun[1], at + len(line) - begun[1])))
            begun = None
        elif shape:
            expected = _AFTER[shape]
        else:
            beginning = _BEGIN.fullmatch(line)
            begun = (beginning[1], at) if beginning else None
            expected = _AFTER[_BEGIN]
    return found


# The lines that may follow each line: only the last data line is not full, and an empty one precedes the end.
_AFTER: Final = {
    _BEGIN: (_FULL, _LAST, _ZERO),
    _FULL: (_FULL, _LAST, _ZERO, _END),
    _LAST: (_ZERO, _END),
    _ZERO: (_END,),
}


def _lines(text: BinaryIO) -> Iterator[tuple[bytes, int]]:
    at = 0
    for _ in range(_MAX_LINES):
        line = text.readline(_LINE_BYTES)
        if not line:
            return
        yield line, at
        at += len(line)
