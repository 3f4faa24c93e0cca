"""Detect a file's format from its first bytes: a signature, an XML root, or lines that only one format has."""

from __future__ import annotations

import re
import struct
import zlib
from functools import lru_cache
from typing import Final

from poller.formats.table import FORMATS, GZIPPED

APPLE_DOUBLE: Final = b"\0\5\x16\7"  # begins what a Mac adds to a file (RFC 1740 appendix B)
HEAD_BYTES: Final = 16 * 1024  # length of the beginning that is examined
_BLANK_BYTES: Final = 256
_LINES: Final = 800  # examined of a text format; `HEAD_BYTES` hold more only if lines are very short
_PROSE: Final = {"txt", "md", "htm", "html", "csv", "log", "rtf", "eml", "ics", "vcf"}

# Each pattern matches from the file's first byte, and is too long to be the start of a sentence. A comment is an atomic
# group: otherwise it could also end where a later comment ends, and many comments would be tried in all combinations.
_SIGNATURES: Final = tuple(
    (suffix, re.compile(pattern, re.DOTALL))
    for suffix, pattern in (
        ("glb", rb"glTF[\x01\x02]\0\0\0"),
        ("fbx", rb"Kaydara FBX Binary  \0|\s*; FBX \d"),
        ("usdc", rb"PXR-USDC"),
        ("usda", rb"#usda \d"),
        ("blend", rb"BLENDER(?:[_-][vV]\d{3}|\d\d-\d\dv\d{4})"),
        ("c4d", rb"[QM]C4DC4D6"),
        ("ma", rb"//Maya ASCII \d"),
        ("mb", rb"FOR[48].{4,24}Maya"),
        ("skp", rb"\xff\xfe\xff\x0eS\0k\0e\0t\0c\0h\0U\0p\0"),
        ("dwg", rb"AC10\d\d\0"),
        ("dxf", rb"AutoCAD Binary DXF\r\n\x1a\0|(?:\s*999\r?\n[^\n]*\n)*\s*0\r?\n\s*SECTION\r?\n"),
        ("x3dv", rb"#X3D V\d"),
        ("wrl", rb"#VRML V[12]\.0"),
        ("3dm", rb"3D Geometry File Format "),
        ("x_t", rb"\*\*ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("jt", rb"Version \d+\.\d+ JT|(?=Version \d\d?\.\d[ -~\s]{60}).{80}[\0\x01]\0\0\0\0"),
        ("abc", rb"Ogawa[\0\xff]"),
        ("lwo", rb"FORM.{4}LW(?:OB|LO|O2|O3)"),
        ("lxo", rb"FORM.{4}LXO[BPE]"),
        ("prc", rb"PRC..\0\0"),
        ("u3d", rb"U3D\0"),
        ("e57", rb"ASTM-E57"),
        ("x3db", rb"\xe0\0\0\x01"),
        ("ply", rb"ply[ \t]*[\r\n]+(?:(?:comment|obj_info)[^\r\n]*[\r\n]+)*format (?:ascii|binary)"),
        ("stl", rb"(?i:\s*solid\b[^\r\n]*[\r\n]\s*(?:facet\s+normal\s+[-+.\dni]|endsolid\b))"),
        ("sldprt", rb".{4}\0\0\0[\x01-\x07].{0,2048}\x14\0\x06\0\x08\0"),  # since 2015
        ("prt", rb"#UGC:2 PART"),
        ("asm", rb"#UGC:2 ASSEMBLY"),
        ("catpart", rb"V5_CFV2\0"),
        ("dgn", rb"[\x08\xc8]\x09\xfe\x02"),
        ("dwf", rb"\(DWF V\d\d\.\d\d\)"),
        ("brep", rb"DBRep_DrawableShape|(?:Open )?CASCADE Topology V\d"),
        ("x_b", rb"PS\0.{1,4}: TRANSMIT FILE"),
        ("sat", rb"\d{2,5} \d+ \d+ \d+\s+@?\d+ [^\r\n]{0,200}\b(?:ACIS|ASM)\b"),
        ("sab", rb"(?:ACIS|ASM) BinaryFile"),
        ("x", rb"xof \d{4}(?:txt|bin|tzip|bzip)"),
        ("ase", rb"\*3DSMAX_ASCIIEXPORT\s"),
        ("drc", rb"DRACO[\x01\x02][\0-\x07]"),
        ("las", rb"LASF.{20}\x01[\0-\x04]"),
        ("pcd", rb"(?:#[^\n]*\n)*VERSION \.?\d[^\n]*\nFIELDS "),
        ("ifc", rb"\s*(?:(?>/\*.*?\*/)\s*)*ISO-10303-21;.*FILE_SCHEMA\s*\(\s*\(\s*'IFC"),
        ("step", rb"\s*(?:(?>/\*.*?\*/)\s*)*ISO-10303-21;"),
        ("iges", rb"[ -~]{72}S[ 0]{6}1"),
        ("png", rb"\x89PNG\r\n\x1a\n"),
        ("jpeg", rb"\xff\xd8\xff"),
        ("gif", rb"GIF8[79]a"),
        ("webp", rb"RIFF.{4}WEBP"),
        ("bmp", rb"BM.{4}\0\0\0\0.{4}[\x0c\x28\x38\x40\x6c\x7c]\0\0\0"),
        ("tiff", rb"II\*\0|MM\0\*"),
        ("heic", rb".{4}ftyp(?:heic|heix|hevc|heim|heis|mif1|msf1)"),
        ("avif", rb".{4}ftypavi[fs]"),
        ("pdf", rb"\s*%PDF-\d"),
        ("psd", rb"8BPS\0\x01"),
        ("psb", rb"8BPS\0\x02"),
        ("eps", rb"%!PS-Adobe-|\xc5\xd0\xd3\xc6"),
        ("exr", rb"v/1\x01"),
        ("hdr", rb"#\?R(?:ADIANCE|GBE)\n"),
        ("dds", rb"DDS \x7c\0\0\0"),
        ("ktx2", rb"\xabKTX 20\xbb"),
        ("mov", rb".{4}ftypqt  "),
        ("mp4", rb".{4}ftyp(?:iso[m2-9]|mp4[12]|avc1|M4V |MSNV|3gp\d)"),
        ("webm", rb"\x1aE\xdf\xa3.{0,60}webm"),
        ("7z", rb"7z\xbc\xaf\x27\x1c"),
        ("rar", rb"Rar!\x1a\x07"),
        ("xz", rb"\xfd7zXZ\0"),
        ("html", rb"\s*<!(?i:doctype\s+html)"),
    )
)
_UTF_16: Final = re.compile(rb"\xff\xfe[\t\n\r -~]\0|\xfe\xff\0[\t\n\r -~]")
_XML_ROOT: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*|<!DOCTYPE[^>]*>\s*)*<(?:\w+:)?(\w+)", re.DOTALL | re.IGNORECASE
)
_XML_FORMATS: Final = {
    b"collada": "dae",
    b"x3d": "x3d",
    b"amf": "amf",
    b"ifcxml": "ifcxml",
    b"plmxml": "plmxml",
    b"materialx": "mtlx",
    b"svg": "svg",
    b"html": "html",
    b"head": "html",
    b"body": "html",
}
_OFF: Final = re.compile(
    rb"\s*(?:#[^\r\n]*[\r\n]\s*)*(?:ST|C|N|4|n)*OFF(?: BINARY)?\s*(?:#[^\r\n]*[\r\n]\s*)*\d+[ \t]+\d+[ \t]+\d+\s"
)
_ASSET: Final = re.compile(rb'"asset"\s*:\s*\{[^{}]{0,4000}"version"\s*:\s*"[12]\.\d"')
_GLTF_WORDS: Final = (b'"accessors"', b'"bufferViews"', b'"componentType"', b'"byteOffset"', b'"byteLength"')
_OBJ_VERTEX: Final = re.compile(rb"v(?:[ \t]+-?\d[\d.eE+-]*){3,7}\s*")
_OBJ_STATEMENT: Final = re.compile(rb"(?:#|(?:v|vt|vn|vp|f|l|p|o|g|s|usemtl|mtllib|usemap|lod)\s)")


