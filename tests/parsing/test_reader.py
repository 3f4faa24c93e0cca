"""Open what mail clients wrap a mail in: its text becomes the mail's, and so do its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.mime import body
from poller.model import Address, Kind
from poller.parsing import parser, reader
from poller.triage.screening import screen
from tests.parsing.helpers import HELLO, RECEIVED, TOP, content, multipart, part, read
from tests.support.containers import (
    BINARY,
    MESSAGE,
    OBJECT,
    STRING,
    TIME,
    UNICODE,
    attribute,
    certificates,
    enveloped,
    packed,
    rich_text,
    signed,
    uuencoded,
    winmail,
)
from tests.support.effort import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_CALLS = 12_000_000  # that any mail may cost
GLB = b"glTF\x02\0\0\0\x14\0\0\0\0\0\0\0JSON{}  " + bytes(range(256)) * 40
CUSTOMER = (
    b"From: =?utf-8?q?Zo=C3=A9?= <zoe@client.example>\r\nDate: Mon, 2 Nov 2026 08:00:00 +0100\r\nSubject: commande\r\n"
)


def outlook(raw: bytes) -> bytes:
    return part(b"application/ms-tnef", raw, b"winmail.dat")


def message(raw: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" + raw


def smime(raw: bytes) -> bytes:
    return part(b"application/pkcs7-mime; smime-type=signed-data", raw, b"smime.p7m")


FORWARDED = multipart(
    b"Content-Type: text/plain\r\n\r\nTexte du client", part(b"model/gltf-binary", GLB, b"a.glb"), top=CUSTOMER
)
MAIL_IN_OUTLOOK = {
    0x0037: (STRING, b"commande\0"),
    0x0042: (UNICODE, "Zoé\0".encode("utf-16-le")),
    0x5D02: (STRING, b"zoe@client.example\0"),
    0x0039: (TIME, (134_070_000_000_000_000).to_bytes(8, "little")),
    0x1000: (STRING, "Texte du client, été".encode("cp1252")),
}
OUTLOOK_FILE = (b"A~1.GLB", GLB, {0x3707: (UNICODE, "à plat.glb\0".encode("utf-16-le"))})

WINMAIL = winmail(MAIL_IN_OUTLOOK, OUTLOOK_FILE)
ENTITY = FORWARDED.partition(b"commande\r\n")[2]  # without the header fields of a message
WRAPPED = {
    "winmail.dat": multipart(outlook(WINMAIL)),
    "winmail.dat by its name": multipart(part(b"application/octet-stream", WINMAIL, b"WINMAIL.DAT")),
    "winmail.dat by its content": multipart(part(b"application/octet-stream", WINMAIL, b"ATT1.bin")),
    "opaque signature": multipart(smime(signed(ENTITY))),
    "opaque signature in pieces": multipart(smime(signed(ENTITY, pieces=100))),
    "opaque signature by its name": multipart(part(b"application/octet-stream", signed(ENTITY), b"smime.p7m")),
    "the whole mail is signed": TOP % b"x" + smime(signed(ENTITY)),
    "forwarded message": multipart(message(FORWARDED)),
    "forwarded message in base64": multipart(part(b"message/rfc822", FORWARDED)),
    "forwarded message by its name": multipart(part(b"application/octet-stream", FORWARDED, b"commande.eml")),
    "the whole mail is a message": TOP % b"x" + message(FORWARDED),
    "uuencoded": TOP % b"x" + b"\r\nTexte du client\n" + uuencoded("a.glb", GLB) + b"\nfin\n",
    "uuencoded with spaces": TOP % b"x" + b"\r\nTexte du client\n" + uuencoded("a.glb", GLB, zero=b" "),
    "uuencoded in base64": multipart(part(b"text/plain", b"Texte du client\n" + uuencoded("a.glb", GLB))),
    "three deep": multipart(message(multipart(smime(signed(multipart(outlook(WINMAIL), top=b"")))))),
}  # fmt: skip


@pytest.mark.parametrize("mail", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_text_and_files_are_read(mail: bytes, tmp_path: Path) -> None:
    """The wrapping itself is no file any more, for everything in it was read."""
    request = read(tmp_path, mail)
    assert "Texte du client" in request.text
    assert "begin 644" not in request.text
    (file,) = request.attachments
    assert (file.filename in {"a.glb", "à plat.glb"}, file.kind, file.size_bytes) == (True, Kind.MODEL, len(GLB))
    assert content(file) == GLB
    assert request.defects == ()


def test_forwarded_message_text_names_its_author(tmp_path: Path) -> None:
    """Its text stands below the mail's own, which is what is new."""
    request = read(tmp_path, multipart(HELLO, message(FORWARDED)))
    heading = "De: Zoé <zoe@client.example>\nDate: Mon, 2 Nov 2026 08:00:00 +0100\nObjet: commande"
    assert request.text == f"Bonjour\n\n{heading}\n\nTexte du client"
    assert request.newest == "Bonjour"
    assert request.original_senders[0] == Address("Zoé", "zoe@client.example")


