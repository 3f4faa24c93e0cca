"""What runs when it is opened: programs, scripts, pages. Such a file is never put on a public bucket."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from poller.parsing import file_types, magic

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
    """Whether a file is a program, a script or a page, by its name or by its content, whatever the other says.

    `head` is its first `signatures.HEAD_BYTES`. An inner suffix counts too ("plan.exe.glb"), unless the content shows a
    format that is none of these: a name may hold a domain. One cut off by an encoded NUL is an inner one
    ("plan.exe%00.glb"). What begins as a page does and is called an image is neither.
    """
    if _CONTENT.match(head) or _PAGE.match(magic.as_utf_8(head)):
        return True
    name = unicodedata.normalize("NFKC", filename).casefold().rstrip(". ")
    parts = (part.strip() for suffix in name.split(".")[1:] for part in _NUL.split(suffix))
    inner = [part for part in parts if part]
    if not inner:
        return False
    found = magic.by_content(head, size_bytes, inner[-1]) or _CONTAINERS.match(head)
    if not found and inner[-1] in file_types.IMAGES and head.lstrip(_BLANKS).startswith(b"<"):
        return True
    return inner[-1] in _SUFFIXES or found in _SUFFIXES or (not found and not _SUFFIXES.isdisjoint(inner))
