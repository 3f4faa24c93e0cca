"""Detect the media type and kind of a file: by its content first, its name second, its declared type last.

Mail declares nearly every 3D file as application/octet-stream, and no detector knows the formats. So they are listed
here, with the media types of https://www.iana.org/assignments/media-types. A format that a browser would run gets
application/octet-stream.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.model import Kind
from poller.parsing import magic
from poller.parsing.magic import as_utf_8, by_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.model import Attachment

UNKNOWN: Final = "application/octet-stream"
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
_DOCUMENTS: Final = {
    "pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "doc": "application/msword",
    "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation", "rtf": UNKNOWN, "tsv": "text/tab-separated-values",
    "md": UNKNOWN, "pages": UNKNOWN, "numbers": UNKNOWN, "psd": "image/vnd.adobe.photoshop",
    "psb": UNKNOWN, "ai": UNKNOWN, "eps": UNKNOWN, "indd": UNKNOWN, "idml": UNKNOWN, "cdr": UNKNOWN,
    "afdesign": UNKNOWN, "afphoto": UNKNOWN, "afpub": UNKNOWN, "xcf": UNKNOWN, "kra": UNKNOWN, "procreate": UNKNOWN,
    "sbsar": UNKNOWN, "sbs": UNKNOWN, "spp": UNKNOWN, "spsm": UNKNOWN, "ttf": "font/ttf", "otf": "font/otf",
    "ttc": "font/collection", "woff": "font/woff", "woff2": "font/woff2",
}  # fmt: skip
_ARCHIVES: Final = {
    "zip": "application/zip", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar",
    "gz": "application/gzip", "tgz": "application/gzip", "tar": UNKNOWN, "bz2": UNKNOWN, "tbz2": UNKNOWN,
    "xz": UNKNOWN, "txz": UNKNOWN, "zst": "application/zstd", "zipx": UNKNOWN,
}  # fmt: skip
_VIDEOS: Final = {
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/matroska",
    "avi": UNKNOWN,
}  # fmt: skip
_SIDE_FILES: Final = {
    "tga": UNKNOWN, "exr": UNKNOWN, "hdr": UNKNOWN, "dds": UNKNOWN, "ktx": "image/ktx", "ktx2": "image/ktx2",
    "basis": UNKNOWN, "bin": UNKNOWN, "pcx": UNKNOWN, "sgi": UNKNOWN,
}  # fmt: skip
# HTML can hold scripts, and SVG too, so a browser must save them and never show them.
_OTHERS: Final = {
    "eml": "message/rfc822", "ics": "text/calendar", "vcf": "text/vcard", "svg": UNKNOWN, "svgz": UNKNOWN,
    "htm": UNKNOWN, "html": UNKNOWN, "xml": UNKNOWN, "js": UNKNOWN,
}  # fmt: skip
_FORMATS: Final = {
    suffix: (media_type, kind)
    for kind, table in (
        (Kind.OTHER, _OTHERS),
        (Kind.DOCUMENT, _DOCUMENTS),
        (Kind.ARCHIVE, _ARCHIVES),
        (Kind.VIDEO, _VIDEOS),
        (Kind.SIDE, _SIDE_FILES),
        (Kind.IMAGE, IMAGES),
        (Kind.MODEL, _MODELS),
    )
    for suffix, media_type in table.items()
}
_DECLARED: Final = {known.lower(): (known, kind) for known, kind in _FORMATS.values() if known != UNKNOWN}
_DECLARED["message/partial"] = ("message/partial", Kind.OTHER)  # a piece of a mail (RFC 2046), which has no name
_TEXT_MODELS: Final = {
    "obj", "mtl", "gltf", "dae", "step", "stp", "igs", "iges", "ifc", "amf", "x3d", "x3dv", "wrl", "off", "usda", "ma",
    "sat", "vrml", "rcproject",
}  # fmt: skip
_OLE_MODELS: Final = {"max", "sldprt", "sldasm", "ipt", "iam", "prt", "rvt", "rfa", "dgn"}


def sniff(
    head: bytes, size_bytes: int, filename: str, open_content: Callable[[], BinaryIO], declared: str = ""
) -> tuple[str, Kind]:
    """Return the media type and kind of a file.

    `head` is its first `magic.HEAD_BYTES`. `open_content` opens the whole file, seekable. It is called only where
    an archive's directory has to be read. `declared` is the sender's Content-Type. It counts only when content and name
    say nothing, and only if it is a media type of the formats here.
    """
    suffix = filename.rpartition(".")[2].lower() if "." in filename else ""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(head, suffix, _zip_names(open_content, size_bytes))
    text = as_utf_8(head)
    found = by_content(head, size_bytes, suffix)
    if found or suffix in _FORMATS:
        return _FORMATS[found or suffix] if found or _may_be(suffix, text) else (UNKNOWN, Kind.OTHER)
    return _DECLARED.get(declared.lower(), (UNKNOWN, Kind.OTHER))


def _may_be(suffix: str, head: bytes) -> bool:
    """Return whether the name can be believed where the content shows no format."""
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # an OLE document, as old Office files are too
        return suffix not in _MODELS or suffix in _OLE_MODELS
    return suffix not in _TEXT_MODELS or b"\0" not in head  # a compiler's .obj, say


def opens_as(file: Attachment) -> str:
    """Return the file's name, with the suffix of its content added where the name is wrong.

    A name is wrong where its media type is not that of the content, and one of the two is a 3D format. With an unknown
    content type the name stays as it is.
    """
    called, kind = _FORMATS.get(file.filename.lower().rpartition(".")[2], (UNKNOWN, Kind.OTHER))
    is_misnamed = called != file.content_type != UNKNOWN and Kind.MODEL in {kind, file.kind}
    return file.filename + suffix_of(file.content_type) if is_misnamed else file.filename


def suffix_of(content_type: str) -> str:
    """Return the usual suffix of a media type, with its dot, or ".bin" when there is none."""
    return next((f".{suffix}" for suffix, (known, _) in _FORMATS.items() if known == content_type != UNKNOWN), ".bin")


def _archive(head: bytes, suffix: str, names: list[str]) -> tuple[str, Kind]:
    """Return the media type and kind of a zip by the names in it. Nothing is ever extracted."""
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
    return _ARCHIVES["zip"], Kind.MODEL if suffixes & _MODELS.keys() else Kind.ARCHIVE


def _zip_names(open_content: Callable[[], BinaryIO], size_bytes: int) -> list[str]:
    """Return the first 2,000 names in a zip's central directory (APPNOTE.TXT sections 4.3.12 and 4.3.16).

    The list is empty when there is no directory.
    """
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


_SUFFIXES: Final = {
    "apk", "app", "appx", "application", "bat", "chm", "cmd", "com", "command", "cpl", "dex", "dll", "dmg", "docm",
    "dotm", "exe", "gadget", "hta", "htm", "html", "img", "iso", "jar", "js", "jse", "jsp", "lnk", "mht", "mhtml",
    "mjs", "msc", "msi", "msp", "msix", "php", "pif", "ppam", "pptm", "potm", "ps1", "psm1", "py", "reg", "scf",
    "scr", "sh", "shtml", "svg", "svgz", "swf", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "wsf", "wsh", "xht",
    "xhtml", "xlam", "xlsm", "xltm", "xsl", "xslt",
}  # fmt: skip
_CONTENT: Final = re.compile(
    rb"MZ[^\0]{0,250}\0|\x7fELF|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe|dex\n0|#!\s*/"
    rb"|[FCZ]WS[\x01-\x40]|L\0\0\0\x01\x14\x02\0",
    re.DOTALL,
)
_CONTAINERS: Final = re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07")
_NUL: Final = re.compile("%00|_00")
_BLANKS: Final = b"\0\t\n\v\f\r \xef\xbb\xbf\xfe\xff"  # with the byte order marks, and the zeros of UTF-16
_PAGE: Final = re.compile(
    rb"\s*(?:(?><!--.*?-->)\s*|<\?[^>]{0,500}>\s*|<!DOCTYPE[^>]{0,500}>\s*)*"
    rb"<(?:\w+:)?(?:html|head|body|title|style|script|iframe|object|embed|meta|svg|stylesheet)\b",
    re.IGNORECASE | re.DOTALL,
)


def refused(filename: str, head: bytes, size_bytes: int) -> bool:
    """Return True if the name or the content of a file shows a program, a script or a web page.

    Either one is enough. `head` is the first `magic.HEAD_BYTES` of the file. An inner suffix counts too
    ("plan.exe.glb"), unless the content shows a harmless format: a file name may contain a domain name. A suffix cut
    off by an encoded NUL is an inner suffix ("plan.exe%00.glb"). A file named as an image whose content begins with "<"
    is refused.
    """
    if _CONTENT.match(head) or _PAGE.match(magic.as_utf_8(head)):
        return True
    name = unicodedata.normalize("NFKC", filename).casefold().rstrip(". ")
    parts = (part.strip() for suffix in name.split(".")[1:] for part in _NUL.split(suffix))
    inner = [part for part in parts if part]
    if not inner:
        return False
    found = magic.by_content(head, size_bytes, inner[-1]) or _CONTAINERS.match(head)
    if not found and inner[-1] in IMAGES and head.lstrip(_BLANKS).startswith(b"<"):
        return True
    return inner[-1] in _SUFFIXES or found in _SUFFIXES or (not found and not _SUFFIXES.isdisjoint(inner))
