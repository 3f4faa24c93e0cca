"""Detect the format of a file by its first bytes alone."""

from __future__ import annotations

import pytest

from poller.formats.magic import HEAD_BYTES, by_content
from tests.parsing.test_file_types import BINARY_STL, COLLADA, OBJ, STEP
from tests.support.effort import one_pass

FORMATS = {
    "a signature": (b"glTF\x02\0\0\0", "glb"),
    "a signature behind four bytes": (b"\0\0\0\x18ftypheic", "heic"),
    "a header that begins with solid": (BINARY_STL, "stl"),
    "an XML root": (COLLADA.encode(), "dae"),
    "an XML root in UTF-16": (COLLADA.encode("utf-16"), "dae"),
    "an XML root with a prefix": (b'<x:svg xmlns:x="y">', "svg"),
    "a page": (b" <!DOCTYPE html>", "html"),
    "three vertices": (OBJ, "obj"),
    "a material": (b"# x\nnewmtl bois\nKd 1 0 0\n", "mtl"),
    "counts behind OFF": (b"OFF\n8 6 12\n", "off"),
    "vertices behind blank lines": (b" \n" * 1000 + OBJ, "obj"),
    "a signature behind blank lines": (b"\n" * 1000 + STEP, "step"),
}


@pytest.mark.parametrize(("head", "suffix"), FORMATS.values(), ids=FORMATS)
def test_format_is_detected_by_first_bytes(head: bytes, suffix: str) -> None:
    assert by_content(head[:HEAD_BYTES], len(head), "") == suffix


TEXTS = {
    "release notes": b"v 1.0 is out\nv 1.1 is next\nv 2.0 is far\n",
    "coordinates in a text": b"Bonjour\nles points :\nv 1 2 3\nv 2 3 4\nv 3 4 5\nmerci\nbien\n",
    "a tool's praise": b"BLENDER is great\n",
    "a standard quoted": b"La norme ISO-10303-21; voir STEP\n",
    "nothing": b"",
}


@pytest.mark.parametrize("head", TEXTS.values(), ids=TEXTS)
def test_text_resembling_a_format_is_not_detected(head: bytes) -> None:
    assert by_content(head, len(head), "") == ""


def test_vertices_in_a_text_file_are_no_model() -> None:
    assert by_content(OBJ, len(OBJ), "txt") == ""


@pytest.mark.parametrize(
    "piece", [b" ", b"<!--", b"/*", b"999\n", b"v 1 1 1", b"#\n", b"<?xml", b"1", b"comment\n", b"<!---->", b"/**/",
     b'"asset":{', b'"asset" ', b'"version"', b"VERSION .7\n", b"facet normal ", b"\x14\0\6", b"#"]
)  # fmt: skip
@pytest.mark.parametrize(
    "start", [b"", b"ply\n", b"OFF ", b"ISO-10303-21;", b"<", b"{", b"solid\n", b"1 1 1 1\n1 ", b"....\0\0\0\4"]
)
def test_hostile_head_is_examined_quickly(start: bytes, piece: bytes) -> None:
    one_pass(lambda head: by_content(start + head, len(head), ""), piece, 20_000)
