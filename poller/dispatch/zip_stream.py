"""Pack files into one zip that is read as a stream: neither the files nor the zip are ever held as a whole."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from poller.mime.transfer_encoding import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _typeshed import WriteableBuffer

    from poller.model import Attachment

_FRAME_BYTES = 2048  # of a file's headers with its name, or of the end of a zip, at most
_BLOCK_BYTES, _PER_BLOCK_BYTES = 8 * 1024, 5  # of stored content: a block at least, and its header (RFC 1951 3.2.4)
_ZIP64_BYTES = 1 << 31  # from which a file needs the larger headers (APPNOTE.TXT section 4.3.9.2)


class ZipStream(io.RawIOBase):
    """A zip of attachments, made while it is read. The same attachments give the same bytes.

    The files are not compressed, as models and photos hardly become smaller. They are framed as deflated all the same:
    then every program can read a zip whose sizes stand behind the files (APPNOTE.TXT section 4.4.4).
    """

    def __init__(self, files: Sequence[Attachment]) -> None:
        """Take the files, whose names differ. They are opened one after the other."""
        blocks = (file.size_bytes // _BLOCK_BYTES + 2 for file in files)
        self.most_bytes = sum(file.size_bytes + _FRAME_BYTES for file in files) + _FRAME_BYTES
        self.most_bytes += sum(blocks) * _PER_BLOCK_BYTES  # the zip has no more than this
        self._pieces = _pieces(files)
        self._piece = memoryview(b"")
        self.size_bytes = 0  # read so far: of the whole zip once the stream has ended

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer as far as the next piece goes, and return the bytes written, 0 at the end.

        Raises:
            OSError: a file cannot be read.
        """
        while not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
            if not self._piece:
                return 0
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self.size_bytes += count
        return count


def _pieces(files: Sequence[Attachment]) -> Iterator[bytes]:
    """Yield the zip in pieces, none of them empty."""
    written = _Written()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for file in files:
            is_large = file.size_bytes >= _ZIP64_BYTES
            with file.content.open() as source, archive.open(file.filename, "w", force_zip64=is_large) as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
                    yield from written.taken()
            yield from written.taken()
    yield from written.taken()


class _Written(io.RawIOBase):
    """A file that cannot be sought in, whose content is taken out again at once."""

    def __init__(self) -> None:
        self._content: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: WriteableBuffer) -> int:
        self._content.append(bytes(content))
        return len(self._content[-1])

    def taken(self) -> Iterator[bytes]:
        content, self._content = self._content, []
        yield from (piece for piece in content if piece)
