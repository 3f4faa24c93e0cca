"""Read what a container lists, within bounds."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from poller.parsing.containers import MAX_NAMES, is_seekable_zstd, ole_names, zip_names
from tests.support.effort import counted


def names_in(content: bytes) -> list[str]:
    return zip_names(io.BytesIO(content), len(content))


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def as_zip64(content: bytes, *, says: bool, more: bytes = b"") -> bytes:
    """Return the zip with the records of ZIP64. `says` hides its sizes from the old record, `more` extends the new."""
    end = content.rindex(b"PK\x05\x06")
    count, directory_bytes, offset = struct.unpack_from("<HII", content, end + 10)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, directory_bytes, offset) + more
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    old = content[end : end + 8] + b"\xff" * 12 + b"\0\0" if says else content[end:]
    return content[:end] + record + locator + old


def ole(*names: str, sector_shift: int = 9, directory: int = 0) -> bytes:
    """Return the beginning of an OLE document, whose directory holds these names."""
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<HB", 2 * len(name) + 2, 2) + bytes(61)
        for name in names
    )
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(22) + struct.pack("<H", sector_shift) + bytes(16)
    return (header + struct.pack("<I", directory)).ljust((directory + 1) << sector_shift, b"\0") + entries


ZIP = zipped("a.txt", "dossier/é.glb")
ZIPS = {
    "plain": ZIP,
    "behind other bytes": b"(DWF V06.00)" + ZIP,
    "with a comment": ZIP[:-2] + b"\x05\0merci",
    "zip64": as_zip64(ZIP, says=True),
    "zip64 whose old record has the sizes as well": as_zip64(ZIP, says=False),
    "zip64 with an extended record": as_zip64(ZIP, says=True, more=b"extra"),
    "zip64 behind other bytes": b"xyz" + as_zip64(ZIP, says=True),
}


@pytest.mark.parametrize("content", ZIPS.values(), ids=ZIPS)
def test_names_of_a_zip_are_read(content: bytes) -> None:
    assert names_in(content) == ["a.txt", "dossier/é.glb"]


BROKEN = {
    "nothing": b"",
    "no directory": ZIP[:40],
    "a record cut off": ZIP[:-10],
    "a directory before the beginning": ZIP[-22:],
    "sizes of four billion": ZIP[:-10] + b"\xff" * 8 + b"\0\0",
    "zip64 that points behind its end": as_zip64(ZIP, says=True, more=b"x").replace(
        struct.pack("<IQI", 0, ZIP.rindex(b"PK\x05\x06"), 1), struct.pack("<IQI", 0, 2**64 - 1, 1)
    ),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_zip_has_no_names(content: bytes) -> None:
    assert names_in(content) == []


def test_only_the_first_65535_names_of_a_zip_are_read() -> None:
    """Each name takes a few calls, so a hostile mail cannot hold the parser up."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 1, 0, 0) + bytes(12) + b"a"
    directory = entry * (MAX_NAMES + 10)
    content = directory + b"PK\x05\x06" + bytes(8) + struct.pack("<II", len(directory), 0) + b"\0\0"
    with counted(8 * MAX_NAMES):
        assert len(names_in(content)) == MAX_NAMES == 65_535


@pytest.mark.parametrize(("sector_shift", "directory"), [(9, 0), (9, 7), (12, 1)])
def test_names_of_an_ole_document_are_read(sector_shift: int, directory: int) -> None:
    content = ole("Root Entry", "Scene", "ClassDirectory3", sector_shift=sector_shift, directory=directory)
    assert ole_names(io.BytesIO(content)) == {"Root Entry", "Scene", "ClassDirectory3"}


@pytest.mark.parametrize(
    "content", [b"", ole("a")[:60], ole("a")[:600], ole("a", directory=2)[:512], ole("a", sector_shift=9)[:512]]
)
def test_broken_ole_document_has_no_names(content: bytes) -> None:
    assert ole_names(io.BytesIO(content)) == set()


def test_seekable_zstd_is_told_by_its_end() -> None:
    assert is_seekable_zstd(io.BytesIO(b"\x28\xb5\x2f\xfd....\xb1\xea\x92\x8f"), 12)
    assert not is_seekable_zstd(io.BytesIO(b"\x28\xb5\x2f\xfd...."), 8)
