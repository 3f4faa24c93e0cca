"""Read a winmail.dat ([MS-OXTNEF]): a mail in Outlook's own format, of which other clients show nothing.

The files in it are not read here. Their positions in the stream are found, so that memory does not grow with them.
(tnefparse holds all of it in memory several times, loops for hours over a false count, and dates from January 2021.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

from poller.escaping import one_line
from poller.mime import charsets
from poller.mime.transfer_encoding import Span
from poller.model import Address

SIGNATURE: Final = b"\x78\x9f\x3e\x22"
_EMBEDDED_MESSAGE: Final = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage, before a mail in TNEF
_IID_BYTES: Final = 16
_MAX_ELEMENTS: Final = 50_000  # attributes and properties; a mail has about a hundred, a file about twenty
_LINE_BYTES: Final = 4096
_LINE_CHARS: Final = 1000
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)

# Attributes ([MS-OXTNEF] section 2.1.3.2).
_OF_A_FILE: Final = 2  # their level
_SUBJECT, _TEXT, _PROPERTIES, _CODE_PAGE = 0x8004, 0x800C, 0x9003, 0x9007
_RENDERING, _TITLE, _FILE, _LONG_TITLE, _FILE_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9001, 0x9005
# Properties ([MS-OXPROPS]), and the types of their values with their sizes in bytes ([MS-OXCDATA] section 2.11.1).
_P_SUBJECT, _P_SENT_AT, _P_TEXT, _P_HTML, _P_RTF, _P_CODE_PAGE = 0x0037, 0x0039, 0x1000, 0x1013, 0x1009, 0x3FDE
_P_SENDER_NAMES, _P_SENDER_ADDRESSES = (0x0042, 0x0C1A), (0x5D02, 0x5D01, 0x0065, 0x0C1F)
_P_FILE, _P_FILE_NAMES, _P_DISPLAY_NAME, _P_MEDIA_TYPE, _P_CONTENT_ID = 0x3701, (0x3707, 0x3704), 0x3001, 0x370E, 0x3712
_FIXED: Final = {0: 0, 1: 0, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 2, 0x14: 8, 0x40: 8, 0x48: 16}
_OBJECT, _STRING, _UNICODE, _BINARY = 0x0D, 0x1E, 0x1F, 0x102
_SEVERAL, _NAMED = 0x1000, 0x8000


@dataclass(frozen=True, slots=True)
class Body:
    """The position and the charset of a text."""

    span: Span
    charset: str


@dataclass(frozen=True, slots=True)
class TnefFile:
    """The position of an attached file, and its names and types."""

    name: str  # decoded, one line; "" when it has none
    content_type: str  # "type/subtype" as the sender says; "" when it says nothing
    content_id: str
    span: Span
    is_mail: bool  # another mail in TNEF


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail in TNEF."""

    author: Address
    subject: str  # decoded, one line
    sent_at: datetime | None  # aware, UTC
    text: Body | None
    html: Body | None
    rtf: Span | None  # packed
    files: tuple[TnefFile, ...]
    whole: bool  # False if it is broken and may have had more


