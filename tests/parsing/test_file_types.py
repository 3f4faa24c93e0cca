"""Detect what a file is by its bytes, its name, and last by its declared type; refuse what runs when opened."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile

import pytest

from poller.formats.magic import HEAD_BYTES
from poller.model import Attachment, Kind
from poller.parsing.file_types import opens_as, refused, sniff, suffix_of
from tests.parsing.test_containers import ole
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
    "gltf with nothing but a version": (b'{"asset": {"version": "2.0"}, "scenes": []}', "model/gltf+json"),
    "gltf whose asset comes last": (
        b'{"scenes":[],"accessors":[{"bufferView":0,"componentType":5126}],"bufferViews":[]',
        "model/gltf+json",
    ),
    "obj in utf-16": (OBJ.decode().encode("utf-16"), "model/obj"),
    "ply with CR": (b"ply\rcomment x\rformat ascii 1.0\r", UNKNOWN),
    "stl in capitals": (b"SOLID\r  FACET NORMAL 0 0 1\r", "model/stl"),
    "empty stl": (b"solid x\nendsolid x\n", "model/stl"),
    "binary stl with bytes behind": (
        bytes(80) + struct.pack("<I3f", 1, 0, 0, 1) + bytes(38) + b"\0" * 20,
        "model/stl",
    ),
    "off with comments": (b"# x\nOFF # y\n# z\n8 6 12\n", UNKNOWN),
    "off in one line": (b"  OFF8 6 12 # x\n", UNKNOWN),
    "jt of version 8": (b"Version 8.0".ljust(80) + bytes(5) + b"i\0\0\0", "model/JT"),
    "gzipped blend": (gzip.compress(b"BLENDER-v279" + bytes(100)), UNKNOWN),
    "zstd blend": (b"\x28\xb5\x2f\xfd" + bytes(40) + b"\xb1\xea\x92\x8f", UNKNOWN),
    "gzipped obj": (gzip.compress(OBJ), "application/gzip"),
    "spz": (gzip.compress(b"NGSP\2\0\0\0"), UNKNOWN),
    "fcstd": (zipped("Document.xml", "GuiDocument.xml"), UNKNOWN),
    "dwfx": (zipped("[Content_Types].xml", "dwf/documents/a.xml"), UNKNOWN),
    "sog": (zipped("meta.json", "means_l.webp"), UNKNOWN),
    "sldprt since 2015": (b"\x2a\x11\x77\x03\0\0\0\x04" + bytes(60) + b"\x14\0\x06\0\x08\0", UNKNOWN),
    "max": (ole("Root Entry", "ClassDirectory3"), UNKNOWN),
    "rfa": (ole("Root Entry", "PartAtom"), UNKNOWN),
    "dgn": (ole("Root Entry", "Dgn~H"), UNKNOWN),
    "old dgn": (b"\x08\x09\xfe\x02\x00\x00", UNKNOWN),
    "inventor": (ole("Root Entry", "RSeStorage"), UNKNOWN),
    "solid edge": (ole("Root Entry", "PARASOLID"), UNKNOWN),
    "nx": (ole("Root Entry", "UG_PART"), UNKNOWN),
    "creo part": (b"#UGC:2 PART 1234 \\\n", UNKNOWN),
    "creo assembly": (b"#UGC:2 ASSEMBLY 1234 \\\n", UNKNOWN),
    "catia": (b"V5_CFV2\0\0\0", UNKNOWN),
    "brep": (b"DBRep_DrawableShape\n\nCASCADE Topology V1\n", UNKNOWN),
    "directx": (b"xof 0303txt 0032\n", UNKNOWN),
    "ase": (b"*3DSMAX_ASCIIEXPORT\t200\n", UNKNOWN),
    "draco": (b"DRACO\2\2\1\1", UNKNOWN),
    "las": (b"LASF" + bytes(20) + b"\1\2", UNKNOWN),
    "pcd": (b"# .PCD v.7 - x\nVERSION .7\nFIELDS x y z\n", UNKNOWN),
    "modo": (b"FORM\0\0\0\x10LXOB", UNKNOWN),
    "acis": (b"700 0 1 0\n16 Autodesk AutoCAD 19 ASM 223.0.1.1930 NT 24 Mon\n", UNKNOWN),
    "parasolid": (b"PS\0\0\0?: TRANSMIT FILE created by modeller", "model/vnd.parasolid.transmit.binary"),
    "dwf": (b"(DWF V06.00)PK\x03\x04", "model/vnd.dwf"),
    "ifcxml": (b'<?xml version="1.0"?><ifc:ifcXML xmlns:ifc="x">', UNKNOWN),
    "plmxml": (b'<?xml version="1.0"?><PLMXML xmlns="x">', UNKNOWN),
    "materialx": (b'<?xml version="1.0"?><materialx version="1.38">', UNKNOWN),
}


@pytest.mark.parametrize(("content", "media_type"), MODELS.values(), ids=MODELS)
def test_model_file_is_recognised_by_content(content: bytes, media_type: str) -> None:
    assert ask(content) == (media_type, Kind.MODEL)
    assert ask(content, "fichier.bin", "image/png") == (media_type, Kind.MODEL)


BINARY_NAMES = """
prt.1 asm.12 slddrw catdrawing cgr model par psm asm idw ipn vwx pln gsm nwd nwc rte f3z 3dmbak lxo hip zpr splat spz
ksplat drc brep brp dwf wire blend1 skb vrm obj.gz
"""
ZIP_NAMES = "sog dwfx ifczip f3z"
EMPTY_NAMES = "x ase las laz pcd xyz pts ptx plmxml ifcxml mtlx xmt_txt"
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
    "a point cloud": (b"665187.5 5648349.8 241.7 117 73 49\n665187.4 5648349.1 241.2 1 2 3\n", "mur.xyz"),
    "a point cloud with a head line": (b"//X,Y,Z\n1.5,2.5,-3e2\n1,2,3\n", "mur.xyz"),
    "a point cloud with its count": (b"2\n1 2 3 -100\n1 2 4 -90\n", "mur.pts"),
    "a scan": (b"2\n1\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n1 2 3 0.5\n", "mur.ptx"),
    **{suffix: (b"\1\0\2", f"a.{suffix}") for suffix in BINARY_NAMES.split()},
    **{suffix: (zipped("x"), f"a.{suffix}") for suffix in ZIP_NAMES.split()},
    **{suffix: (b"", f"a.{suffix}") for suffix in EMPTY_NAMES.split()},
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
    "a package": (b'{"name": "x", "version": "2.0.1", "asset": {"name": "x", "version": "2.0.1"}}', "package.json"),
    "a release": (b'{"asset": {"name": "a.zip"}, "version": "2.0", "generator": "x"}', ""),
    "the schema of glTF": (b'{"$schema": "x", "properties": {"asset": {"version": "2.0"}}}', ""),
    "an assembler's source": (b"; main\nmov eax, 1\n", "main.asm"),
    "a grammar": (b"{\nmodule Lexer where\n}\n", "Lexer.x"),
    "a flight plan": (b'<?xml version="1.0"?><SimBase.Document>', "vol.pln"),
    "a model of a language": (b"name: x\nlayers: 3\n", "a.model"),
    "parameters": (b"x = 1\ny = 2\n", "a.par"),
    "a molecule": (b"3\neau\nO 0.0 0.0 0.1\nH 0.0 0.7 -0.4\nH 0.0 -0.7 -0.4\n", "eau.xyz"),
    "readings of a drill hole": (b"~VERSION INFORMATION\n VERS. 2.0\n", "puits.las"),
    "a palette": (b"ASEF\0\1\0\0", "couleurs.ase"),
    "a Kodak photo": (b"\0" * 2048 + b"PCD_IPI", "photo.pcd"),
    "a Word file named as a scene": (ole("Root Entry", "WordDocument"), "devis.max"),
    "a zip of sources": (zipped("main.asm", "lexer.x", "a.model", "eau.xyz"), "envoi.zip"),
    "a zip of what a Mac adds to a model": (zipped("._a.obj", "__MACOSX/b/._b.glb", "lisez-moi.txt"), "envoi.zip"),
    "a zip in a zip": (zipped("a.zip"), "envoi.zip"),
    "a text in gzip": (gzip.compress(b"v 1.0 is out\n"), ""),
    "gzip cut off": (b"\x1f\x8b\x08\0", ""),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50), "a.zst"),
    "a table of numbers": (b"1 2 3\n4 5 6\n", "cotes.csv"),
    "a video": (b"\0\0\0\x18ftypisom", "vase.obj"),
    "a licence": (b"MIT License\n\nCopyright (c) 2024\n", "LICENSE"),
}


@pytest.mark.parametrize(("content", "name"), LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_file_resembling_a_model_is_not_a_model(content: bytes, name: str) -> None:
    assert ask(content, name)[1] not in {Kind.MODEL, Kind.IMAGE}


KINDS = {
    Kind.DOCUMENT: "plan.pdf LOGO.AI logo.eps mise.psd devis.docx prix.xlsx jury.pptx cotes.csv notes.txt",
    Kind.ARCHIVE: "e.zip e.7z e.rar e.part1.rar e.tar e.tar.gz e.tgz e.tar.bz2 e.7z.001 e.z01 e.r00 e.zipx",
    Kind.IMAGE: "photo.heic photo.tiff photo.cr3 photo.NEF photo.dng",
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
    media_type, kind = ask(content, name, declared)
    assert media_type == UNKNOWN
    assert kind in {Kind.OTHER, Kind.DOCUMENT}


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


def test_model_behind_thousands_of_textures_is_found() -> None:
    assert ask(zipped(*[f"{n}.png" for n in range(2500)], "a.glb"), "a.zip")[1] is Kind.MODEL


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


@pytest.mark.parametrize("piece", [b"1 ", b"1,1", b"1 1 1\n", b"\n", b" \n", b"-", b"1 1 x\n"])
def test_hostile_point_cloud_is_sniffed_quickly(piece: bytes) -> None:
    one_pass(lambda head: sniff(head, len(head), "a.xyz", io.BytesIO), piece)


def test_gzip_is_opened_no_further_than_a_head() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    tracemalloc.start()
    assert ask(bomb, "a.dat") == ("application/gzip", Kind.ARCHIVE)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


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
    "a drawing with a handler": ("logo.svg", b'<svg xmlns="x" onload="alert(1)"/>'),
    "a drawing with a link that runs": ("logo.svg", b'<svg><a href="JavaScript:x"/></svg>'),
    "a drawing with a page in it": ("logo.svg", b"<svg><foreignObject/></svg>"),
    "a drawing with a hidden script": ("logo.svg", b'<!DOCTYPE svg [<!ENTITY x "&#60;script>">]><svg>&x;</svg>'),
    "a drawing in UTF-16": ("logo.svg", "<svg><script/></svg>".encode("utf-16")),
    "a page called a drawing": ("logo.svg", b"<html><svg/></html>"),
    "a drawing without a name": ("", b"<svg/>"),
    "a compressed drawing": ("logo.svgz", b"\x1f\x8b\x08"),
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
    "a drawing": ("logo.svg", b'<?xml version="1.0"?><svg xmlns="x"><path d="M0 0"/></svg>'),
    "a drawing of Illustrator": ("logo.svg", b'<!DOCTYPE svg [<!ENTITY ns "http://x">]><svg xmlns="&ns;"/>'),
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