@pytest.mark.parametrize("subject", [b"x", b"TR: commande"])
def test_forward_without_own_text_is_newest_as_a_whole(subject: bytes, tmp_path: Path) -> None:
    request = read(tmp_path, multipart(message(FORWARDED), subject=subject))
    assert request.newest == request.text
    assert request.newest.endswith("Texte du client")


def test_outlook_embedded_mail_is_a_forwarded_message(tmp_path: Path) -> None:
    embedded = MESSAGE + WINMAIL
    outer = winmail({0x1000: (STRING, b"Bonjour")}, (b"mail", b"", {0x3701: (OBJECT, embedded)}))
    request = read(tmp_path, multipart(outlook(outer)))
    assert request.text.startswith("Bonjour\n\nDe: Zoé <zoe@client.example>\nDate: 2025-11-")
    assert request.original_senders[0] == Address("Zoé", "zoe@client.example")
    assert [content(file) for file in request.attachments] == [GLB]


def test_text_beside_winmail_dat_is_the_mail_text(tmp_path: Path) -> None:
    request = read(tmp_path, multipart(HELLO, outlook(winmail(MAIL_IN_OUTLOOK))))
    assert request.text == "Bonjour"
    assert request.attachments == ()


OUTLOOK_TEXTS = {
    "plain": {0x1000: (UNICODE, "Chaise dorée".encode("utf-16-le"))},
    "HTML": {0x1013: (BINARY, "<p>Chaise <b>dorée</b></p>".encode()), 0x3FDE: (3, (65001).to_bytes(4, "little"))},
    "rich text": {0x1009: (BINARY, rich_text(rb"{\rtf1\ansi\ansicpg1252 {\fonttbl Arial;}Chaise dor\'e9e\par}"))},
}


@pytest.mark.parametrize("values", OUTLOOK_TEXTS.values(), ids=OUTLOOK_TEXTS)
def test_winmail_dat_text_is_read_in_every_form(values: dict[int, tuple[int, bytes]], tmp_path: Path) -> None:
    assert read(tmp_path, multipart(outlook(winmail(values)))).text == "Chaise dorée"


