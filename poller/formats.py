"""What a file is: by its content first, its name second, and the sender's word last.

Mail calls nearly every 3D file application/octet-stream, and no detector knows the formats; so they stand here, with
the media types of https://www.iana.org/assignments/media-types. What a browser would run does not keep its own.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.request import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.request import Attachment

UNKNOWN: Final = "application/octet-stream"
HEAD_BYTES: Final = 16 * 1024  # what `sniff` needs of the beginning
_BLANK_BYTES: Final = 256
_LINES: Final = 800  # of a text format; there are fewer in `HEAD_BYTES` but where they are very short
_MAX_NAMES: Final = 2000  # of an archive
_MAX_DIRECTORY_BYTES: Final = 1024 * 1024

_MODELS: Final = {
    "3dm": UNKNOWN, "3ds": UNKNOWN, "3dxml": UNKNOWN, "3mf": "model/3mf", "abc": UNKNOWN, "amf": UNKNOWN,
    "blend": UNKNOWN, "c4d": UNKNOWN, "catpart": UNKNOWN, "catproduct": UNKNOWN, "dae": "model/vnd.collada+xml",
    "dwg": "image/vnd.dwg", "dxf": "image/vnd.dxf", "e57": "model/e57", "f3d": UNKNOWN, "fbx": UNKNOWN,
    "glb": "model/gltf-binary", "gltf": "model/gltf+json", "iam": UNKNOWN, "ifc": "application/p21",
    "iges": "model/iges", "igs": "model/iges", "ipt": UNKNOWN, "jt": "model/JT", "lwo": UNKNOWN, "ma": UNKNOWN,
    "max": UNKNOWN, "mb": UNKNOWN, "mtl": "model/mtl", "obj": "model/obj", "off": UNKNOWN, "ply": UNKNOWN,
    "prc": "model/prc", "prt": UNKNOWN, "skp": UNKNOWN, "sldasm": UNKNOWN, "sldprt": UNKNOWN, "step": "model/step",
    "stl": "model/stl", "stp": "model/step", "stpx": "model/step+xml", "stpz": "model/step+zip", "u3d": "model/u3d",
    "usd": UNKNOWN, "usda": "model/vnd.usda", "usdc": UNKNOWN, "usdz": "model/vnd.usdz+zip", "wrl": "model/vrml",
    "wrz": "model/vrml", "x3d": "model/x3d+xml", "x3db": "model/x3d+fastinfoset", "x3dv": "model/x3d-vrml",
    "sat": UNKNOWN, "sab": UNKNOWN, "rvt": UNKNOWN, "rfa": UNKNOWN, "fcstd": UNKNOWN, "sh3d": UNKNOWN, "vrml": UNKNOWN,
    "reality": UNKNOWN, "rcproject": UNKNOWN, "ztl": UNKNOWN, "dgn": UNKNOWN,
    "x_b": "model/vnd.parasolid.transmit.binary", "x_t": "model/vnd.parasolid.transmit.text", "zae": UNKNOWN,
}  # fmt: skip
IMAGES: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic", "heif": "image/heif",
    "avif": "image/avif",
}  # fmt: skip
# An SVG is a program as much as an image, and HTML is one: they are files to be saved, never to be shown.
_OTHERS: Final = {
    "pdf": "application/pdf", "zip": "application/zip", "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar", "gz": "application/gzip", "txt": "text/plain", "csv": "text/csv",
    "eml": "message/rfc822", "ics": "text/calendar", "vcf": "text/vcard", "doc": "application/msword",
    "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint", "mp4": "video/mp4",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "mov": "video/quicktime", "psd": "image/vnd.adobe.photoshop", "svg": UNKNOWN, "svgz": UNKNOWN, "htm": UNKNOWN,
    "html": UNKNOWN, "xml": UNKNOWN, "js": UNKNOWN,
}  # fmt: skip
_FORMATS: Final = (
    {suffix: (media_type, Kind.OTHER) for suffix, media_type in _OTHERS.items()}
    | {suffix: (media_type, Kind.IMAGE) for suffix, media_type in IMAGES.items()}
    | {suffix: (media_type, Kind.MODEL) for suffix, media_type in _MODELS.items()}
)
_DECLARED: Final = {known.lower(): (known, kind) for known, kind in _FORMATS.values() if known != UNKNOWN}
_DECLARED["message/partial"] = ("message/partial", Kind.OTHER)  # a piece of a mail (RFC 2046), which has no name
_TEXT_MODELS: Final = {
    "obj", "mtl", "gltf", "dae", "step", "stp", "igs", "iges", "ifc", "amf", "x3d", "x3dv", "wrl", "off", "usda", "ma",
    "sat", "vrml", "rcproject",
}  # fmt: skip
_OLE_MODELS: Final = {"max", "sldprt", "sldasm", "ipt", "iam", "prt", "rvt", "rfa", "dgn"}
_PROSE: Final = {"txt", "md", "htm", "html", "csv", "log", "rtf", "eml", "ics", "vcf"}

# Each pattern matches from the file's first byte, and is too long to begin a sentence. A comment is an atomic group: it
# could end at any later one's end too, and many of them would be tried in all combinations.
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
        ("jt", rb"Version \d+\.\d+ JT"),
        ("abc", rb"Ogawa[\0\xff]"),
        ("lwo", rb"FORM.{4}LW(?:OB|LO|O2|O3)"),
        ("prc", rb"PRC..\0\0"),
        ("u3d", rb"U3D\0"),
        ("e57", rb"ASTM-E57"),
        ("x3db", rb"\xe0\0\0\x01"),
        ("ply", rb"ply\r?\n(?:comment[^\n]*\n|obj_info[^\n]*\n)*format (?:ascii|binary)"),
        ("stl", rb"\s*solid\b[^\n]*\n\s*facet\s+normal\s"),
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
        ("psd", rb"8BPS\0"),
        ("html", rb"\s*<!(?i:doctype\s+html)"),
    )
)
_XML_ROOT: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*|<!DOCTYPE[^>]*>\s*)*<(?:\w+:)?(\w+)", re.DOTALL | re.IGNORECASE
)
_XML_FORMATS: Final = {
    b"collada": "dae",
    b"x3d": "x3d",
    b"amf": "amf",
    b"svg": "svg",
    b"html": "html",
    b"head": "html",
    b"body": "html",
}
_OFF: Final = re.compile(rb"\s*(?:ST|C|N|4|n)*OFF\s+(?:#[^\n]*\n\s*)*\d+[ \t]+\d+[ \t]+\d+\s")
_OBJ_VERTEX: Final = re.compile(rb"v(?:[ \t]+-?\d[\d.eE+-]*){3,7}\s*")
_OBJ_STATEMENT: Final = re.compile(rb"(?:#|(?:v|vt|vn|vp|f|l|p|o|g|s|usemtl|mtllib|usemap|lod)\s)")


def sniff(
    head: bytes, size_bytes: int, filename: str, open_content: Callable[[], BinaryIO], declared: str = ""
) -> tuple[str, Kind]:
    """The media type and kind of a file.

    `head` is its first `HEAD_BYTES`; `open_content` gives all of it, seekable, and is asked for only where an archive's
    directory has to be read. `declared`, the sender's Content-Type, is believed when content and name say nothing,
    and only where it is a media type of the formats here.
    """
    suffix = filename.rpartition(".")[2].lower() if "." in filename else ""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(head, suffix, _zip_names(open_content, size_bytes))
    text = as_utf_8(head)
    found = by_content(head, size_bytes, suffix)
    if found or suffix in _FORMATS:
        return _FORMATS[found or suffix] if found or _may_be(suffix, text) else (UNKNOWN, Kind.OTHER)
    return _DECLARED.get(declared.lower(), (UNKNOWN, Kind.OTHER))


def as_utf_8(head: bytes) -> bytes:
    """The beginning of a file without a byte order mark; XML is also sent in UTF-16."""
    if head.startswith((b"\xff\xfe<", b"\xfe\xff\0<")):
        return head.decode("utf-16", "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf")


def _may_be(suffix: str, head: bytes) -> bool:
    """Whether a name can be believed where the content shows no format."""
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # an OLE document, as old Office files are too
        return suffix not in _MODELS or suffix in _OLE_MODELS
    return suffix not in _TEXT_MODELS or b"\0" not in head  # a compiler's .obj, say


def opens_as(file: Attachment) -> str:
    """The file's name; with one suffix more where a 3D file is not called one, or another file is."""
    called, kind = _FORMATS.get(file.filename.lower().rpartition(".")[2], (UNKNOWN, Kind.OTHER))
    is_misnamed = called != file.content_type != UNKNOWN and Kind.MODEL in {kind, file.kind}
    return file.filename + suffix_of(file.content_type) if is_misnamed else file.filename


