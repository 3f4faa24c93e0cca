"""Parse header fields as they are written into what is meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from poller.mime import headers
from tests.support.effort import one_pass

DECODED = {
    b"Table en ch\xc3\xaane": "Table en chêne",  # raw UTF-8 (RFC 6532)
    b"Table en ch\xeane": "Table en chêne",  # raw Latin-1
    b"=?utf-8?q?Ren=C3=A9?=": "René",
    b'"=?utf-8?q?Ren=C3=A9?="': '"René"',  # within quotes, where RFC 2047 forbids it and mailers do it
    b"=?utf-8?B?w6k=?= =?utf-8?Q?t=C3=A9?=": "été",  # the space between two words is none
    b"=?utf-8?B?w6k=?=\r\n =?utf-8?B?dMOp?=": "été",
    b"=?utf-8?B?w6k=?= et =?utf-8?B?w6k=?=": "é et é",
    b"=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=": "café",  # a character split over two words
    b"=?utf-8?Q?=C3=A9?= =?iso-8859-1?Q?=E9?=": "éé",
    b"=?utf-8?Q?=E9t=C3=A9?= =?utf-8?Q?_=C3?= =?utf-8?Q?=A9?=": "été é",  # a stray byte in the first
    b"=?gb2312?B?1eLKxw==?= =?gb2312?Q?=FF?= =?gb2312?B?xMU=?=": "这是ÿ呐",  # only the one between is broken
    b"=?iso-8859-1?Q?caf\xe9_=E0?= x": "café à x",  # a raw byte in a word
    "=?iso-8859-1?Q?café_=E0?= x".encode(): "café à x",  # raw UTF-8 in it
    "=?utf-8?Q?café_=C3=A0?= x".encode(): "café à x",
    b"=?utf-8?Q?caf\xe9?= \xe0 x": "café à x",
    "réalisé ".encode() + b"\xe0 Orl\xe9ans": "réalisé à Orléans",
    b"=?iso-8859-1*fr?Q?caf=E9?=": "café",
    b"=?utf-8?B?RMOpdG91cg?=": "Détour",  # no padding
    b"=?utf-8?B?a?=": "",  # one letter is no byte
    b"=?utf-8?Q?Quoi??=": "Quoi?",
    b"=?utf-8?Q?sans fin": "sans fin",
    b"=?ut\0f8?q?x?=": "x",
    b"=?rot13?q?nop?=": "nop",  # a codec that is no charset
    b"=?utf-8?q?a=0D=0ABcc:_evil@example.com?=": "a Bcc: evil@example.com",
    b"=?x?z?y?=": "=?x?z?y?=",
    b"a\0b\x1b[31mc": "ab[31mc",
    "facture\u202efdp.exe".encode(): "facturefdp.exe",
    b"": "",
}


@pytest.mark.parametrize(("raw", "text"), DECODED.items(), ids=repr)
def test_unstructured_field_is_one_line(raw: bytes, text: str) -> None:
    assert headers.decode(raw) == text


PARAMETERS = {
    b"attachment; filename=a.glb": "a.glb",
    b'attachment; filename="a b.glb"': "a b.glb",
    b'attachment; FileName = "a.glb" ; size=3': "a.glb",
    b"attachment; filename=a b.glb": "a b.glb",
    b'attachment; filename="a \\"b\\".glb"': 'a "b".glb',
    b'attachment; filename="C:\\plans\\a.glb"': "C:\\plans\\a.glb",
    b'attachment; filename="sans fin.glb': "sans fin.glb",
    b'attachment; filename="mod\xe8le.glb"': "modèle.glb",
    b'attachment; filename="=?utf-8?B?bW9kw6g=?=\r\n =?utf-8?B?bGUuZ2xi?="': "modèle.glb",
    b"attachment; filename*=iso-8859-1'fr'mod%E8le.glb; filename=modele.glb": "modèle.glb",
    b"attachment; filename*0*=utf-8''pi%C3%A8ce%20; filename*1*=n%C2%B01; filename*2=\".stl\"": "pièce n°1.stl",
    b"attachment; filename*1=c.glb; filename*0=ab": "abc.glb",
    b"attachment; filename*=mod%C3%A8le.glb": "modèle.glb",
    b"attachment": None,
}


@pytest.mark.parametrize(("field", "filename"), PARAMETERS.items(), ids=repr)
def test_file_name_parameter_is_read_in_every_form(field: bytes, filename: str | None) -> None:
    disposition, parameters = headers.parameters(field)
    assert disposition == "attachment"
    assert parameters.get("filename") == filename


BEFORE = (b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"From a@example.com Mon Nov  2 10:00:00 2026\r\n")


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_header_is_found_after_leading_junk(before: bytes, line_end: bytes) -> None:
    message = before + line_end.join([b"From: a@example.com", b"Subject: x", b" y", b"", b"body"])
    header = headers.take_apart(message)
    assert header.fields == ((b"from", b"a@example.com"), (b"subject", b"x y"))
    assert message[header.body_at :] == b"body"
    assert bool(header.defects) == bool(before)


def test_invalid_header_line_before_fields_is_dropped() -> None:
    header = headers.take_apart(b"From: a@example.com\r\nno field\r\nSubject: x\r\n\r\nbody")
    assert header.fields == ((b"from", b"a@example.com"), (b"subject", b"x"))
    assert header.defects == ("line in the header that is no field",)


def test_invalid_line_after_last_field_begins_body() -> None:
    message = b"Subject: x\nBonjour,\nNote: trop claire\n\nCamille"
    header = headers.take_apart(message)
    assert header.fields == ((b"subject", b"x"),)
    assert message[header.body_at :] == b"Bonjour,\nNote: trop claire\n\nCamille"


@pytest.mark.parametrize("message", [b"", b"\r\n\r\n", b"Bonjour\r\nencore\r\n", b"Note: rien\n\nsuite"])
def test_text_without_known_field_is_all_body(message: bytes) -> None:
    header = headers.take_apart(message)
    assert header.fields == ()
    assert message[header.body_at :] == message.lstrip(b"\r\n")


DATES = {
    b"Tue, 3 Nov 2026 10:12:00 +0100": datetime(2026, 11, 3, 9, 12, tzinfo=UTC),
    b"3 Nov 2026 10:12 -0000": datetime(2026, 11, 3, 10, 12, tzinfo=UTC),
    b"Tue, 3 Nov 2026 10:12:00 +0100 (CET)": datetime(2026, 11, 3, 9, 12, tzinfo=UTC),
    b"": None,
    b"hier": None,
    b"Tue, 33 Nov 2026 10:12:00 +0100": None,
    b"Fri, 31 Dec 9999 23:59:00 -1200": None,
    b"Tue, 3 Nov 2026 10:12:00 +99999999": None,
    b"Tue, 3 Nov 99999999999999999999 10:12:00": None,
}


@pytest.mark.parametrize(("field", "moment"), DATES.items(), ids=repr)
def test_date_field_is_utc_datetime_or_none(field: bytes, moment: datetime | None) -> None:
    assert headers.date(field) == moment


def test_message_ids_keep_their_brackets_and_order() -> None:
    assert headers.message_ids(b"<a@x>\r\n <b@y> c@z <") == ("<a@x>", "<b@y>")


BARE = {
    b"a@x": ("<a@x>",),
    b" a@x,b@y ": ("<a@x>", "<b@y>"),
    b"<a@x> b@y\r\n\tc@z": ("<a@x>", "<b@y>", "<c@z>"),
    b"<a@x>,<b@y>": ("<a@x>", "<b@y>"),
    b"<a@x><b@y>": ("<a@x>", "<b@y>"),
    b"< a@x >": ("<a@x>",),
    b"<a@x.exam\r\n ple> <b@y>": ("<a@x.example>", "<b@y>"),
    b"=?us-ascii?Q?=3Ca=40x=3E?=\r\n =?us-ascii?Q?_=3Cb=40y=3E?=": ("<a@x>", "<b@y>"),
    b"Your message of Tuesday": (),
    b"Message from jean@example.org of Tuesday": (),
    b'Jean <a@x> "of Tuesday, b@y"': ("<a@x>",),
    b"": (),
}


@pytest.mark.parametrize(("field", "ids"), BARE.items(), ids=repr)
def test_message_ids_are_read_as_mailers_write_them(field: bytes, ids: tuple[str, ...]) -> None:
    assert headers.message_ids(field) == ids


@pytest.mark.parametrize(
    "piece",
    [
        b"=?",
        b"=?utf-8?q?x",
        b"=?utf-8?q?x?= ",
        b"a;",
        b'"',
        b"\\",
        b'x="',
        b"*0*=",
        b"(",
        b"\xe9",
        b"a@",
        b"a@b ",
        b"<a@b>",
    ],
)
def test_hostile_field_is_parsed_in_linear_time(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is read here, however long it is."""
    monkeypatch.setattr(headers, "_VALUE_BYTES", 1_000_000)

    def read(field: bytes) -> None:
        headers.decode(field)
        headers.parameters(field)
        headers.take_apart(b"Subject: " + field)
        headers.message_ids(field)
        headers.date(field)

    one_pass(read, piece)
