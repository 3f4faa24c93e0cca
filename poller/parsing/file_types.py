"""Detect the media type and kind of a file: by its content first, its name second, its declared type last."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.formats import magic, table
from poller.formats.magic import as_utf_8, by_content
from poller.formats.table import FORMATS, IMAGES, MODELS, UNKNOWN, suffix_of_name, suffix_of_type
from poller.model import Kind
from poller.parsing import containers

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.model import Attachment

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS: Final = {
    "ClassDirectory3": "max", "ClassDirectory": "max", "RevitPreview4.0": "rvt", "PartAtom": "rfa",
    "SwDocContentMgr": "sldprt", "SwDocMgrTempStorage": "sldprt", "swXmlContents": "sldprt", "RSeStorage": "ipt",
    "RSeDb": "ipt", "UFRxDoc": "ipt", "JSitesList": "par", "JProperties": "par", "PARASOLID": "par", "Dgn~H": "dgn",
    "UG_PART": "prt", "WordDocument": "doc", "Workbook": "xls", "Book": "xls", "PowerPoint Document": "ppt",
}  # fmt: skip
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_CONTENT_TYPES: Final = "[Content_Types].xml"  # in each package of ECMA-376
_CONTROLS: Final = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_POINT: Final = re.compile(rb"[-+]?\d[\d.eE+-]*(?:[ \t,;]+[-+]?\d[\d.eE+-]*){2,}[ \t,;]*")
_POINT_LINES: Final = 50  # examined
_PIECE_BYTES: Final = 64 * 1024


def sniff(
    head: bytes, size_bytes: int, filename: str, open_content: Callable[[], BinaryIO], declared: str = ""
) -> tuple[str, Kind]:
    """Return the media type and kind of a file.

    `head` is its first `magic.HEAD_BYTES`. `open_content` opens the whole file, seekable. It is called only where
    a container's directory has to be read. `declared` is the sender's Content-Type. It counts only when content and
    name say nothing, and only if it is a media type of the formats here.
    """
    suffix = suffix_of_name(filename)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with open_content() as content:
            return _archive(head, suffix, containers.zip_names(content, size_bytes))
    text = as_utf_8(head)
    found = by_content(head, size_bytes, suffix) or _by_directory(head, size_bytes, suffix, open_content)
    if found == "tiff" and FORMATS.get(suffix, ("", Kind.OTHER))[1] is Kind.IMAGE:
        found = suffix  # most formats of cameras are TIFF
    if found or suffix in FORMATS:
        return FORMATS[found or suffix] if found or _may_be(suffix, text) else (UNKNOWN, Kind.OTHER)
    return table.DECLARED.get(declared.lower(), (UNKNOWN, Kind.OTHER))


def _by_directory(head: bytes, size_bytes: int, suffix: str, open_content: Callable[[], BinaryIO]) -> str:
    """Return the suffix of a format that is told by what lies behind the first bytes, "" if there is none."""
    if head.startswith(_OLE):
        with open_content() as content:
            names = containers.ole_names(content)
        found = next((found for name, found in _OLE_STREAMS.items() if name in names), "")
        return suffix if found in MODELS and suffix in table.OLE_MODELS else found
    if head.startswith(_ZSTD) and FORMATS.get(suffix, (UNKNOWN, Kind.OTHER))[1] in {Kind.OTHER, Kind.SIDE}:
        with open_content() as content:
            return "blend" if containers.is_seekable_zstd(content, size_bytes) else "zst"
    return ""


def _may_be(suffix: str, head: bytes) -> bool:
    """Return whether the name can be believed where the content shows no format."""
    if not head:
        return True
    if head.startswith(_OLE):  # old Office files are OLE documents, too
        return suffix not in MODELS or suffix in table.OLE_MODELS
    if suffix in table.POINT_CLOUDS:
        return _has_points(head)
    if suffix in table.SIGNED_MODELS:
        return False
    if suffix in table.BINARY_MODELS:
        return _CONTROLS.search(head) is not None
    return suffix not in table.TEXT_MODELS or b"\0" not in head  # a compiler's .obj, say


def _has_points(head: bytes) -> bool:
    """Return True if all lines but the first few are points: three numbers or more."""
    lines = [line.strip() for line in head.splitlines()[: _POINT_LINES + 1]]
    if len(head) >= magic.HEAD_BYTES:
        lines = lines[:-1]
    points = [_POINT.fullmatch(line) is not None for line in lines if line]
    first = next((number for number, is_point in enumerate(points) if is_point), len(points))
    return first <= 10 and any(points) and all(points[first:])  # noqa: PLR2004 - the lines of a PTX file's header


def opens_as(file: Attachment) -> str:
    """Return the file's name, with the suffix of its content added where the name is wrong.

    A name is wrong where its media type is not that of the content, and one of the two is a 3D format. With an unknown
    content type the name stays as it is.
    """
    called, kind = FORMATS.get(suffix_of_name(file.filename), (UNKNOWN, Kind.OTHER))
    is_misnamed = called != file.content_type != UNKNOWN and Kind.MODEL in {kind, file.kind}
    return file.filename + suffix_of(file.content_type) if is_misnamed else file.filename


def suffix_of(content_type: str) -> str:
    """Return the usual suffix of a media type, with its dot, or ".bin" when there is none."""
    return f".{suffix_of_type(content_type) or 'bin'}"


def _archive(head: bytes, suffix: str, names: list[str]) -> tuple[str, Kind]:
    """Return the media type and kind of a zip by the names in it. Nothing is ever extracted."""
    if found := _packed_format(head, names):
        return FORMATS[found]
    named = FORMATS.get(suffix, (UNKNOWN, Kind.OTHER))
    if _CONTENT_TYPES in names or "mimetype" in names:  # an office document, which may hold a 3D illustration
        return named if named[1] is Kind.DOCUMENT or suffix in {"3mf", "dwfx"} else FORMATS["zip"]
    if suffix in MODELS or named == (UNKNOWN, Kind.DOCUMENT):  # stpz, zae, 3dxml, pages and others are zips
        return named
    # What a Mac adds to a model is named like it: "._chaise.obj".
    suffixes = {suffix_of_name(name) for name in names if not name.rpartition("/")[2].startswith("._")}
    return FORMATS["zip"][0], Kind.MODEL if suffixes & table.NAMED_MODELS else Kind.ARCHIVE


def _packed_format(head: bytes, names: list[str]) -> str:
    """Return the suffix of the format that packs its files in this zip, "" if it is none."""
    if _CONTENT_TYPES in names:
        if any(name[:3].lower() == "3d/" and name[-6:].lower() == ".model" for name in names):
            return "3mf"
        return "dwfx" if any(name.startswith("dwf/") for name in names) else ""
    if names and suffix_of_name(names[0]) in {"usdc", "usda", "usd"} and head[8:10] == b"\0\0":  # stored, as in USDZ
        return "usdz"
    if {"Document.xml", "GuiDocument.xml"}.issubset(names):
        return "fcstd"
    return "sog" if {"meta.json", "means_l.webp"}.issubset(names) else ""


_SUFFIXES: Final = {
    "apk", "app", "appx", "application", "bat", "chm", "cmd", "com", "command", "cpl", "dex", "dll", "dmg", "docm",
    "dotm", "exe", "gadget", "hta", "htm", "html", "img", "iso", "jar", "js", "jse", "jsp", "lnk", "mht", "mhtml",
    "mjs", "msc", "msi", "msp", "msix", "php", "pif", "ppam", "pptm", "potm", "ps1", "psm1", "py", "reg", "scf",
    "scr", "sh", "shtml", "svgz", "swf", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "wsf", "wsh", "xht",
    "xhtml", "xlam", "xlsm", "xltm", "xsl", "xslt",
}  # fmt: skip
_CONTENT: Final = re.compile(
    rb"MZ[^\0]{0,250}\0|\x7fELF|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe|dex\n0|#!\s*/"
    rb"|[FCZ]WS[\x01-\x40]|L\0\0\0\x01\x14\x02\0",
    re.DOTALL,
)
_CONTAINERS: Final = re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07")
_SCRIPT: Final = re.compile(
    rb"<(?:\w+:)?(?:script|foreignObject|iframe|embed|object|handler)\b|javascript:|data:text/html|\son[a-z]+\s{0,20}="
    rb"|&#(?:x0{0,9}3c|0{0,9}60);|\0",  # also written as a character, or in an encoding of two bytes
    re.IGNORECASE,
)
_OVERLAP_BYTES: Final = 64  # longer than any match of it
_NUL: Final = re.compile("%00|_00")
_BLANKS: Final = b"\0\t\n\v\f\r \xef\xbb\xbf\xfe\xff"  # with the byte order marks, and the zeros of UTF-16
_PAGE: Final = re.compile(
    rb"\s*(?:(?><!--.*?-->)\s*|<\?[^>]{0,500}>\s*|<!DOCTYPE[^>]{0,500}>\s*)*"
    rb"<(?:\w+:)?(html|head|body|title|style|script|iframe|object|embed|meta|svg|stylesheet)\b",
    re.IGNORECASE | re.DOTALL,
)


def refused(filename: str, head: bytes, size_bytes: int) -> bool:
    """Return True if the name or the content of a file shows a program, a script or a web page.

    Either one is enough. `head` is the first `magic.HEAD_BYTES` of the file. An inner suffix counts too
    ("plan.exe.glb"), unless the content shows a harmless format: a file name may contain a domain name. A suffix cut
    off by an encoded NUL is an inner suffix ("plan.exe%00.glb"). A file named as an image whose content begins with "<"
    is refused. An SVG is refused only under another name or with a script in its head; `has_script` reads the rest.
    """
    name = unicodedata.normalize("NFKC", filename).casefold().rstrip(". ")
    parts = (part.strip() for suffix in name.split(".")[1:] for part in _NUL.split(suffix))
    inner = [part for part in parts if part] or [""]
    found = magic.by_content(head, size_bytes, inner[-1])
    is_drawing = inner[-1] == "svg" and found in {"", "svg"}
    page = _PAGE.match(magic.as_utf_8(head))
    if _CONTENT.match(head) or (page and not (is_drawing and page[1].lower() == b"svg")):
        return True
    if is_drawing and _SCRIPT.search(head):
        return True
    if not found and inner[-1] in IMAGES and head.lstrip(_BLANKS).startswith(b"<"):
        return True
    is_known = found or _CONTAINERS.match(head)
    return inner[-1] in _SUFFIXES or found in _SUFFIXES or (not is_known and not _SUFFIXES.isdisjoint(inner))


def has_script(content: BinaryIO) -> bool:
    """Return True if an SVG holds a script, or what may become one. It is read to its end, in pieces.

    Raises:
        OSError: the content cannot be read.
    """
    before = b""
    while piece := content.read(_PIECE_BYTES):
        if _SCRIPT.search(before + piece):
            return True
        before = piece[-_OVERLAP_BYTES:]
    return False
