"""Tell what a file is by its content, else by its name."""

from __future__ import annotations

import pytest

from poller.formats.magic import HEAD_BYTES
from poller.inspection.formats import format_of

COLLADA = b'<?xml version="1.0"?>\n<!-- a --> <!-- b -->\n<COLLADA version="1.4.1">'


@pytest.mark.parametrize(
    ("name", "head", "found"),
    [
        ("a.xml", COLLADA, "dae"),
        ("a.vrm", b"glTF\2\0\0\0", "vrm"),
        ("a.stl", b"glTF\2\0\0\0", "glb"),
        ("a.txt", b"bonjour", ""),
    ],
)
def test_format_is_that_of_the_content(name: str, head: bytes, found: str) -> None:
    assert format_of(name, "", head) == found


def test_head_of_comments_is_read_in_a_straight_line() -> None:
    """A pattern that tries each end of each comment would not come to an end."""
    assert format_of("a.obj", "", b"<!---->" * HEAD_BYTES) == "obj"
