"""Any message becomes a request, and no file in it is lost."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from poller.mime import headers
from poller.mime.reference import reference_of, reference_of_content
from poller.model import Address, Attachment, Kind, Request
from poller.parsing import parser
from tests.support.effort import counted

MOST_CALLS = 5_000_000  # that any message may cost
MAILS = Path(__file__).parents[1] / "mails"
RECEIVED = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
TOP = b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: x\r\nDate: Tue, 3 Nov 2026 10:12:00 +0100\r\n"
GLB = b"glTF\x02\0\0\0\x14\0\0\0\0\0\0\0JSON{}  "
GLB_BASE64 = base64.b64encode(GLB)


def parse(path: Path, message: bytes | None = None) -> Request:
    if message is not None:
        path /= "spool"
        path.write_bytes(message)
    return parser.parse(path, "support@example.com", RECEIVED)


def content(attachment: Attachment) -> bytes:
    with attachment.content.open() as stream:
        return stream.read()


def multipart(subtype: bytes, *parts: bytes) -> bytes:
    lines = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts)
    return TOP + b'Content-Type: multipart/%b; boundary="B"\r\n\r\n' % subtype + lines + b"--B--\r\n"


def test_reply_text_is_read_as_written() -> None:
    request = parse(MAILS / "reply.eml")
    assert request.author == request.sender == Address("Camille Lévy", "Camille.Levy@portes-levy.example")
    assert request.subject == "Re: Porte en chêne"
    assert request.message_id == "<reply-1@portes-levy.example>"
    assert request.in_reply_to == ("<v3@studio.example>",)
    assert request.references == ("<v1@studio.example>", "<v3@studio.example>")
    assert request.sent_at == datetime(2026, 11, 3, 9, 12, tzinfo=UTC)
    assert request.received_at == RECEIVED
    assert request.header("To") == "support@example.com"
    assert request.text.startswith("Bonjour, la porte est trop claire.\n\nLe 2 nov. 2026")
    assert "> Voici la version 3." in request.text
    assert request.newest == "Bonjour, la porte est trop claire."
    assert request.attachments == request.defects == ()


def test_texts_between_files_are_joined() -> None:
    request = parse(MAILS / "apple.eml")
    assert request.text == "Voici la vue de face :\n\net le modele :"
    image, model = request.attachments
    assert (image.filename, image.content_type, image.kind, image.inline) == (
        "face.png",
        "image/png",
        Kind.IMAGE,
        False,
    )
    assert (model.filename, model.content_type, model.kind) == ("vase.glb", "model/gltf-binary", Kind.MODEL)
    assert content(model) == GLB
    assert model.size_bytes == len(GLB)


def test_html_is_the_text_when_plain_part_is_a_stub() -> None:
    request = parse(MAILS / "outlook.eml")
    assert "Bonjour, voici le [plan](https://example.com/plan) coté à jour." in request.text
    assert "HTML reader" not in request.text
    assert (request.author.addr_spec, request.sender.addr_spec) == ("marc@example.com", "atelier@example.com")


def test_newest_text_of_forward_is_whole_text() -> None:
    request = parse(MAILS / "outlook.eml")
    assert request.newest == request.text.strip()
    assert request.newest.endswith("Combien ?")


def test_image_in_html_is_inline_unless_also_attached() -> None:
    inline = {file.filename: file.inline for file in parse(MAILS / "outlook.eml").attachments}
    assert inline == {"logo.png": True, "photo.png": False}


def test_text_of_embedded_message_is_read() -> None:
    request = parse(MAILS / "nested.eml")
    assert [line for line in request.text.split("\n") if line] == [
        "Voir le mail joint.",
        "De: <client@example.com>",
        "Objet: commande",
        "Texte du client",
        "Objet: plus profond",
        "fond",
    ]
    assert request.attachments == request.defects == ()
    assert request.original_senders == (Address("", "client@example.com"),)


TEXTS = {
    "plain of two": (
        b"alternative",
        b"Content-Type: text/plain\r\n\r\nclair",
        b"Content-Type: text/html\r\n\r\n<p>html",
    ),
    "html where plain is empty": (b"alternative", b"\r\n \r\n", b"Content-Type: text/html\r\n\r\n<p>clair</p>"),
    "html where there is no plain": (b"mixed", b"Content-Type: text/html\r\n\r\n<p>clair</p>"),
    "enriched": (b"mixed", b"Content-Type: text/enriched\r\n\r\n<bold>clair</bold>"),
    "plain before enriched": (b"alternative", b"\r\nclair", b"Content-Type: text/enriched\r\n\r\n<bold>clair</bold>"),
    "no content type": (b"mixed", b"\r\nclair"),
    "nonsense content type": (b"mixed", b"Content-Type: ;;;==\r\n\r\nclair"),
    "quoted-printable": (b"mixed", b"Content-Transfer-Encoding: Quoted-Printable \r\n\r\ncl=61ir"),
    "no closing line": (b"mixed", b'Content-Type: multipart/mixed; boundary="C"\r\n\r\nclair'),
}


@pytest.mark.parametrize(("subtype", "parts"), [(case[0], case[1:]) for case in TEXTS.values()], ids=TEXTS)
def test_text_is_found_in_every_multipart_form(subtype: bytes, parts: tuple[bytes, ...], tmp_path: Path) -> None:
    request = parse(tmp_path, multipart(subtype, *parts))
    assert request.text.strip() == "clair"
    assert request.attachments == ()


FILES = {
    "attached": b"Content-Type: model/gltf-binary\r\nContent-Disposition: attachment; filename=a.glb",
    "no name, no disposition": b"Content-Type: application/octet-stream",
    "inline": b'Content-Type: application/octet-stream; name="a.glb"\r\nContent-Disposition: inline',
    "text with a name": b"Content-Type: text/plain; name=a.glb",
    "text that is attached": b"Content-Type: text/plain\r\nContent-Disposition: attachment",
    "html with a name": b'Content-Type: text/html; name="a.glb"',
    "type in capitals": b"CONTENT-TYPE: IMAGE/PNG",
}


@pytest.mark.parametrize("encoding", [b"base64", b"binary"])
@pytest.mark.parametrize("subtype", [b"mixed", b"related", b"alternative", b"signed", b"appledouble", b"x-unheard-of"])
@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_part_that_is_not_text_is_an_attachment(file: bytes, subtype: bytes, encoding: bytes, tmp_path: Path) -> None:
    raw = GLB_BASE64 if encoding == b"base64" else GLB
    part = file + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + raw
    request = parse(tmp_path, multipart(subtype, b"Content-Type: text/plain\r\n\r\nBonjour", part))
    assert request.text == "Bonjour"
    (attachment,) = request.attachments
    assert content(attachment) == GLB
    assert (attachment.content_type, attachment.kind) == ("model/gltf-binary", Kind.MODEL)
    assert attachment.filename in {"a.glb", "piece-jointe-1.glb"}


def test_mail_of_single_file_has_no_text(tmp_path: Path) -> None:
    request = parse(
        tmp_path, TOP + b"Content-Type: image/x-foo\r\nContent-Transfer-Encoding: base64\r\n\r\n" + GLB_BASE64
    )
    assert request.text == ""
    assert [content(file) for file in request.attachments] == [GLB]


def test_multipart_digest_parts_are_messages(tmp_path: Path) -> None:
    request = parse(tmp_path, multipart(b"digest", b"\r\nSubject: un\r\n\r\n1", b"\r\nSubject: deux\r\n\r\n2"))
    assert ("Objet: un\n\n1\n" in request.text, request.text[-14:]) == (True, "Objet: deux\n\n2")
    assert request.attachments == ()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:\\plans\\table.stl", "table.stl"),
        ("facture\u202efdp.exe".encode(), "facturefdp.exe"),
        ("Pièce n°1.stl".encode(), "Pièce n°1.stl"),
        (b"=?utf-8?q?a=0D=0AX-Evil=3A1.glb?=", "a X-Evil_1.glb"),
        (b"x" * 300 + b".glb", "x" * 146 + ".glb"),
    ],
)
def test_attachment_file_name_is_made_safe(name: bytes, safe: str, tmp_path: Path) -> None:
    part = b'Content-Type: a/b\r\nContent-Disposition: attachment; filename="%b"\r\n\r\nx' % name
    assert [file.filename for file in parse(tmp_path, multipart(b"mixed", part)).attachments] == [safe]


def test_reference_is_digest_of_account_and_four_fields() -> None:
    fields = [
        b"support@example.com",
        b"<reply-1@portes-levy.example>",
        b"=?utf-8?q?Camille_L=C3=A9vy?= <Camille.Levy@Portes-Levy.example>",
        b"Tue, 3 Nov 2026 10:12:00 +0100",
        b"=?utf-8?B?UmU6IFBvcnRlIGVuIGNow6puZQ==?=",
    ]
    assert parse(MAILS / "reply.eml").reference == hashlib.sha256(b"\0".join(fields)).hexdigest()[:16]


BROKEN = {
    "as it should be": TOP,
    "folded": TOP.replace(b"Subject: x", b"Subject: x\r\n\ty"),
    "byte order mark": b"\xef\xbb\xbf" + TOP,
    "mbox line": b"From a@example.com Tue Nov  3 10:12:00 2026\r\n" + TOP,
    "line that is no field": b"From: z\r\nbonjour\r\n" + TOP,
    "LF": TOP.replace(b"\r\n", b"\n"),
    "CR": TOP.replace(b"\r\n", b"\r"),
    "NUL": TOP.replace(b"Subject: x", b"Subject: \0"),
    "raw 8-bit": TOP.replace(b"Subject: x", b"Subject: \xe9"),
    "no angle brackets": TOP.replace(b"<1@example.com>", b"1@example.com"),
    "half an id": TOP.replace(b"<1@example.com>", b"<"),
    "too long": TOP + b"X-A: " + b"x" * 1_000_000 + b"\r\n",
    "blank line first": b"\r\n" + TOP,
    "no message id": TOP.replace(b"Message-ID", b"X-Id"),
    "no date": TOP.replace(b"Date", b"X-Date"),
    "empty date": TOP.replace(b"Tue, 3 Nov 2026 10:12:00 +0100", b" "),
    "empty message id": TOP.replace(b"<1@example.com>", b""),
    "no header": b"bonjour\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("top", BROKEN.values(), ids=BROKEN)
def test_reference_from_header_equals_that_of_request(top: bytes, tmp_path: Path) -> None:
    message = top + b"\r\nBonjour"
    # A server gives what stands before the first blank line, and our mailbox the first 256 KB of it.
    end = headers.END_OF_HEADER.search(message)
    header = b"\r\n" if message.startswith(b"\r\n") else message[: end.end() if end else None][: headers.HEADER_BYTES]
    request = parse(tmp_path, message)
    from_header = reference_of("support@example.com", header)
    assert request.reference == (from_header or reference_of_content("support@example.com", tmp_path / "spool"))
    assert len(request.reference) == 16
    assert request.message_id.startswith("<")
    assert request.message_id.endswith(">")


def test_reference_differs_by_account_and_mail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    found = {
        reference_of("a", TOP),
        reference_of("b", TOP),
        reference_of("a", TOP.replace(b"<1@", b"<2@")),
        reference_of_content("a", tmp_path / "a"),
        reference_of_content("b", tmp_path / "a"),
        reference_of_content("a", tmp_path / "b"),
    }
    assert len(found) == 6


FORM = TOP.replace(b"Date", b"X-Date") + b"To: support@example.com\r\n\r\nBonjour"
SAME = {
    "another way here": b"Received: from a by b; Sun, 22 Nov 2026 10:00:01 +0100\r\nDelivered-To: c@example.com\r\n"
    + FORM,
    "marked on the way": FORM.replace(b"Subject", b"X-Spam: no\r\nDKIM-Signature: v=1;\r\n b=x\r\nSubject"),
    "folded": FORM.replace(b"Subject: ", b"Subject:\r\n "),
    "mbox line": b"From a@example.com Tue Nov  3 10:12:00 2026\r\n" + FORM,
}
OTHER = {
    "body": FORM + b".",
    "From": FORM.replace(b"From: a@", b"From: b@"),
    "To": FORM.replace(b"To: support@", b"To: contact@"),
    "Subject": FORM.replace(b"Subject: x", b"Subject: y"),
    "Message-ID": FORM.replace(b"<1@", b"<2@"),
}


@pytest.mark.parametrize(
    ("message", "same"), [(FORM, True), *((m, True) for m in SAME.values()), *((m, False) for m in OTHER.values())]
)
def test_reference_without_date_uses_content_of_sender(message: bytes, same: bool, tmp_path: Path) -> None:
    """A form with one Message-ID for all its customers loses none; two aliases' copies of a mail are one."""
    reference = parse(tmp_path, FORM).reference
    assert (parse(tmp_path, message).reference == reference) is same
    assert reference_of("support@example.com", message) is None


