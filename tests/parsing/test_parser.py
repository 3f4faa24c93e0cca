"""Parse any message into a request, without losing a file in it."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

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


def test_mail_of_single_file_has_no_text(tmp_path: Path) -> None:
    request = parse(
        tmp_path, TOP + b"Content-Type: image/x-foo\r\nContent-Transfer-Encoding: base64\r\n\r\n" + GLB_BASE64
    )
    assert request.text == ""
    assert [content(file) for file in request.attachments] == [GLB]


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
