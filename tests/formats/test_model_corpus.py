"""Recognise real 3D files, by name and by content alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poller.formats.magic import HEAD_BYTES, by_content
from poller.model import Kind
from poller.parsing.file_types import sniff

CORPUS = os.environ.get("MODEL_CORPUS", "")
pytestmark = pytest.mark.skipif(not CORPUS, reason="run with MODEL_CORPUS=<folder of 3D files, one folder a suffix>")

# The formats of each folder by content, where the folder's own suffix is not the only one.
FORMATS = {
    "blend": {"blend"},
    "brep": {"brep"},
    "dae": {"dae"},
    "igs": {"iges"},
    "jt": {"jt"},
    "stp": {"step"},
    "usd": {"usda", "usdc"},
    "vrma": {"glb"},
    "jpg": {"jpeg"},
}
# Packed or compressed: their directory tells, not their first bytes.
PACKED = {"3mf", "3dxml", "usdz", "zae", "zip"}
# A texture or a buffer has no signature. A tar in gzip is an archive like any other.
SIDE = {"bin", "tga", "raw", "pc2"}
# Numbers alone: only their name tells them from a table.
BY_NAME = {"xyz"}
# Formats of games and of programs that no customer of a studio has sent; or no 3D files at all, such as assembler.
UNKNOWN = {
    "3d", "ac", "asm", "b3d", "bim", "cob", "csm", "ctm", "hmp", "irr", "irrmesh", "lws", "m3d", "mcx", "md2", "md3",
    "md5mesh", "mdl", "mesh", "ms3d", "msh", "nff", "ogex", "q3o", "q3s", "scn", "ter", "xgl", "zgl",
}  # fmt: skip
IMAGES = {"avif", "bmp", "jpeg", "jpg", "png", "webp"}
OTHERS = {"psd": Kind.DOCUMENT, "svg": Kind.DOCUMENT, "gz": Kind.ARCHIVE, "ktx2": Kind.SIDE}
FOLDERS = sorted(path.name for path in Path(CORPUS or ".").iterdir() if path.is_dir() and path.name != "hostile")


def files_of(folder: str) -> list[Path]:
    return sorted((Path(CORPUS) / folder).iterdir())


def kind_of(path: Path, name: str) -> Kind:
    with path.open("rb") as stream:
        return sniff(stream.read(HEAD_BYTES), path.stat().st_size, name, lambda: path.open("rb"))[1]


@pytest.mark.parametrize("folder", FOLDERS if CORPUS else [])
def test_real_file_has_its_kind(folder: str) -> None:
    for path in files_of(folder):
        by_name, unnamed = kind_of(path, path.name), kind_of(path, "")
        if folder in UNKNOWN | SIDE:
            assert Kind.MODEL not in {by_name, unnamed}, path.name
        elif folder in OTHERS:
            assert by_name is OTHERS[folder], path.name
        elif folder in IMAGES:
            assert (by_name, unnamed) == (Kind.IMAGE, Kind.IMAGE), path.name
        else:
            assert (by_name, unnamed) == (Kind.MODEL, Kind.OTHER if folder in BY_NAME else Kind.MODEL), path.name


@pytest.mark.parametrize(
    "folder", [each for each in FOLDERS if CORPUS and each not in UNKNOWN | SIDE | BY_NAME | PACKED]
)
def test_real_file_is_detected_by_its_first_bytes(folder: str) -> None:
    for path in files_of(folder):
        with path.open("rb") as stream:
            found = by_content(stream.read(HEAD_BYTES), path.stat().st_size, "")
        assert found in FORMATS.get(folder, {folder}), path.name


def test_hostile_file_is_sniffed_without_error() -> None:
    for path in files_of("hostile"):
        assert kind_of(path, path.name) in {Kind.MODEL, Kind.OTHER}