def test_reference_without_date_uses_whole_message(tmp_path: Path) -> None:
    """The one byte that is different may come after megabytes that are not."""
    first, second = (parse(tmp_path, FORM + b"\r\n" * 2_000_000 + end).reference for end in (b"a", b"b"))
    assert first != second


def nested(depth: int) -> bytes:
    tops = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))
    return TOP + tops + b"\r\nfond\r\n"


BEYOND = {
    "70 nested parts": nested(70),
    "1,000 nested parts": nested(1000),
    "10,000 nested parts": nested(10_000),
    "600 parts": multipart(b"mixed", *[b"Content-Type: a/b\r\n\r\nx"] * 600),
    "10,000 parts": multipart(b"mixed", *[b"Content-Type: text/plain\r\n\r\nx"] * 10_000),
    "100,000 boundary lines": TOP + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + b"--B\r\n\r\n" * 100_000,
    "1 MB header": TOP + b"X-A: " + b"x" * 1_000_000 + b"\r\n\r\nBonjour",
    "20,000 addresses": TOP + b"To: " + b"client@example.com,\r\n " * 20_000 + b"z@example.com\r\n\r\nBonjour",
    "a header without end": b"X-A: b\r\n" * 100_000 + TOP,
    "100,001 characters": TOP + b"\r\n" + b"mot " * 25_001,
    "2 MB of HTML": TOP + b"Content-Type: text/html\r\n\r\n" + b"<p>mot mot mot</p>\r\n" * 100_000,
    "2,000 nested messages": multipart(b"mixed", *[b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny"] * 2000),
}


@pytest.mark.parametrize("message", BEYOND.values(), ids=BEYOND)
def test_mail_beyond_limits_is_attached_as_a_whole(message: bytes, tmp_path: Path) -> None:
    with counted(MOST_CALLS):
        request = parse(tmp_path, message)
    assert request.defects
    assert all(defect.isascii() and len(defect) < 60 and "example" not in defect for defect in request.defects)
    last = request.attachments[-1]
    assert (last.filename, last.content_type, last.size_bytes) == (
        "message-complet.eml",
        "message/rfc822",
        len(message),
    )
    assert content(last) == message
    assert len(request.attachments) <= 501
    assert len(request.text) <= 100_000


ODD = {
    "semicolons": multipart(b"mixed", *[b"Content-Type: a/b" + b";" * 7000 + b"\r\n\r\nx"] * 500),
    "empty": b"",
    "blank": b"\r\n\r\n",
    "NUL": bytes(5000),
    "every byte": bytes(range(256)) * 100,
    "half a message id": b"Message-ID: <\r\nFrom: a@example.com\r\n\r\nBonjour",
    "2,000 comments": b"From: " + b"(" * 2000 + b"\r\n\r\nBonjour",
    "3,000 parameters": TOP + b"Content-Type: a/b" + b"; n*0=x" * 3000 + b"\r\n\r\nBonjour",
    "a message that is a message": TOP + b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz",
    "encoded words": TOP + b"Subject: " + b"=?utf-8?q?x?= " * 15_000 + b"\r\n\r\nBonjour",
    "codec that is none": TOP + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 200_000,
    "soft breaks": TOP + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 300_000,
    "marks": TOP + b"Content-Type: text/plain; charset=utf-8\r\n\r\ne" + "\u0301\u0323".encode() * 45_000,
}  # fmt: skip


@pytest.mark.parametrize("message", ODD.values(), ids=ODD)
def test_parse_does_not_raise_for_odd_message(message: bytes, tmp_path: Path) -> None:
    with counted(MOST_CALLS):
        request = parse(tmp_path, message)
    assert "\0" not in request.text + request.subject


MEASURE = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from poller.parsing import parser
small, big = map(Path, sys.argv[1:])
parser.parse(small, "a", datetime.now(UTC))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(file,) = parser.parse(big, "a", datetime.now(UTC)).attachments
with file.content.open() as stream:
    while stream.read(1 << 20):
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file.size_bytes, file.kind)
"""


@pytest.mark.parametrize(
    ("encoding", "line", "decoded_bytes"),
    [
        (b"base64", b"Z2xU" * 19 + b"\r\n", 57),
        (b"8bit", b"v 1.25 -0.5 3\r\n", 15),
        (b"quoted-printable", b"v 1 =C3=A9\r\n", 8),
    ],
)
def test_parse_memory_is_bounded_for_large_mail(
    encoding: bytes, line: bytes, decoded_bytes: int, tmp_path: Path
) -> None:
    """A mail of 100 MB is parsed, and its file read, with less than 40 MB over what a small one takes."""
    block = line * (1_000_000 // len(line))
    with (tmp_path / "big").open("wb") as spool:
        spool.write(multipart(b"mixed", b"\r\nBonjour").removesuffix(b"--B--\r\n"))
        spool.write(b"--B\r\nContent-Type: a/b; name=a.obj\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n")
        for _ in range(100):
            spool.write(block)
        spool.write(b"\r\n--B--\r\n")
    command = [sys.executable, "-c", MEASURE, str(MAILS / "outlook.eml"), str(tmp_path / "big")]
    root = Path(parser.__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    grown_kb, size_bytes, kind = done.stdout.split()
    assert int(size_bytes) == 100 * (len(block) // len(line)) * decoded_bytes
    assert kind == "model"
    assert int(grown_kb) < 40_000