def read(stream: BinaryIO, where: Span) -> Mail:
    """Return the mail in a span of a seekable stream.

    Raises:
        ValueError: the span holds no TNEF.
    """
    cursor = _Cursor(stream, where.offset, where.offset + where.length)
    if cursor.take(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("no TNEF")
    cursor.skip(2)  # a key that has no use here
    mail, files = _Values(stream), list[_Values]()
    whole = True
    try:
        _read_attributes(cursor, mail, files)
    except ValueError:
        whole = False
    code_page = mail.number(_CODE_PAGE)
    charset = charsets.of_code_page(code_page) or "cp1252"
    html_charset = charsets.of_code_page(mail.number(_P_CODE_PAGE)) or charset
    senders = (mail.line(charset, name) for name in _P_SENDER_ADDRESSES)
    rtf = mail.places.get(_P_RTF)
    return Mail(
        Address(mail.line(charset, *_P_SENDER_NAMES), next((sender for sender in senders if "@" in sender), "")),
        mail.line(charset, _P_SUBJECT, _SUBJECT),
        mail.moment(_P_SENT_AT),
        mail.body(charset, _P_TEXT, _TEXT),
        mail.body(html_charset, _P_HTML),
        rtf.span if rtf else None,
        tuple(file for values in files if (file := _file(values, charset))),
        whole,
    )


def _file(values: _Values, charset: str) -> TnefFile | None:
    """Return a file from its attributes and properties, or None without content, as for a link to a server."""
    place = values.places.get(_P_FILE) or values.places.get(_FILE)
    if place is None:
        return None
    span, is_mail = place.span, False
    if place.kind == _OBJECT:  # an interface identifier comes first: a mail, or another embedded object
        is_mail = _Cursor(values.stream, span.offset, span.offset + span.length).take(_IID_BYTES) == _EMBEDDED_MESSAGE
        span = Span(span.offset + _IID_BYTES, span.length - _IID_BYTES)
    return TnefFile(
        values.line(charset, *_P_FILE_NAMES, _LONG_TITLE, _TITLE, _P_DISPLAY_NAME),
        values.line(charset, _P_MEDIA_TYPE).lower(),
        values.line(charset, _P_CONTENT_ID).strip("<> "),
        span,
        is_mail,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    kind: int  # the type of the value, 0 for that of an attribute
    span: Span


class _Values:
    """The positions of the attributes and properties of a mail or a file, by their names."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.places: dict[int, _Place] = {}

    def body(self, charset: str, *names: int) -> Body | None:
        place = next((self.places[name] for name in names if name in self.places), None)
        return Body(place.span, "utf-16-le" if place.kind == _UNICODE else charset) if place else None

    def line(self, charset: str, *names: int) -> str:
        """Return the first of the texts that is not empty, on one line, or "" if all are."""
        for name in names:
            if place := self.places.get(name):
                text = charsets.decode(self._beginning(place), "utf-16-le" if place.kind == _UNICODE else charset)
                if line := one_line(text.rstrip("\0")[:_LINE_CHARS], _LINE_CHARS):
                    return line
        return ""

    def number(self, name: int) -> int:
        place = self.places.get(name)
        return int.from_bytes(self._beginning(place)[:4], "little") if place else 0

    def moment(self, name: int) -> datetime | None:
        try:  # in units of 100 ns
            return _EPOCH + timedelta(microseconds=int.from_bytes(self._beginning(self.places[name]), "little") // 10)
        except (KeyError, OverflowError):
            return None

    def _beginning(self, place: _Place) -> bytes:
        self.stream.seek(place.span.offset)
        return self.stream.read(min(place.span.length, _LINE_BYTES))


class _Cursor:
    """A position in a span of a stream."""

    def __init__(self, stream: BinaryIO, at: int, end: int) -> None:
        self.stream, self.at, self.end = stream, at, end

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes.

        Raises:
            ValueError: fewer bytes are left.
        """
        span = self.skip(length)
        self.stream.seek(span.offset)
        taken = self.stream.read(length)
        if len(taken) < length:
            raise ValueError("cut off")
        return taken

    def number(self, length: int = 4) -> int:
        return int.from_bytes(self.take(length), "little")

    def skip(self, length: int) -> Span:
        if length > self.end - self.at:
            raise ValueError("cut off")
        self.at += length
        return Span(self.at - length, length)


def _read_attributes(cursor: _Cursor, mail: _Values, files: list[_Values]) -> None:
    """Read the attributes into `mail` and `files`. What came before an error is kept.

    Raises:
        ValueError: they break off, or are too many.
    """
    left = _MAX_ELEMENTS
    while cursor.at < cursor.end:
        level, name, _, length = cursor.number(1), cursor.number(2), cursor.number(2), cursor.number()
        span = cursor.skip(length)
        cursor.skip(2)  # a checksum, which many writers get wrong
        if name == _RENDERING or (level == _OF_A_FILE and not files):  # each file begins with this one
            files.append(_Values(cursor.stream))
        values = files[-1] if level == _OF_A_FILE else mail
        left -= 1
        if name in {_PROPERTIES, _FILE_PROPERTIES}:
            left = _read_properties(_Cursor(cursor.stream, span.offset, span.offset + length), values, left)
        else:
            values.places.setdefault(name, _Place(0, span))
        if left < 0:
            raise ValueError("without end")


def _read_properties(cursor: _Cursor, values: _Values, left: int) -> int:
    """Read the properties into `values`, and return the number of elements that may still follow.

    Raises:
        ValueError: they break off, are too many, or have an unknown type.
    """
    for _ in range(cursor.number()):
        left -= 1
        kind, name = cursor.number(2), cursor.number(2)
        if left < 0:
            raise ValueError("without end")
        if name & _NAMED:
            cursor.skip(16)
            is_text = cursor.number()
            cursor.skip(_padded(cursor.number()) if is_text else 4)
        several = kind & _SEVERAL
        kind &= ~_SEVERAL
        count = cursor.number() if several or kind not in _FIXED else 1
        if kind in _FIXED:
            place = _Place(kind, cursor.skip(_padded(_FIXED[kind] * count)))
            values.places.setdefault(name, place)
        elif kind in {_OBJECT, _STRING, _UNICODE, _BINARY}:
            for _ in range(count):
                left -= 1
                length = cursor.number()
                values.places.setdefault(name, _Place(kind, cursor.skip(length)))
                cursor.skip(min(_padded(length) - length, cursor.end - cursor.at))
        else:
            raise ValueError("a type that there is not")
    return left


def _padded(length: int) -> int:
    return (length + 3) // 4 * 4
