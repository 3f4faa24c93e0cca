"""Detect what a file is by its bytes, its name, and last by its declared type; refuse what runs when opened."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from poller.model import Attachment, Kind
from poller.parsing.file_types import opens_as, refused, sniff, suffix_of
from poller.parsing.magic import HEAD_BYTES
from tests.support.effort import counted, one_pass

BINARY_STL = b"solid exported by a liar".ljust(80) + struct.pack("<I", 2) + bytes(100)
OBJ = b"# Blender\no vase\nv 0 0 0\nv 1.0 0 0\nv 0 -1e-3 0\nvn 0 0 1\nf 1//1 2//1 3//1\n"
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
STEP = b"ISO-10303-21;\nHEADER;\nFILE_SCHEMA(('AUTOMOTIVE_DESIGN'));\nENDSEC;\n"
COLLADA = '<?xml version="1.0"?>\n<!-- x -->\n<COLLADA xmlns="x" version="1.4.1"></COLLADA>'


def ask(content: bytes, name: str = "", declared: str = "") -> tuple[str, Kind]:
    return sniff(content[:HEAD_BYTES], len(content), name, lambda: io.BytesIO(content), declared)


def zipped(*names: str, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return buffer.getvalue()


UNKNOWN = "application/octet-stream"
MODELS = {
    "glb": (b"glTF" + struct.pack("<II", 2, 12), "model/gltf-binary"),
    "gltf": (b'{"asset": {"generator": "x", "version": "2.0"}}', "model/gltf+json"),
    "obj": (OBJ, "model/obj"),
    "obj with a byte order mark": (b"\xef\xbb\xbf" + OBJ, "model/obj"),
    "mtl": (b"# x\nnewmtl bois\nKd 1 0 0\n", "model/mtl"),
    "binary stl": (BINARY_STL, "model/stl"),
    "ascii stl": (b"solid vase\n  facet normal 0 0 1\n    outer loop\n", "model/stl"),
    "3mf": (zipped("[Content_Types].xml", "3D/3dmodel.model"), "model/3mf"),
    "amf": (b'<?xml version="1.0"?><amf unit="millimeter">', UNKNOWN),
    "step": (STEP, "model/step"),
    "step with a comment": (b"/* x */\n" + STEP, "model/step"),
    "ifc": (b"ISO-10303-21;\nHEADER;\nFILE_SCHEMA(('IFC4'));\n", "application/p21"),
    "iges": (b"x".ljust(72) + b"S      1\n", "model/iges"),
    "binary fbx": (b"Kaydara FBX Binary  \0\x1a\0", UNKNOWN),
    "ascii fbx": (b"; FBX 7.4.0 project file\n", UNKNOWN),
    "dae": (COLLADA.encode(), "model/vnd.collada+xml"),
    "dae in utf-16": (COLLADA.encode("utf-16"), "model/vnd.collada+xml"),
    "ply": (b"ply\r\nformat binary_little_endian 1.0\r\n", UNKNOWN),
    "usdz": (zipped("vase.usdc", "textures/a.png"), "model/vnd.usdz+zip"),
    "usda": (b"#usda 1.0\n", "model/vnd.usda"),
    "usdc": (b"PXR-USDC\0\0", UNKNOWN),
    "blend": (b"BLENDER-v306REND", UNKNOWN),
    "3ds": (b"MM" + struct.pack("<IH", 16, 2) + bytes(8), UNKNOWN),
    "c4d": (b"QC4DC4D6", UNKNOWN),
    "ma": (b"//Maya ASCII 2024 scene\n", UNKNOWN),
    "mb": (b"FOR4\0\0\0\x10Maya", UNKNOWN),
    "skp": (b"\xff\xfe\xff\x0e" + "SketchUp Model".encode("utf-16-le"), UNKNOWN),
    "dwg": (b"AC1032\0\0", "image/vnd.dwg"),
    "dxf": (b"999\nx\n  0\nSECTION\n  2\nHEADER\n", "image/vnd.dxf"),
    "x3d": (b'<?xml version="1.0"?><!DOCTYPE X3D PUBLIC "x"><X3D version="3.0">', "model/x3d+xml"),
    "wrl": (b"#VRML V2.0 utf8\n", "model/vrml"),
    "3dm": (b"3D Geometry File Format        4", UNKNOWN),
    "off": (b"OFF\n8 6 12\n0 0 0\n", UNKNOWN),
    "jt": (b"Version 9.5 JT  DM", "model/JT"),
    "abc": (b"Ogawa\xff\0\x01", UNKNOWN),
    "u3d": (b"U3D\0\x18\0\0\0", "model/u3d"),
    "e57": (b"ASTM-E57\1\0\0\0", "model/e57"),
}


@pytest.mark.parametrize(("content", "media_type"), MODELS.values(), ids=MODELS)
def test_model_file_is_recognised_by_content(content: bytes, media_type: str) -> None:
    assert ask(content) == (media_type, Kind.MODEL)
    assert ask(content, "fichier.bin", "image/png") == (media_type, Kind.MODEL)


NAMED_MODELS = {
    "max": (OLE, "scene.max"),
    "sldprt": (OLE, "porte.SLDPRT"),
    "gzipped blend": (b"\x1f\x8b\x08\0", "scene.blend"),
    "a short obj": (b"v 0 0 0\n", "c.obj"),
    "an empty obj": (b"", "c.obj"),
    "a long header": (b"solid x\nendsolid x\n", "b.stl"),
    "stpz": (zipped("a.stp", method=zipfile.ZIP_DEFLATED), "a.stpz"),
    "a zip with a model": (zipped("lisez-moi.txt", "porte/Porte.FBX"), "envoi.zip"),
    "two suffixes": (b"", "vase.v2.glb"),
    "sat": (b"700 0 1 0\n", "a.sat"),
    "sab": (b"ACIS BinaryFile\0", "a.sab"),
    "rvt": (OLE, "maison.rvt"),
    "rfa": (OLE, "porte.rfa"),
    "fcstd": (zipped("Document.xml"), "a.FCStd"),
    "sh3d": (zipped("Home"), "a.sh3d"),
    "vrml": (b"#VRML\n", "a.vrml"),
    "reality": (zipped("assets/a.arsg"), "a.reality"),
    "rcproject": (b"{}", "a.rcproject"),
    "ztl": (b"\1\0", "a.ztl"),
    "dgn": (OLE, "a.dgn"),
}


@pytest.mark.parametrize(("content", "name"), NAMED_MODELS.values(), ids=NAMED_MODELS)
def test_model_file_without_signature_is_recognised_by_name(content: bytes, name: str) -> None:
    assert ask(content, name)[1] is Kind.MODEL


IMAGES = {
    "png": (b"\x89PNG\r\n\x1a\n", "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0", "image/jpeg"),
    "gif": (b"GIF89a", "image/gif"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
    "bmp": (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
    "tiff": (b"II*\0\x08\0\0\0", "image/tiff"),
    "heic": (b"\0\0\0\x18ftypheic", "image/heic"),
    "avif": (b"\0\0\0\x18ftypavif", "image/avif"),
}


@pytest.mark.parametrize(("content", "media_type"), IMAGES.values(), ids=IMAGES)
def test_image_is_recognised_by_content_under_model_name(content: bytes, media_type: str) -> None:
    assert ask(content, "vase.obj") == (media_type, Kind.IMAGE)


LOOK_ALIKES = {
    "release notes": (b"v 1.0 is out\nv 1.1 is next\nv 2.0 is far\n", ""),
    "coordinates in a text": (b"Bonjour\nles points :\nv 1 2 3\nv 2 3 4\nv 3 4 5\nmerci\nbien\n", ""),
    "an OBJ pasted into a text file": (OBJ, "notes.txt"),
    "a solid answer": (b"solid advice: facet by facet\nnormal people\n", ""),
    "off road": (b"OFF road, 3 km\n", ""),
    "a greeting": (b"MM. Dupont et Durand\n", ""),
    "a tool's praise": (b"BLENDER is great\n", ""),
    "a standard quoted": (b"La norme ISO-10303-21; voir STEP\n", ""),
    "a page about X3D": (b"<!DOCTYPE html><html><X3D></X3D></html>", "x3d.html"),
    "a page with a 3D name": (b"<html><script>1</script></html>", "vase.obj"),
    "a PDF with a 3D name": (b"%PDF-1.7\n", "vase.stl"),
    "JSON": (b'{"asset": "x"}', "a.json"),
    "a compiler's object file": (b"\x64\x86\x02\0\0\0", "main.obj"),
    "a spreadsheet": (OLE, "prix.xls"),
    "a Word file named STL": (OLE, "devis.stl"),
    "a zip of texts": (zipped("a.txt", "b.pdf"), "envoi.zip"),
    "an office document with a model in it": (zipped("[Content_Types].xml", "word/media/model3d1.glb"), "a.docx"),
    "a zip cut off": (zipped("a.glb")[:60], "envoi.zip"),
    "an SVG": (b'<svg xmlns="x"><script>1</script></svg>', "a.svg"),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize(("content", "name"), LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_file_resembling_a_model_is_not_a_model(content: bytes, name: str) -> None:
    assert ask(content, name)[1] not in {Kind.MODEL, Kind.IMAGE}


KINDS = {
    Kind.DOCUMENT: "plan.pdf LOGO.AI logo.eps mise.psd devis.docx prix.xlsx jury.pptx cotes.csv notes.txt",
    Kind.ARCHIVE: "envoi.zip envoi.7z envoi.rar envoi.part1.rar envoi.tar envoi.tar.gz envoi.tgz envoi.tar.bz2",
    Kind.VIDEO: "tour.mp4 tour.MOV tour.webm",
    Kind.SIDE: "bois.tga ciel.exr ciel.hdr bois.dds bois.ktx2 scene.bin",
    Kind.OTHER: "mail.eml rdv.ics moi.vcf a.json cle.key",
}
NAMES = [(name, kind) for kind, names in KINDS.items() for name in names.split()]


@pytest.mark.parametrize(("name", "kind"), NAMES, ids=[name for name, _ in NAMES])
def test_kind_of_a_file_is_told_by_its_name(name: str, kind: Kind) -> None:
    assert ask(b"\x01\x02", name)[1] is kind


@pytest.mark.parametrize(
    ("content", "name", "declared"),
    [
        (b"<html>", "a.pdf.html", "application/pdf"),
        (b"\xef\xbb\xbf<!doctype html>", "", "image/png"),
        (b"<svg>", "a.svg", "image/svg+xml"),
        (b"<svg>", "a.png", "image/svg+xml"),
        (b"alert(1)", "a.js", "text/javascript"),
        (b"alert(1)", "", "application/javascript"),
        (b"x", "", "text/html"),
        (b"x", "", "application/xhtml+xml"),
    ],
)
def test_executable_content_gets_generic_media_type(content: bytes, name: str, declared: str) -> None:
    assert ask(content, name, declared) == (UNKNOWN, Kind.OTHER)


@pytest.mark.parametrize(
    ("declared", "answer"),
    [
        ("model/gltf-binary", ("model/gltf-binary", Kind.MODEL)),
        ("model/jt", ("model/JT", Kind.MODEL)),
        ("image/png", ("image/png", Kind.IMAGE)),
        ("message/partial", ("message/partial", Kind.OTHER)),
        ("audio/ogg", (UNKNOWN, Kind.OTHER)),
        ("image/x-raw", (UNKNOWN, Kind.OTHER)),
        ("application/octet-stream", (UNKNOWN, Kind.OTHER)),
        ("multipart/mixed", (UNKNOWN, Kind.OTHER)),
        ("", (UNKNOWN, Kind.OTHER)),
    ],
)
def test_declared_type_is_used_without_other_evidence(declared: str, answer: tuple[str, Kind]) -> None:
    assert ask(b"\x01\x02", "", declared) == answer


def test_only_the_first_2000_names_of_an_archive_are_read() -> None:
    assert ask(zipped(*[f"{n}.txt" for n in range(2000)], "a.glb"), "a.zip")[1] is Kind.ARCHIVE
    assert ask(zipped(*[f"{n}.txt" for n in range(1999)], "a.glb"), "a.zip")[1] is Kind.MODEL


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [
        ("model/gltf-binary", ".glb"),
        ("image/jpeg", ".jpg"),
        ("message/rfc822", ".eml"),
        (UNKNOWN, ".bin"),
        ("a/b", ".bin"),
    ],
)
def test_media_type_has_usual_suffix(media_type: str, suffix: str) -> None:
    assert suffix_of(media_type) == suffix


@pytest.mark.parametrize(
    "piece", [b" ", b"<!--", b"/*", b"999\n", b"v 1 1 1", b"#\n", b"<?xml", b"1", b"comment\n", b"<!---->", b"/**/"]
)
@pytest.mark.parametrize("start", [b"", b"ply\n", b"OFF ", b"ISO-10303-21;", b"<"])
def test_hostile_file_is_sniffed_quickly(start: bytes, piece: bytes) -> None:
    assert ask(start + piece * (20_000 // len(piece)))[1] in Kind


@pytest.mark.parametrize("piece", [b"\n", b" \n", b"x\n", b"v 0 0 0\n", b"999\n1\n", b"<!---->\n"])
def test_hundreds_of_odd_files_are_sniffed_quickly(piece: bytes) -> None:
    """A mail has 500 at most, and each is asked what it is and whether it is refused."""
    heads = [(piece * HEAD_BYTES)[: HEAD_BYTES - 3] + b"%03d" % number for number in range(490)]
    with counted(6000 * len(heads)):
        for head in heads:
            assert sniff(head, HEAD_BYTES, "a.dat", io.BytesIO)[0] in {UNKNOWN, "model/obj"}
            assert not refused("a.dat", head, HEAD_BYTES)

    def ask_both(head: bytes) -> None:
        sniff(head, len(head), "a.dat", io.BytesIO)
        refused("a.dat", head, len(head))

    one_pass(ask_both, piece)


class Empty:
    def open(self) -> io.BytesIO:
        return io.BytesIO()


@pytest.mark.parametrize(
    ("name", "content_type", "kind", "said"),
    [
        ("arche.jpg", "model/gltf-binary", Kind.MODEL, "arche.jpg.glb"),
        ("arche", "model/gltf-binary", Kind.MODEL, "arche.glb"),
        ("Arche.GLB", "model/gltf-binary", Kind.MODEL, "Arche.GLB"),
        ("arche.glb", "image/jpeg", Kind.IMAGE, "arche.glb.jpg"),
        ("vis.stp", "model/step", Kind.MODEL, "vis.stp"),
        ("scene.fbx", UNKNOWN, Kind.MODEL, "scene.fbx"),
        ("livraison.zip", "application/zip", Kind.MODEL, "livraison.zip"),
        ("photo.png", "image/jpeg", Kind.IMAGE, "photo.png"),
        ("notes.txt", "text/plain", Kind.OTHER, "notes.txt"),
    ],
)
def test_model_under_wrong_name_gets_model_suffix(name: str, content_type: str, kind: Kind, said: str) -> None:
    """Its reader can open it. The customer's own name for it stays in front."""
    file = Attachment(name, content_type, 1, kind, inline=False, content=Empty())
    assert opens_as(file) == said


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
    assert refused(name, content, len(content))


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
    assert not refused(name, content, len(content))


@pytest.mark.parametrize(
    "piece", [b"<!---->", b"<!--", b"<?x>", b"<!doctype x>", b" ", b"MZ", b"<a:", b"/**/", b"<!-- -->\n"]
)
def test_hostile_program_file_is_checked_quickly(piece: bytes) -> None:
    """Many comments in a row, which could be divided in as many ways as there are subsets of them."""
    one_pass(lambda head: refused("a.b", head, len(head)), piece)
