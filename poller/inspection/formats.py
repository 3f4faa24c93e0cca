"""Tell what can be looked at, and as which format: by content where it shows, else by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from poller.model import Kind

if TYPE_CHECKING:
    from poller.model import Attachment

HEAD_BYTES: Final = 512
ARCHIVES: Final = frozenset({"zip"})
MAX_MEMBERS: Final = 3  # of an archive that are looked at
USD: Final = frozenset({"usd", "usda", "usdc", "usdz"})
CAD: Final = frozenset({"step", "stp", "iges", "igs", "stpz"})
MESHES: Final = frozenset(
    {"glb", "gltf", "vrm", "obj", "stl", "ply", "3mf", "dae", "zae", "off", "xyz", "3dxml", "xaml"}
)
READ: Final = MESHES | CAD | USD  # formats whose surfaces are drawn
# Formats that are not drawn, whose files may hold a picture of their own.
EMBEDDED: Final = frozenset({
    "3dm", "blend", "c4d", "catpart", "catproduct", "dwg", "dwt", "f3d", "f3z", "fcstd", "iam", "idw", "ipn", "ipt",
    "max", "rfa", "rft", "rte", "rvt", "sh3d", "skb", "skp", "sldasm", "slddrw", "sldprt", "spp", "vwx",
})  # fmt: skip
# Formats that are models, and of which nothing here shows anything. Their facts are what a mail's reader is told.
OTHER_MODELS: Final = frozenset({
    "3ds", "abc", "amf", "brep", "dgn", "drc", "dxf", "e57", "fbx", "ifc", "jt", "las", "laz", "lwo", "ma", "mb", "pcd",
    "prc", "prt", "sat", "splat", "spz", "u3d", "wrl", "x3d", "x_b", "x_t", "zpr",
})  # fmt: skip
MODELS: Final = READ | EMBEDDED | OTHER_MODELS
RAW: Final = frozenset({"arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "srw"})  # of cameras
PHOTOS: Final = (
    frozenset({"avif", "bmp", "heic", "heif", "psb", "psd", "tif", "tiff"}) | RAW
)  # what browsers do not show
PAGES: Final = frozenset({"ai", "pdf"})
WEB: Final = frozenset({"gif", "jpeg", "jpg", "png", "webp"})  # photos that browsers show
SHOWN_BYTES: Final = 1_000_000  # of a photo that is shown as it is: a larger one would make a letter slow to open
_Z_UP: Final = frozenset({"3mf", "3dxml", "iges", "igs", "off", "step", "stl", "stp", "stpz", "xyz"})

_BY_TYPE: Final = {
    "model/gltf-binary": "glb", "model/gltf+json": "gltf", "model/obj": "obj", "model/stl": "stl", "model/3mf": "3mf",
    "model/vnd.collada+xml": "dae", "model/step": "step", "model/iges": "iges", "model/vnd.usda": "usda",
    "model/vnd.usdz+zip": "usdz", "application/pdf": "pdf", "image/heic": "heic", "image/tiff": "tiff",
    "image/avif": "avif", "image/vnd.adobe.photoshop": "psd", "image/vnd.dwg": "dwg", "application/zip": "zip",
}  # fmt: skip
_SIGNATURES: Final = (
    ("glb", rb"glTF[\x01\x02]\0\0\0"),
    ("usdc", rb"PXR-USDC"),
    ("usda", rb"#usda \d"),
    ("ply", rb"ply\s"),
    ("step", rb"\s*(?:/\*.*?\*/\s*)?ISO-10303-21;"),
    ("iges", rb"[ -~]{72}S[ 0]{6}1"),
    ("pdf", rb"\s*%PDF-\d"),
    ("psd", rb"8BPS\0"),
    ("heic", rb".{4}ftyp(?:heic|heix|hevc|heim|heis|mif1|msf1)"),
    ("avif", rb".{4}ftypavi[fs]"),
    ("dwg", rb"AC10\d\d\0"),
    ("blend", rb"BLENDER[_\-\d]"),
    ("dae", rb"\s*(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*)*<COLLADA\b"),  # a comment ends at its first end
)
_PATTERNS: Final = tuple((suffix, re.compile(pattern, re.DOTALL)) for suffix, pattern in _SIGNATURES)


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case, without its dot; "" if there is none."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if dot and stem else ""


def shows_itself(attachment: Attachment) -> bool:
    """Return whether an attachment is a photo that letters can show as it is."""
    is_web = attachment.kind is Kind.IMAGE and suffix_of(attachment.filename) in WEB
    return is_web and not attachment.refused and attachment.size_bytes <= SHOWN_BYTES


def is_inspected(attachment: Attachment) -> bool:
    """Return whether there may be something to say about an attachment, or something to show of it."""
    if shows_itself(attachment):
        return False
    suffix = suffix_of(attachment.filename)
    known = MODELS | PHOTOS | PAGES | ARCHIVES | WEB
    return not attachment.refused and (suffix in known or _BY_TYPE.get(attachment.content_type, "") in known)


def format_of(name: str, content_type: str, head: bytes) -> str:
    """Return the format of a file as a suffix, "" if it is none that is looked at. `head` is its first 512 bytes."""
    suffix = suffix_of(name)
    head = head.removeprefix(b"\xef\xbb\xbf")
    for found, pattern in _PATTERNS:
        if pattern.match(head):
            # A suffix may say more than a signature: .vrm is a glb, .usd is either kind, and .ai is a PDF.
            same = {"glb": {"vrm"}, "usdc": {"usd"}, "usda": {"usd"}, "pdf": {"ai"}, "step": {"stp"}, "psd": {"psb"}}
            return suffix if suffix in same.get(found, ()) and found != "pdf" else found
    if head.startswith(b"PK\x03\x04") and suffix in ARCHIVES | {""}:
        return "zip"
    return suffix if suffix in MODELS | PHOTOS | PAGES | ARCHIVES | WEB else _BY_TYPE.get(content_type, "")


def up_axis(suffix: str) -> str:
    """Return the axis that points up in files of a format, by its specification or by custom."""
    return "z" if suffix in _Z_UP else "y"
