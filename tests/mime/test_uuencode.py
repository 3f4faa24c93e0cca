"""Find uuencoded files in a text, and leave prose that resembles them."""

from __future__ import annotations

import binascii
import io

import pytest

from poller.mime import uuencode
from tests.parsing.helpers import at
from tests.support.containers import uuencoded

CONTENT = bytes(range(256)) * 20


def decoded(text: bytes) -> list[tuple[str, bytes]]:
    """Return the names and contents of the files in a text."""
    return [
        (block.name, b"".join(binascii.a2b_uu(line) for line in at(text, block.span).splitlines()[1:-2]))
        for block in uuencode.blocks(io.BytesIO(text))
    ]


def test_uuencoded_files_in_text_are_found_in_order() -> None:
    text = b"Bonjour\n" + uuencoded("vase.glb", CONTENT) + b"et\n" + uuencoded("b.txt", b"x") + b"fin"
    assert decoded(text) == [("vase.glb", CONTENT), ("b.txt", b"x")]
    assert decoded(text.replace(b"\n", b"\r\n")) == [("vase.glb", CONTENT), ("b.txt", b"x")]


PROSE = {
    "a sentence": b"begin 644 the work\nand end\nend\n",
    "no end": uuencoded("a", CONTENT)[:-5],
    "a line too many": uuencoded("a", b"x").replace(b"`\n", b"`\nbonjour\n"),
    "cut in the middle": uuencoded("a", CONTENT)[:500] + b"\nMerci\nend\n",
    "no name": b"begin 644\n`\nend\n",
    "in a line": b"> " + uuencoded("a", b"x"),
}


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE)
def test_text_resembling_uuencode_stays_text(text: bytes) -> None:
    assert uuencode.blocks(io.BytesIO(text)) == []


def test_uuencoded_file_is_found_after_lookalike() -> None:
    assert decoded(b"begin 644 a\nMais\nbegin 644 b\n" + uuencoded("c", b"x"))[0] == ("c", b"x")
