"""Find the suffix of a file by its name."""

from __future__ import annotations

import pytest

from poller.formats.table import DECLARED, FORMATS, UNKNOWN, suffix_of_name
from poller.model import Kind

SUFFIXES = {
    "vase.GLB": "glb",
    "vis.prt.1": "prt",
    "MOTEUR.ASM.12": "asm",
    "vase.obj.gz": "obj.gz",
    "plans.tar.gz": "gz",
    "envoi.zip.001": "piece",
    "envoi.z01": "piece",
    "envoi.r00": "piece",
    "envoi.part1.rar": "rar",
    "vase.blend1": "blend1",
    "vase": "",
    "": "",
    "vase.": "",
    "note.1": "1",
}


@pytest.mark.parametrize(("filename", "suffix"), SUFFIXES.items(), ids=SUFFIXES)
def test_suffix_is_found_in_the_name(filename: str, suffix: str) -> None:
    assert suffix_of_name(filename) == suffix


def test_no_format_has_a_media_type_that_a_browser_runs() -> None:
    types = {media_type for media_type, _ in FORMATS.values()}
    assert not {each for each in types if "html" in each or "svg" in each or "javascript" in each}
    assert {each for each in types if each.startswith("text/")} <= {
        "text/plain", "text/csv", "text/tab-separated-values", "text/calendar", "text/vcard",
    }  # fmt: skip


def test_declared_archive_is_no_model() -> None:
    """A 3D file that is compressed has the media type of any that is."""
    assert DECLARED["application/gzip"] == ("application/gzip", Kind.ARCHIVE)
    assert UNKNOWN not in DECLARED
