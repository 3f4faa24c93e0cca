"""Hostile files: nothing is read that the mail does not bring, and no limit is passed."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from poller.inspection.process import inspect
from poller.model import ModelIssue, NoPicture
from tests.inspection import samples
from tests.inspection.attachments import attached

CORPUS = os.environ.get("MODEL_CORPUS")
# A file of the machine: three corners of a triangle, so that a model that reads it has a surface and a picture.
SECRET = samples.TRIANGLE


def references(canary: Path) -> dict[str, tuple[str, bytes]]:
    """Models that name a file of the machine in every way that formats have."""
    up = "../" * 12 + str(canary).lstrip("/")
    usda = f'#usda 1.0\n(\n    subLayers = [@{canary}@]\n)\ndef "a" (\n    references = @{up}@\n) {{\n}}\n'
    return {
        "absolute": ("a.gltf", samples.gltf(str(canary))),
        "upwards": ("a.gltf", samples.gltf(up)),
        "file URL": ("a.gltf", samples.gltf(f"file://{canary}")),
        "encoded": ("a.gltf", samples.gltf(up.replace("/", "%2F"))),
        "http": ("a.gltf", samples.gltf("http://127.0.0.1:9/canary.bin")),
        "mtllib": ("a.obj", samples.OBJ.replace(b"Caisse.mtl", str(canary).encode())),
        "usd": ("a.usda", usda.encode()),
        "xml entity": (
            "a.dae",
            samples.DAE.replace(
                b"<COLLADA", f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{canary}">]><COLLADA'.encode(), 1
            ).replace(b"Blender 4.5", b"&x;"),
        ),
    }


@pytest.mark.parametrize("way", references(Path("/a/canary.bin")))
def test_file_of_the_machine_is_named_and_not_read(tmp_path: Path, way: str) -> None:
    """It is a missing file like any other: its bytes become no vertices."""
    canary = tmp_path / "canary.bin"
    canary.write_bytes(SECRET)
    name, content = references(canary)[way]
    read_s = canary.stat().st_atime_ns
    (found,) = inspect([attached(name, content)], 0)
    assert found.facts
    assert found.facts.size in {None, (1.0, 1.0, 0.0)} if way == "mtllib" else found.facts.size is None
    assert "canary.bin" in found.facts.missing or way == "xml entity"
    assert "canary" not in found.facts.program
    assert canary.stat().st_atime_ns == read_s


def test_link_in_an_archive_leads_nowhere(tmp_path: Path) -> None:
    """A member that is a symbolic link, or is called "..", is bytes under a name."""
    canary = tmp_path / "canary.bin"
    canary.write_bytes(SECRET)
    packed = samples.zipped(**{"a_dot_gltf": samples.gltf("canary.bin"), str(canary): b"", "..__canary_dot_bin": b""})
    (found,) = inspect([attached("a.zip", packed)], 0)
    assert (found.picture, found.no_picture) == (None, NoPicture.UNREADABLE)


def glb(tree: bytes) -> bytes:
    tree = tree.ljust(-(-len(tree) // 4) * 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(tree), len(tree), 0x4E4F534A) + tree


HARMFUL = {
    "four billion triangles": ("a.stl", samples.stl_of(0xFFFFFFFF)),
    "cut off": ("a.glb", samples.textured_glb()[:200]),
    "noise": ("a.glb", b"glTF\2\0\0\0" + bytes(range(256)) * 40),
    "cycle of nodes": ("a.glb", glb(samples.gltf("").replace(b'{"mesh": 0}', b'{"mesh": 0, "children": [0]}'))),
    "a billion points": (
        "a.glb",
        glb(b'{"asset":{"version":"2.0"},"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],'
            b'"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],'
            b'"accessors":[{"componentType":5126,"count":1000000000,"type":"VEC3"}]}'),
    ),
    "deep XML": ("a.dae", b"<COLLADA>" + b"<a>" * 200_000),
    "STEP cut off": ("a.stp", b"ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('"),
    "USDZ of nothing": ("a.usdz", samples.zipped(a_dot_txt=b"")),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARMFUL)
def test_harmful_file_has_no_picture_and_harms_nothing(harm: str) -> None:
    """It does not open, or needs too much: both are said, and the mail goes on."""
    assert_harmless(*HARMFUL[harm])


def test_bomb_has_no_picture_and_harms_nothing() -> None:
    assert_harmless("a.3mf", samples.zipped(**{"3D__3dmodel_dot_model": bytes(300 << 20)}))


def assert_harmless(name: str, content: bytes) -> None:
    (found,) = inspect([attached(name, content)], 0)
    assert found.picture is None
    assert found.no_picture in {NoPicture.UNREADABLE, NoPicture.TOO_MUCH, NoPicture.EMPTY}
    if found.facts and found.no_picture is NoPicture.UNREADABLE:
        assert ModelIssue.UNREADABLE in found.facts.issues
        assert found.facts.triangles is None or found.facts.missing


@pytest.mark.timeout(600)  # a second or two for each of the files
@pytest.mark.skipif(not CORPUS, reason="run with MODEL_CORPUS=<folder of 3D files with hostile in it>")
def test_hostile_corpus_reads_nothing_outside() -> None:
    """Each comes back as a value. What it names is missing, and no byte of it becomes a text of ours."""
    host = Path("/etc/hostname").read_text().strip() if Path("/etc/hostname").exists() else "no name"
    for path in sorted(Path(CORPUS or "", "hostile").iterdir()):
        for found in inspect([attached(path.name, path.read_bytes())], 0):
            assert found.picture or found.no_picture, path.name
            told = repr(replace_picture(found))
            assert "root:" not in told
            assert host not in told
            if path.name.startswith(("ext_", "ext.obj", "ext.usda")):
                assert found.facts
                assert found.facts.missing, path.name


def replace_picture(found: object) -> object:
    return getattr(found, "facts", None)
