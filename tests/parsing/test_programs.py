"""What runs when it is opened is refused, whatever it is called; what does not is not."""

from __future__ import annotations

import struct

import pytest

from poller.parsing import file_types
from tests.support.effort import one_pass

GLB = b"glTF" + struct.pack("<II", 2, 12)
PNG = b"\x89PNG\r\n\x1a\n"
TEXT = b"Bonjour"
SVG = b'<?xml version="1.0"?><!-- x --><svg xmlns="x"><script>1</script></svg>'

REFUSED = {
    "a program": ("setup.exe", TEXT),
    "capitals": ("SETUP.EXE", TEXT),
    "two suffixes": ("facture.pdf.exe", b"%PDF-1.7"),
    "a right-to-left override taken out": ("facturefdp.exe", TEXT),
    "full-width letters": ("facture.\uff45\uff58\uff45", TEXT),
    "a dot behind": ("facture.exe.", TEXT),
    "a space before": ("facture. exe", TEXT),
    "a photograph called a program": ("photo.scr", PNG),
    "an inner suffix": ("plan.exe.glb", TEXT),
    "an inner suffix of three": ("plan.js.v2.obj", TEXT),
    "macros": ("devis.docm", b"PK\x03\x04"),
    "a shortcut": ("plan.lnk", TEXT),
    "a disk": ("plan.iso", TEXT),
    "a page": ("vue.html", TEXT),
    "a drawing that runs": ("logo.svg", SVG),
    "Windows": ("chaise.glb", b"MZ\x90\0\x03\0\0\0"),
    "Linux": ("chaise.glb", b"\x7fELF\x02\x01"),
    "macOS": ("chaise.glb", b"\xcf\xfa\xed\xfe"),
    "Java": ("chaise.glb", b"\xca\xfe\xba\xbe\0\0"),
    "a script": ("notes.txt", b"#!/bin/sh\nrm x"),
    "Flash": ("a.bin", b"CWS\x0aabcd"),
    "a page called a photograph": ("photo.png", b"\n<!-- x --><HTML><body>"),
    "a page in UTF-16": ("photo.png", "<html><script>".encode("utf-16")),
    "a page of unknown elements called a photograph": ("photo.png", b"\xef\xbb\xbf \n<a onclick=x>"),
    "such a page in UTF-16": ("photo.jpg", " <p>".encode("utf-16")),
    "a suffix cut off by a NUL": ("a.exe%00.glb", TEXT),
    "a suffix cut off by what a NUL became": ("a.exe_00.glb", TEXT),
    "a drawing called a photograph": ("photo.png", SVG),
    "a page behind a declaration": ("a.xml", b'<?xml version="1.0"?><!DOCTYPE html><html>'),
    "a style sheet that runs": ("a.xml", b'<xsl:stylesheet version="1.0">'),
}


@pytest.mark.parametrize(("name", "content"), REFUSED.values(), ids=REFUSED)
def test_executable_attachment_is_refused(name: str, content: bytes) -> None:
    assert file_types.refused(name, content, len(content))


ALLOWED = {
    "a model": ("chaise.glb", GLB),
    "a model with a domain in its name": ("chaise.example.com.glb", GLB),
    "a photograph with two suffixes": ("photo.exe.png", PNG),
    "a document with a domain in its name": ("devis www.example.com.pdf", b"%PDF-1.7"),
    "a text": ("notes.txt", b"MZ is no program\n" * 30),
    "VRML": ("a.wrl", b"#VRML V2.0 utf8\n"),
    "COLLADA": ("a.dae", b'<?xml version="1.0"?><COLLADA>'),
    "OBJ": ("a.obj", b"# Blender\n#! x\nv 0 0 0\n"),
    "COLLADA called a photograph": ("a.png", b"<COLLADA>"),
    "an unknown element in a text": ("a.txt", b"<a onclick=x>"),
    "a number": ("plan_00.v2_00.glb", TEXT),
    "no name": ("", GLB),
    "no suffix": ("exe", TEXT),
    "nothing": ("a.txt", b""),
}


@pytest.mark.parametrize(("name", "content"), ALLOWED.values(), ids=ALLOWED)
def test_harmless_attachment_is_accepted(name: str, content: bytes) -> None:
    assert not file_types.refused(name, content, len(content))


@pytest.mark.parametrize(
    "piece", [b"<!---->", b"<!--", b"<?x>", b"<!doctype x>", b" ", b"MZ", b"<a:", b"/**/", b"<!-- -->\n"]
)
def test_hostile_program_file_is_checked_quickly(piece: bytes) -> None:
    """Many comments in a row, which could be divided in as many ways as there are subsets of them."""
    one_pass(lambda head: file_types.refused("a.b", head, len(head)), piece)
