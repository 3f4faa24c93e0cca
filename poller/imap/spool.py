"""Write the content of a message to a file while it comes, so that memory does not grow with it."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from integrations.net.deadline import renew

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE_BYTES: Final = 1 << 18  # read at once
RENEWED_BYTES: Final = 1 << 20  # for which a call has its whole time
_CONTENT: Final = re.compile(rb"\bBODY\[\](?:<[\d.]*>)? \{\d+\}\Z", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\{\d+\}\Z")


class SpoolError(Exception):
    """The file takes nothing more. The cause is the OSError."""


class Spool:
    """The file that one message is written to."""

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        """Write at most `limit_bytes` to the file. What comes beyond is read and dropped."""
        self._file, self._limit_bytes = file, limit_bytes
        self.size_bytes = 0  # written so far

    def take(self, piece: bytes) -> None:
        """Write a piece.

        Raises:
            SpoolError: the file does not take it.
        """
        try:
            self.size_bytes += self._file.write(piece[: self._limit_bytes - self.size_bytes])
        except OSError as error:  # of the disk, which must not pass for one of the connection
            raise SpoolError from error

    def take_literal(self, read: Callable[[int], bytes], size: int) -> None:
        """Write a literal of this size (RFC 9051 section 4.3), fewer bytes if the connection ends.

        The call has its whole time for every RENEWED_BYTES.
        """
        left = size
        while left and (piece := read(min(PIECE_BYTES, left))):
            self.take(piece)
            if (left - len(piece)) // RENEWED_BYTES < left // RENEWED_BYTES:
                renew()
            left -= len(piece)


def is_content(line: bytes) -> bool:
    """Return whether a line of a response ends where the literal of a message's content begins."""
    return _CONTENT.search(line) is not None


def emptied(line: bytes) -> bytes:
    """Return the line as if the literal behind it were empty."""
    return _LENGTH.sub(b"{0}", line)
