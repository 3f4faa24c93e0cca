"""Locate the message inside an opaque S/MIME signature (RFC 8551, RFC 5652), read as BER.

The signature is not verified. The content of a signed message is in one piece or in thousands. None of it is read here:
its positions in the stream are found, whatever its size.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from poller.mime.transfer_encoding import Span

_SIGNED: Final = bytes.fromhex("2a864886f70d010702")
_ENCRYPTED: Final = {
    bytes.fromhex("2a864886f70d010703"),  # enveloped-data
    bytes.fromhex("2a864886f70d010706"),  # encrypted-data
    bytes.fromhex("2a864886f70d0109100117"),  # authenticated-enveloped-data
}
_EOC, _OCTETS, _OID, _SEQUENCE, _CONTENT = 0x00, 0x04, 0x06, 0x30, 0xA0
_CONSTRUCTED: Final = 0x20
_UNTIL_EOC: Final = -1
_INDEFINITE: Final = 0x80  # instead of a length
_MAX_DEPTH: Final = 12
_MAX_ELEMENTS: Final = 100_000  # OpenSSL writes a message in pieces of 4 KB
_VALUE_BYTES: Final = 64  # of an object identifier; ours have eleven at most


class EncryptedError(Exception):
    """The content is encrypted, and we have no key."""


def signed_content(stream: BinaryIO) -> tuple[Span, ...]:
    """Return the spans of an opaque signature's content in the stream, in order, or () if it holds none.

    Raises:
        EncryptedError: the content is encrypted, not only signed.
        ValueError: it is no CMS content of a known type.
    """
    reader = _Reader(stream)
    reader.enter(_SEQUENCE)
    kind = reader.value(_OID)
    if kind in _ENCRYPTED:
        raise EncryptedError
    if kind != _SIGNED:
        raise ValueError("neither signed nor encrypted")
    reader.enter(_CONTENT)
    reader.enter(_SEQUENCE)
    reader.skip()  # version
    reader.skip()  # digestAlgorithms
    end = reader.enter(_SEQUENCE)  # encapContentInfo
    reader.skip()  # eContentType
    if reader.at == end or reader.tag() == _EOC:  # a detached signature, or nothing but certificates
        return ()
    reader.enter(_CONTENT)
    return tuple(reader.octets())


class _Reader:
    """A position in a stream of BER elements (X.690 section 8.1)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = stream.seek(0, 2)
        self.at = 0
        self._elements = 0

    def tag(self) -> int:
        """Return the tag of the element here."""
        return self._head()[0]

    def enter(self, tag: int) -> int:
        """Move to the content of the element here, and return its end, or `_UNTIL_EOC` if the length is indefinite."""
        found, length, self.at = self._head()
        if found != tag:
            raise ValueError("another element was to come")
        return length if length == _UNTIL_EOC else self.at + length

    def value(self, tag: int) -> bytes:
        """Return the content of a short element, and move to the next element."""
        found, length, content_at = self._head()
        if found != tag or length == _UNTIL_EOC:
            raise ValueError("another element was to come")
        self._stream.seek(content_at)
        self.at = content_at + length
        return self._stream.read(min(length, _VALUE_BYTES))

    def skip(self, depth: int = 0) -> None:
        """Move behind the element here."""
        _, length, self.at = self._head()
        if length != _UNTIL_EOC:
            self.at += length
            return
        if depth >= _MAX_DEPTH:
            raise ValueError("nested too deep")
        while self.tag() != _EOC:
            self.skip(depth + 1)
        self.at += 2

    def octets(self, depth: int = 0) -> list[Span]:
        """Return the spans of the octet string here, one or several (X.690 section 8.7), and move behind it."""
        tag, length, begin = self._head()
        if tag & ~_CONSTRUCTED != _OCTETS or depth >= _MAX_DEPTH:
            raise ValueError("no octet string")
        if tag == _OCTETS:
            if length == _UNTIL_EOC:
                raise ValueError("no length")
            self.at = begin + length
            return [Span(begin, length)]
        self.at = begin
        spans: list[Span] = []
        while self.at < begin + length if length != _UNTIL_EOC else self.tag() != _EOC:
            spans += self.octets(depth + 1)
        self.at += 2 if length == _UNTIL_EOC else 0
        return spans

    def _head(self) -> tuple[int, int, int]:
        """Return the tag of the element here, the length of its content and the offset of the content."""
        self._elements += 1
        self._stream.seek(self.at)
        head = self._stream.read(10)
        if len(head) < 2 or self._elements > _MAX_ELEMENTS:  # noqa: PLR2004 - a tag and a length
            raise ValueError("cut off, or without end")
        tag, first, begin = head[0], head[1], self.at + 2
        if first == _INDEFINITE:
            return tag, _UNTIL_EOC, begin
        length = first
        if first > _INDEFINITE:  # the long form: so many bytes hold the length
            count = first - _INDEFINITE
            begin += count
            length = int.from_bytes(head[2 : 2 + count], "big")
        if begin + length > self._end or begin - self.at > len(head):
            raise ValueError("cut off")
        return tag, length, begin
