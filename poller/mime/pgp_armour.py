"""Take the text out of a cleartext signature of OpenPGP (RFC 9580 section 7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_BLOCK: Final = re.compile(r"-----BEGIN (PGP (?:SIGNATURE|PUBLIC KEY BLOCK))-----")
_ARMOUR: Final = re.compile(r"[A-Za-z0-9+/=]{0,100}|[A-Za-z]{1,20}: .*")  # its data and its header
_HEADER: Final = re.compile(r"(?:hash|charset|comment|version|notdashescaped): ?\S.*", re.IGNORECASE)
_LINE_CHARS: Final = 200


def without_armour(text: str) -> str:
    r"""Return a text with "\n" line ends without signatures and public keys, and the signed text as it was written.

    What is quoted stays as it is, and so does a block without an end, or with a person's words in it.
    """
    if "-----BEGIN PGP " not in text:
        return text
    plain = "\n".join(_unarmoured(text.split("\n")))
    return plain if plain.strip() else text


def _unarmoured(lines: list[str]) -> Iterator[str]:
    signed = in_header = False
    behind = 0  # the block that was read last
    for at, line in enumerate(lines):
        if end := _block_end(lines, at):
            behind, signed = end, False
        elif at < behind:
            continue
        elif line.strip() == _SIGNED:
            signed = in_header = True
        elif not (in_header and _HEADER.fullmatch(line[:_LINE_CHARS].strip())):
            in_header = False
            yield line.removeprefix("- ") if signed else line


def _block_end(lines: list[str], start: int) -> int:
    """Return the line behind the block without text that begins here, 0 if none does."""
    begins = _BLOCK.fullmatch(lines[start][:_LINE_CHARS].strip())
    if begins is None:
        return 0
    for at in range(start + 1, len(lines)):
        line = lines[at][:_LINE_CHARS].strip()
        if line == f"-----END {begins[1]}-----":
            return at + 1
        if not _ARMOUR.fullmatch(line):
            break
    return 0