@lru_cache(maxsize=1)  # called twice for each file: for its kind, and to refuse programs
def by_content(head: bytes, size_bytes: int, suffix: str) -> str:
    """Return the suffix of the format that the first bytes show, "" if none. `suffix` (of the name) is a hint."""
    return _by_gzip(head, suffix) if head.startswith(b"\x1f\x8b\x08") else _by_content(head, size_bytes, suffix)


def _by_gzip(head: bytes, suffix: str) -> str:
    """Return the suffix of the format that is compressed, "gz" if it shows none and the name shows none either."""
    try:
        inner = zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return ""
    if inner.startswith(b"NGSP"):
        return "spz"
    found = _by_content(inner, len(inner), "")
    if found in {"blend", "wrl"}:
        return "blend" if found == "blend" else "wrz"
    if f"{found}.gz" in GZIPPED:
        return f"{found}.gz"
    return "" if suffix in FORMATS else "gz"


def _by_content(head: bytes, size_bytes: int, suffix: str) -> str:
    head = as_utf_8(head)
    # First, because the 80 bytes of a binary STL's header are free and may begin with anything, even "solid".
    if _is_binary_stl(head, size_bytes):
        return "stl"
    if head[:_BLANK_BYTES].isspace():  # no format begins so, and a dozen patterns would each scan the blanks
        head = head.lstrip()
    for found, pattern in _SIGNATURES:
        if pattern.match(head):
            return found
    root = _XML_ROOT.match(head)
    if root and root[1].lower() in _XML_FORMATS:
        return _XML_FORMATS[root[1].lower()]
    if (
        head[:2] == b"MM"
        and head[6:8] in (b"\x02\0", b"\x3d\x3d", b"\x00\xb0")
        and int.from_bytes(head[2:6], "little") <= size_bytes
    ):
        return "3ds"
    return "" if suffix in _PROSE else _by_lines(head, suffix)