BROKEN = {
    "winmail.dat cut off": outlook(WINMAIL[:2000]),
    "no winmail.dat": outlook(b"rien"),
    "signature cut off": smime(signed(FORWARDED)[:900]),
    "no signature": smime(b"rien"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_broken_wrapping_stays_an_attachment(broken: bytes, tmp_path: Path) -> None:
    request = read(tmp_path, multipart(HELLO, broken))
    assert request.attachments[0].filename in {"winmail.dat", "smime.p7m"}
    assert request.attachments[0].kind is Kind.OTHER
    assert len(request.defects) == 1
    assert request.text == "Bonjour"


ENCRYPTED = {
    "S/MIME": (multipart(smime(enveloped())), 1),
    "PGP/MIME": (
        multipart(
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
            b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----",
            subtype=b"encrypted",
        ),
        2,
    ),
    "PGP in the text": (TOP % b"x" + b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc", 0),
}


@pytest.mark.parametrize(("mail", "files"), ENCRYPTED.values(), ids=ENCRYPTED)
def test_encrypted_mail_is_reported(mail: bytes, files: int, tmp_path: Path) -> None:
    request = read(tmp_path, mail)
    assert request.defects == ("encrypted message",)
    assert len(request.attachments) == files


def test_html_in_many_messages_is_read_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The effort grows with what may be rendered. So a tenth of that may cost a tenth of what any mail may cost."""
    most_calls = MOST_CALLS * 30_000 // body.RENDERED_CHARS
    monkeypatch.setattr(body, "RENDERED_CHARS", 30_000)
    page = part(b"text/html", b"<table><tr>" + b"<td>x" * 4000)
    mail = multipart(*(message(multipart(page)) for _ in range(8)))
    with counted(most_calls):
        found = read(tmp_path, mail)
    assert "x" in found.text


def test_forwarded_calendar_reply_is_dispatched(tmp_path: Path) -> None:
    reply = multipart(part(b"text/calendar; method=REPLY", b"METHOD:REPLY\r\n"))
    found = read(tmp_path, multipart(part(b"text/plain", b"Elle ne viendra pas : on annule ?"), message(reply)))
    assert any(each.content_type == "text/calendar" for each in found.attachments)
    assert screen(found) is None
    assert screen(read(tmp_path, reply)) == "calendar reply"


def test_charset_that_python_warns_about_is_accepted(tmp_path: Path) -> None:
    body = b"Content-Type: text/plain; charset=unicode_escape\r\n\r\nOui \\(bien s\xc3\xbbr\\)\r\n"
    assert read(tmp_path, b"From: a@b.example\r\n" + body).text.startswith("Oui ")


def test_signatures_and_signed_files_stay_attachments(tmp_path: Path) -> None:
    """A certificate, and an invoice in an envelope of its own. The signatures of the mail itself are no files."""
    request = read(
        tmp_path,
        multipart(
            HELLO,
            part(b"application/pkcs7-signature", signed(b""), b"smime.p7s"),
            part(b"application/pgp-signature", b"x", b"signature.asc"),
            part(b"application/pkcs7-mime", signed(b"<Facture/>"), b"facture.xml.p7m"),
            part(b"application/pkcs7-mime", certificates(), b"moi.p7c"),
        ),
    )
    names = [file.filename for file in request.attachments]
    assert [file.incidental for file in request.attachments] == [True, True, False, False]
    assert names == ["smime.p7s", "signature.asc", "facture.xml.p7m", "moi.p7c"]
    assert request.defects == ()
    assert {file.kind for file in request.attachments} == {Kind.OTHER}


def test_returned_message_in_bounce_is_no_forward(tmp_path: Path) -> None:
    report = multipart(
        HELLO, b"Content-Type: message/delivery-status\r\n\r\nx: y", message(FORWARDED), subtype=b"report"
    )
    request = read(tmp_path, report)
    assert request.text == "Bonjour"
    assert request.original_senders == ()
    assert [file.content_type for file in request.attachments] == ["application/octet-stream", "message/rfc822"]


def test_incompletely_read_message_stays_an_attachment(tmp_path: Path) -> None:
    lossy = multipart(*[b"Content-Type: image/x-a\r\n\r\nx"] * 600, top=CUSTOMER)
    request = read(tmp_path, multipart(HELLO, message(lossy)))
    assert request.attachments[0].content_type == "message/rfc822"
    assert content(request.attachments[0]) == lossy
    assert request.defects == ("more parts than are read",)


def test_links_of_all_text_parts_are_listed(tmp_path: Path) -> None:
    html = b'Content-Type: text/html\r\n\r\n<a href="https://we.tl/t-1">ici</a>'
    inner = multipart(b"Content-Type: text/plain\r\n\r\nhttps://we.tl/t-2", top=CUSTOMER)
    assert read(tmp_path, multipart(html, message(inner))).links == ("https://we.tl/t-1", "https://we.tl/t-2")


def in_messages(mail: bytes, depth: int) -> bytes:
    for _ in range(depth):
        mail = b"From: a@b.example\r\nSubject: x\r\nContent-Type: message/rfc822\r\n\r\n" + mail
    return mail


def in_outlook(depth: int) -> bytes:
    mail = winmail({}, (b"a.glb", GLB, {}))
    for _ in range(depth):
        mail = winmail({}, (b"mail", b"", {0x3701: (OBJECT, MESSAGE + mail)}))
    return mail


BOMBS = {
    "1,000 messages in each other": lambda: in_messages(b"\r\nfond", 1000),
    "300 mails in each other in a winmail.dat": lambda: multipart(outlook(in_outlook(300))),
    "400 winmail.dat": lambda: multipart(*[outlook(winmail({}, *[(b"a.glb", b"x", {})] * 20))] * 400),
    "a winmail.dat of attributes": lambda: multipart(outlook(winmail({}) + b"\1\0\0\0\0\0\0\0\0\0\0" * 200_000)),
    "a winmail.dat of properties": lambda: multipart(outlook(winmail({}) + winmail({})[6:] * 20_000)),
    "a count that lies": lambda: multipart(outlook(winmail({}) + attribute(1, 0x00069003, b"\xff\xff\xff\xff"))),
    "properties of no length": lambda: multipart(
        outlook(winmail({}) + attribute(1, 0x00069003, b"\xff\xff\xff\xff" + b"\1\0\0\x30" * 2_000_000))
    ),
    "rich text": lambda: multipart(outlook(winmail({0x1009: (BINARY, rich_text(rb"{\rtf1 " + rb"\'e9" * 120_000))}))),
    "packed rich text": lambda: multipart(
        outlook(winmail({0x1009: (BINARY, packed((b"\xff" + b"\x00\x0e" * 8) * 5000))}))
    ),
    "a signature of pieces": lambda: multipart(
        smime(signed(b"Content-Type: text/plain\r\n\r\n" + b"x" * 200_000, pieces=1))
    ),
    "a signature without end": lambda: multipart(smime(b"\x30\x80" * 100_000)),
    "100,000 files in the text": lambda: TOP % b"x" + b"\r\n" + uuencoded("a", b"x") * 100_000,
    "100,000 beginnings in the text": lambda: TOP % b"x" + b"\r\n" + b"begin 644 a\nM" * 100_000,
    "1,100,000 lines": lambda: TOP % b"x" + b"\r\n" + b"\n" * 1_100_000,
}  # fmt: skip


@pytest.mark.parametrize("mail", BOMBS.values(), ids=BOMBS)
def test_opening_wrappings_takes_bounded_time(mail: Callable[[], bytes], tmp_path: Path) -> None:
    """The work is bounded whatever is wrapped in whatever, and what was not opened is a file."""
    (tmp_path / "spool").write_bytes(mail())
    with counted(MOST_CALLS):
        request = parser.parse(tmp_path / "spool", "support@example.com", RECEIVED)
    assert request.defects
    assert request.attachments
    assert len(request.attachments) <= 502


def test_wrapping_beyond_byte_limit_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are counted over the whole mail, and again for each wrapping within a wrapping."""
    monkeypatch.setattr(reader, "OPENED_BYTES", 2 * len(FORWARDED) + 100)
    request = read(tmp_path, multipart(message(FORWARDED), message(FORWARDED), message(FORWARDED)))
    assert [file.content_type for file in request.attachments] == ["model/gltf-binary"] * 2 + ["message/rfc822"]
    assert request.defects == ("over 100 MB wrapped",)


def test_wrappings_are_opened_to_depth_five(tmp_path: Path) -> None:
    request = read(tmp_path, in_messages(b"Subject: fond\r\n\r\nau fond", 5))
    assert (request.text[-7:], request.attachments, request.defects) == ("au fond", (), ())
    request = read(tmp_path, in_messages(b"Subject: fond\r\n\r\nau fond", 6))
    assert "au fond" not in request.text
    assert content(request.attachments[0]) == b"Subject: fond\r\n\r\nau fond"
    assert request.defects == ("wrapped over 5 deep",)


@pytest.mark.parametrize("name", [b"ATT00001.txt", b"ATT00002.htm", b"att00003.html", b"ATT00004..txt", b"ATT0005.txt"])
def test_text_below_attachment_is_read_though_exchange_names_it(name: bytes, tmp_path: Path) -> None:
    rest = part(b"text/plain" if name.endswith(b"txt") else b"text/html", b"Avec des accoudoirs.", name)
    rest = rest.replace(b"\r\n", b'\r\nContent-Disposition: attachment; filename="%b"\r\n' % name, 1)
    request = read(tmp_path, multipart(HELLO, part(b"application/pdf", b"%PDF-1.4", b"plan.pdf"), rest))
    assert request.text.split("\n\n") == ["Bonjour", "Avec des accoudoirs."]
    assert [file.filename for file in request.attachments] == ["plan.pdf"]


ATTACHED = b"\r\nContent-Disposition: attachment"
SIGNATURES = {
    "S/MIME": (b"application/pkcs7-signature", b"smime.p7s", b"signed", []),
    "S/MIME of old": (b"application/x-pkcs7-signature", b"smime.p7s", b"mixed", []),
    "S/MIME without its type": (b"application/octet-stream", b"smime.p7s", b"mixed", []),
    "PGP": (b"application/pgp-signature", b"OpenPGP_signature.asc", b"signed", []),
    "a card beside the text": (b"text/vcard", b"jeanne.vcf", b"mixed", []),
    "a card that was attached": (b"text/x-vcard", b"jeanne.vcf", b"mixed", ["jeanne.vcf"]),
    "a signed contract": (b"application/pkcs7-signature", b"contrat.pdf.p7s", b"mixed", ["contrat.pdf.p7s"]),
}


@pytest.mark.parametrize(("content_type", "name", "subtype", "names"), SIGNATURES.values(), ids=SIGNATURES)
def test_signature_of_mail_is_no_file(
    content_type: bytes, name: bytes, subtype: bytes, names: list[str], tmp_path: Path
) -> None:
    signature = part(content_type, b"0\x80\x06x", name)
    if names:
        signature = signature.replace(b"\r\n", ATTACHED + b"\r\n", 1)
    request = read(tmp_path, multipart(HELLO, signature, subtype=subtype))
    assert request.text == "Bonjour"
    assert [file.filename for file in request.attachments if not file.incidental] == names
    assert len(request.attachments) == 1
    assert request.defects == ()


LOST = {
    "part whose encoding cannot be read": multipart(
        HELLO, b"Content-Type: a/b; name=x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\npas de lignes"
    ),
    "multipart without parts": TOP % b"x"
    + b'Content-Type: multipart/mixed; boundary="D"\r\n\r\nContent-Type: text/html\r\n\r\nx',
    "MIME parts in the text": multipart(
        b"Content-Type: text/plain\r\n\r\nx\r\n--autre\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx"
    ),
    "message that breaks off": multipart(HELLO).rpartition(b"\r\n--")[0],
    "text below the last part": multipart(HELLO) + b"\r\n\r\nEt la suite",
    "text before the first part": multipart(HELLO).replace(b"\r\n\r\n--", b"\r\n\r\nBonjour\r\n--"),
    "part header over 256 KB": multipart(HELLO, b"X-A: y\r\n" * 50_000 + b"Content-Type: image/png\r\n\r\n\x89PNG"),
}


@pytest.mark.parametrize("loss", LOST)
def test_content_that_cannot_be_read_is_named_and_whole_mail_attached(loss: str, tmp_path: Path) -> None:
    request = read(tmp_path, LOST[loss])
    assert loss in request.defects
    assert content(request.attachments[-1]) == LOST[loss]


def test_text_below_the_end_that_looks_like_a_field_is_named(tmp_path: Path) -> None:
    """Nothing below the end of a multipart is a part's header."""
    raw = multipart(HELLO) + b"\r\nPS: en rouge, merci\r\n"
    request = read(tmp_path, raw)
    assert request.defects == ("text below the last part",)
    assert content(request.attachments[-1]) == raw


WITH_MODEL = multipart(HELLO, part(b"model/gltf-binary", b"glTF\2\0\0\0", b"a.glb"))
ODD = {
    "carriage returns doubled": WITH_MODEL.replace(b"\r\n", b"\r\r\n"),
    "spaces before colons": WITH_MODEL.replace(b"-Type:", b"-Type :").replace(b"Encoding:", b"Encoding :"),
    "NUL in fields": WITH_MODEL.replace(b"Content", b"Con\0tent"),
    "blank line before fields": WITH_MODEL.replace(b"\r\nContent-Type: model", b"\r\n\r\nContent-Type: model"),
    "no blank line before parts": WITH_MODEL.replace(b"\r\n\r\n--", b"\r\n--", 1),
    "encoding misspelt": WITH_MODEL.replace(b": base64", b": Base 64"),
    "type misspelt": WITH_MODEL.replace(b"multipart/", b"multi-part/"),
    "type of one text": WITH_MODEL.replace(b"multipart/mixed", b"text/plain"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_mail_is_read_as_if_it_were_right(odd: str, tmp_path: Path) -> None:
    request = read(tmp_path, ODD[odd])
    assert request.text == "Bonjour"
    assert [(file.filename, content(file)) for file in request.attachments] == [("a.glb", b"glTF\2\0\0\0")]


def test_model_below_long_part_header_is_kept(tmp_path: Path) -> None:
    model = b"X-A: " + b"x" * 20_000 + b"\r\n" + part(b"model/gltf-binary", b"glTF\2\0\0\0", b"a.glb")
    request = read(tmp_path, multipart(HELLO, model))
    assert [(file.filename, content(file)) for file in request.attachments] == [("a.glb", b"glTF\2\0\0\0")]
    assert request.defects == ()
