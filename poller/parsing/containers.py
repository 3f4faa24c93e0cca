"""Read what a container lists of its content, within bounds. Nothing is ever extracted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAMES: Final = 65_535  # of an archive, as many as one without ZIP64 can have
_MAX_DIRECTORY_BYTES: Final = 8 * 1024 * 1024
_TAIL_BYTES: Final = 65_557  # the longest end of a zip: 22 bytes and a comment
_ENTRY: Final = b"PK\x01\x02"
_OLE_ENTRIES_BYTES: Final = 4096
_OLE_ENTRY_BYTES: Final = 128


def zip_names(content: BinaryIO, size_bytes: int) -> list[str]:
    """Return the first 65,535 names in a zip's central directory (APPNOTE.TXT sections 4.3.12 to 4.3.16).

    The list is empty when there is no directory.
    """
    start = max(0, size_bytes - _TAIL_BYTES)
    content.seek(start)
    tail = content.read(_TAIL_BYTES)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return []
    for directory_bytes, begin in _directories(content, start + end, tail[end:]):
        if not 0 <= begin < size_bytes:
            continue
        content.seek(begin)
        directory = content.read(min(directory_bytes, _MAX_DIRECTORY_BYTES))
        if directory.startswith(_ENTRY):
            return _entry_names(directory)
    return []


def _directories(content: BinaryIO, end: int, record: bytes) -> Iterator[tuple[int, int]]:
    """Yield the length of the central directory, with each place where it may begin.

    It ends where its end is recorded, whatever stands before the zip. With ZIP64 it ends at a record of its own.
    """
    directory_bytes, offset = struct.unpack_from("<II", record, 12)
    yield directory_bytes, end - directory_bytes
    yield directory_bytes, offset
    content.seek(max(0, end - 20))
    locator = content.read(20)
    if locator.startswith(b"PK\x06\x07"):
        for at in (end - 76, struct.unpack_from("<Q", locator, 8)[0]):
            if 0 <= at < end:
                content.seek(at)
                record = content.read(56)
                if record.startswith(b"PK\x06\x06") and len(record) == 56:  # noqa: PLR2004 - APPNOTE.TXT section 4.3.14
                    directory_bytes, offset = struct.unpack_from("<QQ", record, 40)
                    yield directory_bytes, at - directory_bytes
                    yield directory_bytes, offset


def _entry_names(directory: bytes) -> list[str]:
    names: list[str] = []
    at = 0
    while len(names) < MAX_NAMES and directory.startswith(_ENTRY, at) and len(directory) >= at + 46:
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        names.append(directory[at + 46 : at + 46 + name].decode("utf-8", "replace"))
        at += 46 + name + extra + comment
    return names


def ole_names(content: BinaryIO) -> set[str]:
    """Return the first names in the directory of an OLE document (MS-CFB section 2.6), usually all of the root's.

    The directory is read as if its sectors were contiguous: what comes after its first one may be missing.
    """
    content.seek(0)
    header = content.read(76)
    if len(header) < 76 or header[30] not in (9, 12):  # noqa: PLR2004 - sectors of 512 or 4,096 bytes
        return set()
    content.seek((struct.unpack_from("<I", header, 48)[0] + 1) << header[30])
    entries = content.read(_OLE_ENTRIES_BYTES)
    names = set()
    for at in range(0, len(entries) - _OLE_ENTRY_BYTES + 1, _OLE_ENTRY_BYTES):
        name_bytes = struct.unpack_from("<H", entries, at + 64)[0]
        if 2 < name_bytes <= 64 and entries[at + 66] in (1, 2):  # noqa: PLR2004 - a name; a storage or a stream
            names.add(entries[at : at + name_bytes - 2].decode("utf-16-le", "replace"))
    return names


def is_seekable_zstd(content: BinaryIO, size_bytes: int) -> bool:
    """Return True for a Zstandard file with a table of its frames at the end, which Blender writes.

    See zstd's contrib/seekable_format/zstd_seekable_compression_format.md.
    """
    content.seek(max(0, size_bytes - 4))
    return content.read(4) == b"\xb1\xea\x92\x8f"