def _by_lines(head: bytes, suffix: str) -> str:
    """Return the suffix of a text format without a signature, "" if it is none."""
    if head.lstrip()[:1] == b"{" and (suffix == "gltf" or _is_gltf(head)):
        return "gltf"
    if _OFF.match(head):
        return "off"
    lines = [line for line in (head.splitlines()[:-1] or head.splitlines())[:_LINES] if line.strip()]
    statements = [line for line in lines if _OBJ_STATEMENT.match(line.lstrip() + b" ")]
    vertices = sum(_OBJ_VERTEX.fullmatch(line.strip()) is not None for line in statements)
    if vertices >= 3 and len(statements) >= 0.8 * len(lines):  # noqa: PLR2004 - a triangle, and next to nothing else
        return "obj"
    return "mtl" if any(line.startswith(b"newmtl ") for line in lines) else ""


def _is_gltf(head: bytes) -> bool:
    """Return True for the beginning of a glTF file: an asset with its version, or the words that only its data have."""
    if b'"$schema"' in head:  # which describes such files
        return False
    return _ASSET.search(head) is not None or sum(word in head for word in _GLTF_WORDS) >= 3  # noqa: PLR2004


def _is_binary_stl(head: bytes, size_bytes: int) -> bool:
    """Return True if the file is as long as its number of triangles tells, or a little longer with true normals."""
    triangles = int.from_bytes(head[80:84], "little")
    rest = size_bytes - 84 - 50 * triangles
    if len(head) <= 84 or not triangles or not 0 <= rest <= 4096:  # noqa: PLR2004 - its layout
        return False
    normals = (struct.unpack_from("<3f", head, at) for at in range(84, len(head) - 49, 50)[: min(triangles, 20)])
    return not rest or all(abs(x * x + y * y + z * z - 1) < 0.01 or x == y == z == 0 for x, y, z in normals)  # noqa: PLR2004


def as_utf_8(head: bytes) -> bytes:
    """Return the beginning of a text as UTF-8 without a byte order mark; XML and OBJ may also be in UTF-16."""
    if _UTF_16.match(head):
        return head.decode("utf-16", "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf")
