"""A zip that is made while it is read."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from poller.dispatch.zip_stream import ZipStream
from poller.model import Attachment, Kind
from tests.triage.helpers import Bytes


def files(*sizes: int) -> list[Attachment]:
    """Return attachments of these sizes, with names that are not ASCII."""
    return [
        Attachment(f"pièce {number}.bin", "a/b", size, Kind.MODEL, inline=False, content=Bytes(bytes([number]) * size))
        for number, size in enumerate(sizes)
    ]


def read(stream: ZipStream, piece_bytes: int = 100_000) -> bytes:
    return b"".join(iter(lambda: stream.read(piece_bytes), b""))


@pytest.mark.parametrize("sizes", [(), (0,), (1, 0), (8_191, 8_192, 8_193), (70_000,) * 20, (3_000_000, 5)])
def test_zip_holds_each_file_and_no_more_bytes_than_said(sizes: tuple[int, ...]) -> None:
    given = files(*sizes)
    stream = ZipStream(given)
    content = read(stream)
    assert stream.size_bytes == len(content) <= stream.most_bytes
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [file.filename for file in given]
        assert [archive.read(file.filename) for file in given] == [file.content.open().read() for file in given]
    assert read(ZipStream(given), 7_919) == content, "whatever is read at a time, it is the same zip"


def test_little_of_a_zip_is_held_at_a_time() -> None:
    """Its parts go as they come."""
    given = files(40_000_000)
    stream = ZipStream(given)
    tracemalloc.start()
    try:
        while stream.read(100_000):
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.size_bytes > 40_000_000
    assert most < 2_000_000
