"""Tests of the sample mails."""

from __future__ import annotations

import struct
import zlib
from email import message_from_bytes, policy

from poller.cli.samples import picture, samples, triangle
from poller.cli.try_mail import PAYLOADS


def test_samples_are_mails_with_distinct_ids() -> None:
    """Each can be delivered beside all others, and every payload of `poller try` is among them."""
    mails = {name: message_from_bytes(raw, policy=policy.default) for name, raw in samples().items()}
    assert {mail["Message-ID"] for mail in mails.values()} == {f"<{name}@samples.example>" for name in mails}
    assert mails.keys() >= set(PAYLOADS)
    for mail in mails.values():
        assert not mail.defects
        assert all((mail["From"], mail["To"], mail["Subject"], mail["Date"]))


def test_triangle_is_complete_binary_gltf() -> None:
    """The length in its header is that of the file (glTF 2.0 section 4.4.2)."""
    model = triangle()
    assert struct.unpack("<4sII", model[:12]) == (b"glTF", 2, len(model))


def test_picture_has_all_rows_and_valid_checksums() -> None:
    """A viewer shows it whole (PNG specification, section 5)."""
    width, height = 4, 3
    rest = picture(width, height).removeprefix(b"\x89PNG\r\n\x1a\n")
    chunks = {}
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + size]
        assert struct.unpack(">I", rest[8 + size : 12 + size]) == (zlib.crc32(kind + data),)
        chunks[kind], rest = data, rest[12 + size :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
