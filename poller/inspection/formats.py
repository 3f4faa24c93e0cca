"""Tell what can be looked at, and as which format: by content where it shows, else by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poller.formats.magic import HEAD_BYTES, by_content
from poller.formats.table import CAMERA_RAWS, FORMATS, suffix_of_name, suffix_of_type
from poller.model import Kind

if TYPE_CHECKING:
    from poller.model import Attachment

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
# Formats that are drawn by f3d alone.
F3D: Final = frozenset({
    "3ds", "abc", "amf", "brep", "drc", "dxf", "fbx", "fcstd", "ifc", "las", "laz", "pcd", "ptx", "pts", "splat", "spz",
    "vrml", "wrl", "x",
})  # fmt: skip
MATERIALS: Final = frozenset({"mtl", "mtlx", "mtl.gz", "mtlx.gz"})  # listed as models, and nothing to look at alone
MODELS: Final = frozenset(suffix for suffix, (_, kind) in FORMATS.items() if kind is Kind.MODEL) - MATERIALS
RAW: Final = frozenset(CAMERA_RAWS)
# What browsers do not show.
PHOTOS: Final = frozenset({"avif", "bmp", "heic", "heif", "psb", "psd", "tif", "tiff"}) | RAW
PAGES: Final = frozenset({"ai", "pdf"})
WEB: Final = frozenset({"gif", "jpeg", "jpg", "png", "webp"})  # photos that browsers show
SHOWN_BYTES: Final = 1_000_000  # of a photo that is shown as it is: a larger one would make a letter slow to open
_LOOKED_AT: Final = MODELS | READ | EMBEDDED | PHOTOS | PAGES | ARCHIVES | WEB
_Z_UP: Final = frozenset({
    "3dxml", "3ds", "3mf", "brep", "dxf", "fcstd", "ifc", "iges", "igs", "las", "laz", "off", "pcd", "pts", "ptx",
    "step", "stl", "stp", "stpz", "xyz",
})  # fmt: skip

# Suffixes that say more than the content does, which is that of another format as well.
_KINDS_OF: Final = {
    "glb": frozenset({"vrm"}),
    "usdc": frozenset({"usd"}),
    "usda": frozenset({"usd"}),
    "sldprt": frozenset({"sldasm", "slddrw"}),
    "catpart": frozenset({"catproduct"}),
    "tiff": RAW,
}


def shows_itself(attachment: Attachment) -> bool:
    """Return whether an attachment is a photo that letters can show as it is."""
    is_web = attachment.kind is Kind.IMAGE and suffix_of_name(attachment.filename) in WEB
    return is_web and not attachment.refused and attachment.size_bytes <= SHOWN_BYTES


def is_inspected(attachment: Attachment) -> bool:
    """Return whether there may be something to say about an attachment, or something to show of it."""
    if attachment.refused or shows_itself(attachment):
        return False
    suffix = suffix_of_name(attachment.filename)
    if attachment.kind is Kind.MODEL:
        return suffix not in MATERIALS
    return not _LOOKED_AT.isdisjoint({suffix, suffix_of_type(attachment.content_type)})


def format_of(name: str, content_type: str, content: bytes) -> str:
    """Return the format of a file as a suffix, "" if it is none that is looked at."""
    suffix = suffix_of_name(name)
    if found := by_content(content[:HEAD_BYTES], len(content), suffix):
        return suffix if suffix in _KINDS_OF.get(found, ()) else found
    if content.startswith(b"PK\x03\x04") and not suffix:
        return "zip"
    return next((each for each in (suffix, suffix_of_type(content_type)) if each in _LOOKED_AT), "")


def up_axis(suffix: str) -> str:
    """Return the axis that points up in files of a format, by its specification or by custom."""
    return "z" if suffix in _Z_UP else "y"
