"""Take the text out of a cleartext signature of OpenPGP (RFC 9580 section 7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_BLOCK: Final = re.compile(r"-----(BEGIN|END) PGP (?:SIGNATURE|PUBLIC KEY BLOCK)-----")
_HEADER: Final = re.compile(r"(?:hash|charset|comment|version|notdashescaped): ?\S.*", re.IGNORECASE)
_LINE_CHARS: Final = 200


def without_armour(text: str) -> str:
    r"""Return a text with "\n" line ends without signatures and public keys, and the signed text as it was written.

    What is quoted stays as it is, and so does a block without an end.
    """
    if "-----BEGIN PGP " not in text:
        return text
    plain = "\n".join(_unarmoured(text.split("\n")))
    return plain if plain.strip() else text


def _unarmoured(lines: list[str]) -> Iterator[str]:
    last_end = max((at for at, line in enumerate(lines) if _bound(line) == "END"), default=0)
    in_block = signed = in_header = False
    for at, line in enumerate(lines):
        bound = _bound(line)
        if bound == "BEGIN" and at < last_end:
            in_block, signed = True, False
        elif in_block:
            in_block = bound != "END"
        elif line.strip() == _SIGNED:
            signed = in_header = True
        elif not (in_header and _HEADER.fullmatch(line[:_LINE_CHARS].strip())):
            in_header = False
            yield line.removeprefix("- ") if signed else line


def _bound(line: str) -> str:
    """Return "BEGIN" or "END" for the line that begins or ends a block without text, "" for any other."""
    found = _BLOCK.fullmatch(line[:_LINE_CHARS].strip())
    return found[1] if found else ""
