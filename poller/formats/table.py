"""List the formats: the media type and the kind of each suffix.

Mail declares nearly every 3D file as application/octet-stream, and no detector knows the formats. So they are listed
here, with the media types of https://www.iana.org/assignments/media-types. A format that a browser would run gets
application/octet-stream.
"""

from __future__ import annotations

import re
from typing import Final

from poller.model import Kind

UNKNOWN: Final = "application/octet-stream"

MODELS: Final = {
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
    "slddrw": UNKNOWN, "catdrawing": UNKNOWN, "cgr": UNKNOWN, "model": UNKNOWN, "par": UNKNOWN, "psm": UNKNOWN,
    "asm": UNKNOWN, "idw": UNKNOWN, "ipn": UNKNOWN, "vwx": UNKNOWN, "pln": UNKNOWN, "gsm": UNKNOWN, "nwd": UNKNOWN,
    "nwc": UNKNOWN, "rte": UNKNOWN, "f3z": UNKNOWN, "3dmbak": UNKNOWN, "lxo": UNKNOWN, "hip": UNKNOWN, "zpr": UNKNOWN,
    "xyz": UNKNOWN, "pts": UNKNOWN, "ptx": UNKNOWN, "las": UNKNOWN, "laz": UNKNOWN, "pcd": UNKNOWN, "splat": UNKNOWN,
    "spz": UNKNOWN, "ksplat": UNKNOWN, "sog": UNKNOWN, "drc": UNKNOWN, "brep": UNKNOWN, "brp": UNKNOWN, "x": UNKNOWN,
    "ase": UNKNOWN, "ifcxml": UNKNOWN, "ifczip": UNKNOWN, "dwf": "model/vnd.dwf", "dwfx": UNKNOWN, "wire": UNKNOWN,
    "xmt_txt": "model/vnd.parasolid.transmit.text", "xmt_bin": "model/vnd.parasolid.transmit.binary",
    "plmxml": UNKNOWN, "blend1": UNKNOWN, "mtlx": UNKNOWN, "vrm": "model/gltf-binary", "vrma": "model/gltf-binary",
    "skb": UNKNOWN, "x_b": "model/vnd.parasolid.transmit.binary", "x_t": "model/vnd.parasolid.transmit.text",
    "zae": UNKNOWN,
}  # fmt: skip
IMAGES: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic", "heif": "image/heif",
    "avif": "image/avif",
}  # fmt: skip
CAMERA_RAWS: Final = dict.fromkeys(("dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2", "pef", "srw"), UNKNOWN)
_DOCUMENTS: Final = {
    "pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "doc": "application/msword",
    "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation", "rtf": UNKNOWN, "tsv": "text/tab-separated-values",
    "md": UNKNOWN, "pages": UNKNOWN, "numbers": UNKNOWN, "psd": "image/vnd.adobe.photoshop",
    "psb": UNKNOWN, "ai": UNKNOWN, "eps": UNKNOWN, "svg": UNKNOWN, "indd": UNKNOWN, "idml": UNKNOWN, "cdr": UNKNOWN,
    "afdesign": UNKNOWN, "afphoto": UNKNOWN, "afpub": UNKNOWN, "xcf": UNKNOWN, "kra": UNKNOWN, "procreate": UNKNOWN,
    "sbsar": UNKNOWN, "sbs": UNKNOWN, "spp": UNKNOWN, "spsm": UNKNOWN, "ttf": "font/ttf", "otf": "font/otf",
    "ttc": "font/collection", "woff": "font/woff", "woff2": "font/woff2",
}  # fmt: skip
_ARCHIVES: Final = {
    "zip": "application/zip", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar",
    "gz": "application/gzip", "tgz": "application/gzip", "tar": UNKNOWN, "bz2": UNKNOWN, "tbz2": UNKNOWN,
    "xz": UNKNOWN, "txz": UNKNOWN, "zst": "application/zstd", "zipx": UNKNOWN, "piece": UNKNOWN,
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
    "eml": "message/rfc822", "ics": "text/calendar", "vcf": "text/vcard", "svgz": UNKNOWN,
    "htm": UNKNOWN, "html": UNKNOWN, "xml": UNKNOWN, "js": UNKNOWN,
}  # fmt: skip
TEXT_MODELS: Final = {
    "obj", "mtl", "gltf", "dae", "step", "stp", "igs", "iges", "ifc", "amf", "x3d", "x3dv", "wrl", "off", "usda", "ma",
    "sat", "vrml", "rcproject", "ase", "xyz", "pts", "ptx", "ifcxml", "plmxml", "mtlx", "x_t", "xmt_txt", "stpx",
}  # fmt: skip
OLE_MODELS: Final = {
    "max", "sldprt", "sldasm", "slddrw", "ipt", "iam", "idw", "ipn", "prt", "par", "psm", "asm", "rvt", "rfa", "rte",
    "dgn",
}  # fmt: skip
# Suffixes that texts have as well: sources, settings, flight plans.
BINARY_MODELS: Final = {"model", "par", "psm", "asm", "pln", "wire", "hip", "splat", "gsm", "cgr", "zpr"}
POINT_CLOUDS: Final = {"xyz", "pts", "ptx"}
# Suffixes that say nothing without the signature of their format: sources, palettes, readings of a drill hole, photos.
SIGNED_MODELS: Final = {"x", "ase", "las", "laz", "pcd"}

