"""Load models of each format: surfaces with the y axis up, and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.inspection import facts, formats
from poller.inspection.layers import write_layers
from poller.inspection.loading import first_facts, load
from poller.inspection.side_files import SideFiles, TooMuchError
from poller.model import ModelFacts, ModelIssue
from tests.inspection import samples

if TYPE_CHECKING:
    from pathlib import Path


def told(content: bytes, suffix: str, directory: Path, **sides: bytes) -> ModelFacts:
    """The facts, as the worker makes them."""
    beside = SideFiles({name.replace("_dot_", "."): lambda each=each: each for name, each in sides.items()})  # type: ignore[misc]
    layers = {}
    if suffix in formats.USD:
        layers, beside = write_layers(content, suffix, beside, directory)
    parts, found = load(content, suffix, beside, layers, first_facts(content, suffix, beside))
    return facts.of_parts(found, suffix, parts)


def test_units_are_those_that_formats_state(tmp_path: Path) -> None:
    """A glTF has metres, 3MF and COLLADA and USD say theirs, and STL, OBJ and PLY have none."""
    units = {
        "glb": (samples.textured_glb(), "m"),
        "3mf": (samples.three_mf("inch"), "in"),
        "dae": (samples.DAE, "cm"),
        "usda": (samples.USDA, "cm"),
        "stl": (samples.exported("stl"), ""),
        "obj": (samples.OBJ, ""),
        "ply": (samples.exported("ply"), ""),
    }
    assert {suffix: told(content, suffix, tmp_path).unit for suffix, (content, _) in units.items()} == {
        suffix: unit for suffix, (_, unit) in units.items()
    }


@pytest.mark.parametrize(
    ("suffix", "content", "size"),
    [
        ("stl", samples.exported("stl"), (2.0, 0.5, 1.0)),
        ("3mf", samples.three_mf(), (2.0, 0.5, 1.0)),
        ("off", samples.exported("off"), (2.0, 0.5, 1.0)),
        ("ply", samples.exported("ply"), (2.0, 1.0, 0.5)),
        ("glb", samples.textured_glb(), (2.0, 1.0, 0.5)),
        ("dae", samples.DAE, (3.0, 5.0, 0.0)),
        ("usda", samples.USDA, (3.0, 5.0, 0.0)),
    ],
)
def test_height_is_along_the_axis_that_is_up(
    suffix: str, content: bytes, size: tuple[float, float, float], tmp_path: Path
) -> None:
    """Width, height, depth: z is up in printed formats, y in others, and COLLADA and USD say it."""
    assert told(content, suffix, tmp_path).size == pytest.approx(size)


def test_programs_are_named(tmp_path: Path) -> None:
    step = b"ISO-10303-21;\nHEADER;\nFILE_NAME('a','2026',('b'),('c'),'pre','SolidWorks 2025','');\n"
    assert told(samples.DAE, "dae", tmp_path).program == "Blender 4.5"
    assert told(samples.USDA, "usda", tmp_path).program == "Maya 2026"
    assert first_facts(step, "step", SideFiles({})).program == "SolidWorks 2025"


def test_issues_are_found(tmp_path: Path) -> None:
    """A closed box has none. A triangle alone has holes, and a mesh of glTF without coordinates says so."""
    assert told(samples.exported("stl"), "stl", tmp_path).issues == ()
    assert told(samples.OBJ, "obj", tmp_path, Caisse_dot_mtl=b"").issues == (ModelIssue.NOT_WATERTIGHT,)
    bare = bytes(samples.trimesh.Scene(samples.box()).export(file_type="glb"))
    assert told(bare, "glb", tmp_path).issues == (ModelIssue.NO_UVS,)


@pytest.mark.parametrize(
    ("extension", "issue"),
    [("KHR_draco_mesh_compression", ModelIssue.DRACO), ("EXT_meshopt_compression", ModelIssue.MESHOPT)],
)
def test_compression_is_an_issue(extension: str, issue: ModelIssue) -> None:
    content = samples.gltf("a.bin").replace(b"{", f'{{"extensionsUsed": ["{extension}"], '.encode(), 1)
    assert first_facts(content, "gltf", SideFiles({})).issues == (issue,)


def test_ply_with_old_line_ends_opens(tmp_path: Path) -> None:
    """Some programs end the lines by CR alone: those of the header, and of an ASCII file all."""
    content = samples.exported("ply")
    end = content.index(b"end_header\n") + 11
    assert told(content[:end].replace(b"\n", b"\r") + content[end:], "ply", tmp_path).triangles == 12
    text = b"ply\nformat ascii 1.0\ncomment made by Atelier\nelement vertex 3\n"
    text += b"".join(b"property float %c\n" % axis for axis in b"xyz")
    text += b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    found = told(text.replace(b"\n", b"\r"), "ply", tmp_path)
    assert (found.triangles, found.vertices, found.program) == (1, 3, "made by Atelier")


def test_usdz_layers_find_their_references_inside(tmp_path: Path) -> None:
    """A USDZ whose first layer refers to another one."""
    root = b'#usda 1.0\ndef "a" (\n    references = @./geo/part.usda@</m>\n) {\n}\n'
    packed = samples.zipped(a_dot_usda=root, geo__part_dot_usda=samples.USDA)
    found = told(packed, "usdz", tmp_path)
    assert (found.triangles, found.missing) == (1, ())


def test_formats_are_known_by_content() -> None:
    """A name without a suffix, or with a wrong one, does not matter."""
    assert formats.format_of("modele", "", samples.textured_glb()) == "glb"
    assert formats.format_of("plan.dat", "", b"%PDF-1.7") == "pdf"
    assert formats.format_of("a.step", "", b"ISO-10303-21;") == "step"
    assert formats.format_of("note.txt", "text/plain", b"bonjour") == ""


def test_layers_of_a_usdz_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written to the disk before the process may write small files alone, and a zip may hold any number."""
    monkeypatch.setattr("poller.inspection.layers.MAX_TOTAL_BYTES", 100_000)
    packed = samples.zipped(a_dot_usda=samples.USDA, **{f"geo__{each}_dot_usda": bytes(30_000) for each in range(9)})
    with pytest.raises(TooMuchError):
        write_layers(packed, "usdz", SideFiles({}), tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 100_000
