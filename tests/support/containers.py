"""What mail clients wrap a message in, made by hand: TNEF, CMS, uuencode."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping

Properties = Mapping[int, tuple[int, bytes]]  # property id -> (type of the value, value)

STRING, UNICODE, BINARY, OBJECT, INTEGER, TIME = 0x1E, 0x1F, 0x102, 0x0D, 3, 0x40
MESSAGE = bytes.fromhex("0703020000000000c000000000000046")
SIGNED, ENVELOPED, DATA = "2a864886f70d010702", "2a864886f70d010703", "2a864886f70d010701"


def attribute(level: int, name: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def properties(values: Properties) -> bytes:
    written = struct.pack("<I", len(values))
    for name, (kind, value) in values.items():
        written += struct.pack("<HH", kind, name)
        if kind in {STRING, UNICODE, BINARY, OBJECT}:
            written += struct.pack("<II", 1, len(value)) + value + bytes(-len(value) % 4)
        else:
            written += value
    return written


def winmail(mail: Properties, *files: tuple[bytes, bytes, Properties], code_page: int = 1252) -> bytes:
    """A winmail.dat; each file is its 8.3 name, its content and its properties."""
    written = struct.pack("<IH", 0x223E9F78, 1)
    written += attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    written += attribute(1, 0x00069007, struct.pack("<II", code_page, 0))
    written += attribute(1, 0x00069003, properties(mail))
    for title, content, values in files:
        written += attribute(2, 0x00069002, bytes(14))
        written += attribute(2, 0x00018010, title + b"\0")
        written += attribute(2, 0x0006800F, content) if content else b""
        written += attribute(2, 0x00069005, properties(values)) if values else b""
    return written


def rich_text(rtf: bytes) -> bytes:
    """The value of PidTagRtfCompressed, packed with nothing but literals."""
    return packed(b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8)))


def packed(data: bytes) -> bytes:
    """Packed data with its header."""
    return struct.pack("<II4sI", len(data) + 12, 0, b"LZFu", 0) + data


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + length + content


def ber(tag: int, *contents: bytes) -> bytes:
    """The same, of indefinite length."""
    return bytes([tag, 0x80]) + b"".join(contents) + b"\0\0"


def signed(content: bytes, *, pieces: int = 0) -> bytes:
    """A CMS signature around a content in one piece, or in pieces of so many bytes, as OpenSSL streams it."""
    oid, version, digests = der(6, bytes.fromhex(DATA)), der(2, b"\1"), der(0x31, der(0x30, der(6, b"\x60\x86\x48")))
    signers = der(0x31)
    if not pieces:
        inner = der(0x30, oid, der(0xA0, der(4, content)))
        return der(0x30, der(6, bytes.fromhex(SIGNED)), der(0xA0, der(0x30, version, digests, inner, signers)))
    octets = [der(4, content[at : at + pieces]) for at in range(0, len(content), pieces)]
    inner = ber(0x30, oid, ber(0xA0, ber(0x24, *octets)))
    return ber(0x30, der(6, bytes.fromhex(SIGNED)), ber(0xA0, ber(0x30, version, digests, inner, signers)))


def certificates() -> bytes:
    """A CMS signature without a content, as certificates are sent."""
    encap = der(0x30, der(6, bytes.fromhex(DATA)))
    inner = der(0x30, der(2, b"\1"), der(0x31), encap, der(0xA0, der(0x30, b"x" * 20)), der(0x31))
    return der(0x30, der(6, bytes.fromhex(SIGNED)), der(0xA0, inner))


def enveloped() -> bytes:
    """An encrypted content."""
    return der(0x30, der(6, bytes.fromhex(ENVELOPED)), der(0xA0, der(0x30, b"x" * 200)))


def uuencoded(name: str, content: bytes, *, zero: bytes = b"`") -> bytes:
    """A file as it stands in a text."""
    lines = [binascii.b2a_uu(content[at : at + 45], backtick=zero == b"`") for at in range(0, len(content), 45)]
    return b"begin 644 " + name.encode() + b"\n" + b"".join(lines) + zero + b"\nend\n"