def suffix_of(content_type: str) -> str:
    """The usual suffix of a media type, with its dot; ".bin" when there is none."""
    return next((f".{suffix}" for suffix, (known, _) in _FORMATS.items() if known == content_type != UNKNOWN), ".bin")


@lru_cache(maxsize=1)  # it is asked twice of each file, for what it is and for whether it is refused
def by_content(head: bytes, size_bytes: int, suffix: str) -> str:
    """The suffix of the format that the first bytes show, "" when they show none; that of the name is a hint."""
    head = as_utf_8(head)
    # First, since its 80 bytes of header are free and may begin with anything, "solid" too.
    if len(head) > 84 and size_bytes == 84 + 50 * int.from_bytes(head[80:84], "little"):  # noqa: PLR2004 - its layout
        return "stl"
    if head[:_BLANK_BYTES].isspace():  # no format begins so, and a dozen patterns would each read the blanks
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
    """The suffix of a text format without a signature, "" when it is none."""
    if head.lstrip()[:1] == b"{" and (
        suffix == "gltf" or (b'"asset"' in head and b'"version"' in head and b'"generator"' in head)
    ):
        return "gltf"
    if _OFF.match(head):
        return "off"
    lines = [line for line in (head.splitlines()[:-1] or head.splitlines())[:_LINES] if line.strip()]
    statements = [line for line in lines if _OBJ_STATEMENT.match(line.lstrip() + b" ")]
    vertices = sum(_OBJ_VERTEX.fullmatch(line.strip()) is not None for line in statements)
    if vertices >= 3 and len(statements) >= 0.8 * len(lines):  # noqa: PLR2004 - a triangle, and next to nothing else
        return "obj"
    return "mtl" if any(line.startswith(b"newmtl ") for line in lines) else ""


