"""Extract the text of a mail that Outlook wrote as Rich Text, unpacked ([MS-OXRTFCP]) and without formatting."""

from __future__ import annotations

import re
import struct
from typing import Final

from poller.mime import charsets

_PRIMED: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20"
    b"\\b\\i\\u\\tab\\tx"
)
_WINDOW: Final = 4096
_TOKEN: Final = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
_SIGNS: Final = {
    "par": "\n", "line": "\n", "sect": "\n\n", "page": "\n\n", "row": "\n", "cell": "\t", "tab": "\t",
    "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
    "~": "\xa0", "_": "-", "\n": "\n", "\r": "\n",
}  # fmt: skip
_NOT_TEXT: Final = {
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "headerl", "headerr",
    "headerf", "mmathPr", "footerl", "footerr", "footerf", "themedata", "datastore", "listtable", "filetbl", "fldinst",
}  # fmt: skip
_MAX_DEPTH: Final = 1000


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
    page = _Page()
    at = 0
    while token := _TOKEN.match(rtf, at):
        at = token.end()
        word, number, code, sign, brace, plain = token.groups()
        if sign in {b"{", b"}", b"\\"}:
            page.write(sign)
        elif plain or code:
            page.write(plain or bytes.fromhex(code.decode()))
        elif word == b"bin":
            at += max(0, int(number or 0))
        elif word or sign or brace:
            page.control((word or sign or brace).decode("latin-1"), int(number or 0))
    page.flush()
    return "".join(page.shown).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Page:
    """The text of a document so far, and the RTF state that the following text depends on."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self._pending = bytearray()  # in the document's charset, which may need two bytes for a character
        self._charset = "cp1252"
        self._groups: list[tuple[bool, int]] = []
        self._hidden = False
        self._fallback = 1  # number of substitute characters after each \\u, for readers that do not know it
        self._skip = 0  # number of substitute characters still to be skipped

    def write(self, plain: bytes) -> None:
        skipped = min(self._skip, len(plain))
        self._skip -= skipped
        self._pending += b"" if self._hidden else plain[skipped:]

    def control(self, name: str, value: int) -> None:
        self.flush()
        self._skip = 0
        if name == "{" and len(self._groups) < _MAX_DEPTH:
            self._groups.append((self._hidden, self._fallback))
        elif name == "}" and self._groups:
            self._hidden, self._fallback = self._groups.pop()
        elif name == "*" or name in _NOT_TEXT:
            self._hidden = True
        elif name == "ansicpg":
            self._charset = charsets.of_code_page(value) or "cp1252"
        elif name == "uc":
            self._fallback = max(0, value)
        elif not self._hidden:
            if name == "u":
                self.shown.append(chr(value % 0x10000))  # a unit of UTF-16, as a signed number
                self._skip = self._fallback
            self.shown.append(_SIGNS.get(name, ""))

    def flush(self) -> None:
        self.shown.append(self._pending.decode(self._charset, "replace"))
        self._pending.clear()
