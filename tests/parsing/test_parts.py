"""Walk the parts of a message: which are its text, which are its files, and where the walk ends."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from poller.mime.skeleton import build_skeleton
from poller.model import Kind
from poller.parsing.parts import ByteSource, Leaf, leaves
from tests.parsing.helpers import HELLO, content, multipart, part, read

if TYPE_CHECKING:
    from pathlib import Path

GLB = b"glTF\x02\0\0\0\x14\0\0\0\0\0\0\0JSON{}  "
GLB_BASE64 = base64.b64encode(GLB)


def walked(path: Path, message: bytes, limit: int = 500) -> tuple[list[Leaf], list[str]]:
    """Return the leaves of a message, and what was given up."""
    (path / "spool").write_bytes(message)
    with (path / "spool").open("rb") as stream:
        return leaves(build_skeleton(stream), ByteSource(path / "spool", stream), limit)


def test_leaves_are_in_order_and_know_their_multiparts(tmp_path: Path) -> None:
    inner = multipart(HELLO, b"Content-Type: text/html\r\n\r\n<p>Bonjour", subtype=b"alternative", top=b"")
    found, losses = walked(tmp_path, multipart(inner, part(b"model/gltf-binary", GLB, b"a.glb")))
    assert [(leaf.content_type, leaf.name, leaf.within, bool(leaf.alternative)) for leaf in found] == [
        ("text/plain", "", ("multipart/mixed", "multipart/alternative"), True),
        ("text/html", "", ("multipart/mixed", "multipart/alternative"), True),
        ("model/gltf-binary", "a.glb", ("multipart/mixed",), False),
    ]
    assert [leaf.is_text() for leaf in found] == [True, True, False]
    assert losses == []


def test_leaves_beyond_limit_are_a_named_loss(tmp_path: Path) -> None:
    found, losses = walked(tmp_path, multipart(*[HELLO] * 4), limit=3)
    assert (len(found), losses) == (3, ["more parts than are read"])


def test_parts_nested_over_sixty_deep_are_a_named_loss(tmp_path: Path) -> None:
    tops = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(70))
    found, losses = walked(tmp_path, b"Subject: x\r\n" + tops + b"\r\nfond\r\n")
    assert (found, losses) == ([], ["message that breaks off", "parts nested over 60 deep"])


TEXTS = {
    "plain of two": (
        b"alternative",
        b"Content-Type: text/plain\r\n\r\nclair",
        b"Content-Type: text/html\r\n\r\n<p>html",
    ),
    "html where plain is empty": (b"alternative", b"\r\n \r\n", b"Content-Type: text/html\r\n\r\n<p>clair</p>"),
    "html where there is no plain": (b"mixed", b"Content-Type: text/html\r\n\r\n<p>clair</p>"),
    "markdown": (b"mixed", b"Content-Type: text/markdown\r\n\r\nclair"),
    "enriched": (b"mixed", b"Content-Type: text/enriched\r\n\r\n<bold>clair</bold>"),
    "plain before enriched": (b"alternative", b"\r\nclair", b"Content-Type: text/enriched\r\n\r\n<bold>clair</bold>"),
    "no content type": (b"mixed", b"\r\nclair"),
    "nonsense content type": (b"mixed", b"Content-Type: ;;;==\r\n\r\nclair"),
    "quoted-printable": (b"mixed", b"Content-Transfer-Encoding: Quoted-Printable \r\n\r\ncl=61ir"),
    "no closing line": (b"mixed", b'Content-Type: multipart/mixed; boundary="C"\r\n\r\nclair'),
}


@pytest.mark.parametrize(("subtype", "parts"), [(case[0], case[1:]) for case in TEXTS.values()], ids=TEXTS)
def test_text_is_found_in_every_multipart_form(subtype: bytes, parts: tuple[bytes, ...], tmp_path: Path) -> None:
    request = read(tmp_path, multipart(*parts, subtype=subtype))
    assert request.text.strip() == "clair"
    assert request.attachments == ()


@pytest.mark.parametrize("content_type", [b"text/x-amp-html", b"text/watch-html"])
def test_text_for_another_kind_of_client_is_no_attachment(content_type: bytes, tmp_path: Path) -> None:
    part = b"Content-Type: " + content_type + b"\r\n\r\n<b>Bonjour</b>"
    assert read(tmp_path, multipart(HELLO, part, subtype=b"alternative")).attachments == ()
    assert len(read(tmp_path, multipart(HELLO, part)).attachments) == 1


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
    request = read(tmp_path, multipart(HELLO, part, subtype=subtype))
    assert request.text == "Bonjour"
    (attachment,) = request.attachments
    assert content(attachment) == GLB
    assert (attachment.content_type, attachment.kind) == ("model/gltf-binary", Kind.MODEL)
    assert attachment.filename in {"a.glb", "piece-jointe-1.glb"}


def test_multipart_digest_parts_are_messages(tmp_path: Path) -> None:
    request = read(tmp_path, multipart(b"\r\nSubject: un\r\n\r\n1", b"\r\nSubject: deux\r\n\r\n2", subtype=b"digest"))
    assert ("Objet: un\n\n1\n" in request.text, request.text[-14:]) == (True, "Objet: deux\n\n2")
    assert request.attachments == ()


PDF = b"%PDF-1.4 " + bytes(range(256))
ODD_PARTS = {
    "a comment behind the type": b"Content-Type: application/pdf (a comment)\r\nContent-Transfer-Encoding: base64",
    "no semicolon": b"Content-Type: application/pdf name=devis.pdf\r\nContent-Transfer-Encoding: base64",
    "a type that is none": b"Content-Type: pdf\r\nContent-Transfer-Encoding: base64",
    "a quoted encoding": b'Content-Type: application/pdf\r\nContent-Transfer-Encoding: "base64"',
    "a comment behind the encoding": b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64 (c)",
}


@pytest.mark.parametrize("header", ODD_PARTS.values(), ids=ODD_PARTS)
def test_file_with_odd_header_is_an_attachment(header: bytes, tmp_path: Path) -> None:
    """Its bytes are what was sent, and none of them is in the text."""
    request = read(tmp_path, multipart(HELLO, header + b"\r\n\r\n" + base64.b64encode(PDF)))
    assert request.text == "Bonjour"
    assert [content(file) for file in request.attachments] == [PDF]


NAMED_TEXTS = {
    "a name": b'Content-Type: text/plain; name="message.txt"\r\n\r\nBonjour',
    "HTML with a name": b'Content-Type: text/html; name="mail.html"\r\nContent-Disposition: inline\r\n\r\n<p>Bonjour',
    "as an attachment": b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nBonjour",
}


@pytest.mark.parametrize("part", NAMED_TEXTS.values(), ids=NAMED_TEXTS)
def test_only_text_part_is_the_text_despite_file_name(part: bytes, tmp_path: Path) -> None:
    request = read(tmp_path, b"MIME-Version: 1.0\r\n" + part)
    assert request.text == "Bonjour"
    assert request.attachments == ()