def _archive(head: bytes, suffix: str, names: list[str]) -> tuple[str, Kind]:
    """What a zip is, by the names in it: nothing is ever extracted."""
    suffixes = {name.rpartition(".")[2].lower() for name in names}
    if any(name.lower().startswith("3d/") and name.lower().endswith(".model") for name in names):
        return _FORMATS["3mf"]
    if "[Content_Types].xml" in names or "mimetype" in names:  # an office document, which may hold a 3D illustration
        return _FORMATS.get(suffix, _FORMATS["zip"]) if suffix not in _MODELS else _FORMATS["zip"]
    first = names[0].rpartition(".")[2].lower() if names else ""
    if first in ("usdc", "usda", "usd") and head[8:10] == b"\0\0":  # stored, as USDZ has to be
        return _FORMATS["usdz"]
    if suffix in _MODELS:  # stpz, zae, 3dxml and others are zips by definition
        return _FORMATS[suffix]
    return _OTHERS["zip"], Kind.MODEL if suffixes & _MODELS.keys() else Kind.OTHER


def _zip_names(open_content: Callable[[], BinaryIO], size_bytes: int) -> list[str]:
    """The first 2,000 names in a zip's central directory (APPNOTE.TXT sections 4.3.12 and 4.3.16); none without one."""
    with open_content() as content:
        content.seek(max(0, size_bytes - 65_557))
        tail = content.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or len(tail) < end + 22:
            return []
        directory_bytes = struct.unpack_from("<I", tail, end + 12)[0]
        content.seek(max(0, size_bytes - len(tail) + end - directory_bytes))
        directory = content.read(min(directory_bytes, _MAX_DIRECTORY_BYTES))
    names: list[str] = []
    at = 0
    while len(names) < _MAX_NAMES and directory[at : at + 4] == b"PK\x01\x02" and len(directory) >= at + 46:
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        names.append(directory[at + 46 : at + 46 + name].decode("utf-8", "replace"))
        at += 46 + name + extra + comment
    return names
