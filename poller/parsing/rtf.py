"""Extract the text of a mail that Outlook wrote as Rich Text, unpacked ([MS-OXRTFCP]) and without formatting."""

from __future__ import annotations

import re
import struct
from typing import Final

from striprtf.striprtf import rtf_to_text

from poller.mime import charsets

_PRIMED: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20"
    b"\\b\\i\\u\\tab\\tx"
)
_WINDOW: Final = 4096
# What striprtf fails at or takes wrongly: binary data, missing and large numbers, code pages, bytes beyond ASCII and
# characters of two bytes. What takes it quadratic or cubic time: font tables, links. And text that it would hide.
_HAZARD: Final = re.compile(
    rb"\\(?P<word>bin[A-Za-z]*|fonttbl|(?i:field)|(?:uc?|ansicpg|cell|nestcell|footnote|pntext|shp|shprslt|upr)(?![A-Za-z]))"
    rb"(?P<number>-?\d{1,9})? ?|\\[\\_-]|[\x80-\xff]|(?:(?<=[\x80-\xff])|(?<=\\'[0-9A-Fa-f]{2}))[^\\{}\r\n]"
)
_HYPHENS: Final = {b"\\_": b"-", b"\\-": b""}  # one that does not break a line, and one that may
_CODE_PAGE: Final = re.compile(rb"\\ansicpg(\d{1,5})")


def unpacked(compressed: bytes, limit_bytes: int) -> bytes:
    """Return at most `limit_bytes` of the RTF in a PidTagRtfCompressed value, or b"" if it is none."""
    if len(compressed) < 16:  # noqa: PLR2004 - its header: two sizes, the type, a checksum
        return b""
    kind, packed = compressed[8:12], compressed[16 : 4 + struct.unpack_from("<I", compressed)[0]]
    if kind == b"MELA":
        return packed[:limit_bytes]
    if kind != b"LZFu":
        return b""
    window = bytearray(_PRIMED.ljust(_WINDOW, b" "))
    write = len(_PRIMED)
    rtf = bytearray()
    at = 0
    while at < len(packed) and len(rtf) < limit_bytes:
        control, at = packed[at], at + 1
        for bit in range(8):
            if not control >> bit & 1:
                literal = packed[at : at + 1]
                at += 1
                window[write : write + len(literal)] = literal
                write = (write + len(literal)) % _WINDOW
                rtf += literal
            elif at + 2 > len(packed):
                return bytes(rtf)
            else:
                reference = int.from_bytes(packed[at : at + 2], "big")
                at += 2
                read, length = reference >> 4, (reference & 15) + 2
                if read == write:
                    return bytes(rtf)
                for offset in range(length):
                    window[write] = window[(read + offset) % _WINDOW]
                    rtf.append(window[write])
                    write = (write + 1) % _WINDOW
    return bytes(rtf[:limit_bytes])


def text(rtf: bytes) -> str:
    """Return the text of an RTF document, its paragraphs as lines, or "" if it is none."""
    if not rtf.startswith(b"{\\rtf"):
        return ""
    code_page = _CODE_PAGE.search(rtf)
    charset = charsets.of_code_page(int(code_page[1])) if code_page else ""
    shown: str = rtf_to_text(_tamed(rtf), charset or "cp1252", "replace")  # type: ignore[no-untyped-call]
    return shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # a pair comes as two characters


def _tamed(rtf: bytes) -> str:
    """Return the same document without what striprtf must not see.

    What is taken out leaves a line end, which is no text in RTF.
    """
    pieces = []
    at = 0
    while found := _HAZARD.search(rtf, at):
        word, number = found["word"], int(found["number"] or 0)
        pieces.append(rtf[at : found.start()])
        at = found.end() + (max(0, number) if word == b"bin" else 0)
        if word in {b"u", b"uc"}:
            pieces.append(b"\\%s%d " % (word, number % 0x10000))  # a unit of UTF-16, as a signed number
        elif word == b"fonttbl":
            pieces.append(b"\\colortbl ")
        elif word in {b"cell", b"nestcell"}:
            pieces.append(b"\\tab ")
        elif found[0] in _HYPHENS:
            pieces.append(_HYPHENS[found[0]])
        else:
            pieces.append(b"\n" if word else b"\\'%02x" % found[0][-1])
    # An escape at the very end, of a document that was cut off, would be lost.
    return b"".join([*pieces, rtf[at:], b"\n}"]).decode("ascii")