GZIPPED: Final = {f"{suffix}.gz" for suffix in TEXT_MODELS | {"ply", "stl", "fbx", "glb", "usdc", "3ds", "sab"}}
FORMATS: Final = {
    suffix: (media_type, kind)
    for kind, table in (
        (Kind.OTHER, _OTHERS),
        (Kind.DOCUMENT, _DOCUMENTS),
        (Kind.ARCHIVE, _ARCHIVES),
        (Kind.VIDEO, _VIDEOS),
        (Kind.SIDE, _SIDE_FILES),
        (Kind.IMAGE, IMAGES | CAMERA_RAWS),
        (Kind.MODEL, MODELS | dict.fromkeys(sorted(GZIPPED), "application/gzip")),
    )
    for suffix, media_type in table.items()
}
# Those that tell a model by its name alone, as in the directory of an archive.
NAMED_MODELS: Final = {
    suffix
    for suffix, (_, kind) in FORMATS.items()
    if kind is Kind.MODEL and suffix not in BINARY_MODELS | POINT_CLOUDS | SIGNED_MODELS
}
DECLARED: Final = {known.lower(): (known, kind) for known, kind in reversed(FORMATS.values()) if known != UNKNOWN}
DECLARED["message/partial"] = ("message/partial", Kind.OTHER)  # a piece of a mail (RFC 2046), which has no name
_PIECE: Final = re.compile(r"0\d\d|[zr]\d\d")  # the suffix of a piece of a split archive


def suffix_of_name(filename: str) -> str:
    """Return the suffix of a file name in lower case, as in `FORMATS`, without its dot. "" if there is none.

    That of "vis.prt.3" is "prt", that of "vase.obj.gz" is "obj.gz", that of a piece of an archive is "piece".
    """
    name = filename.lower()
    stem, dot, last = name.rpartition(".")
    if not dot:
        return ""
    if _PIECE.fullmatch(last):
        return "piece"
    before = stem.rpartition(".")[2]
    if last.isdecimal() and before in {"prt", "asm"}:  # Creo numbers the versions of a file
        return before
    return f"{before}.{last}" if f"{before}.{last}" in GZIPPED else last


def suffix_of_type(content_type: str) -> str:
    """Return the usual suffix of a media type, without its dot, or "" when there is none."""
    return next((suffix for suffix, (known, _) in FORMATS.items() if known == content_type != UNKNOWN), "")
