"""Load a model of any format that is drawn here: its surfaces, and the facts about it."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import trimesh
from PIL import Image

from poller.inspection import gltf, scene
from poller.inspection.facts import one_line, unit_of
from poller.inspection.formats import CAD, USD, up_axis
from poller.inspection.side_files import read_all
from poller.model import ModelFacts

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from poller.inspection.side_files import SideFiles
    from poller.inspection.surface import Points, Surface

_MAX_TEXTURES: Final = 20
_MM: Final = 1000  # of a metre
_AUTHOR: Final = re.compile(rb"FILE_NAME\s*\((.{0,2000}?)\)\s*;", re.DOTALL)
_HEAD_BYTES: Final = 16 * 1024
_TOOL: Final = re.compile(rb"<authoring_tool>([^<]{1,200})</authoring_tool>")
_UP: Final = re.compile(rb"<up_axis>\s*([XYZ])_UP\s*</up_axis>")
_UNIT: Final = re.compile(rb"<unit\b[^>]*\bmeter\s*=\s*[\"']([\d.eE+-]+)[\"']")
_APPLICATION: Final = re.compile(rb"<metadata name=\"Application\"[^>]*>([^<]{1,200})<")
_COMMENT: Final = re.compile(rb"\s*(?:ply\s+format [^\r\n]*[\r\n]+(?:comment|obj_info) |#[#\s]*)(\w[^\r\n]{2,200})")


def first_facts(content: bytes, suffix: str, sides: SideFiles) -> ModelFacts:
    """Return what the beginning of a file tells, before it is loaded. It may not be as it should be."""
    if suffix in {"glb", "gltf", "vrm"}:
        tree, binary = gltf.header(content)
        return gltf.facts(tree, binary, sides)
    head = content[:_HEAD_BYTES]
    if suffix in CAD:
        found = _AUTHOR.search(head)
        # FILE_NAME: name, time, authors, organisations, preprocessor, originating system, authorisation.
        texts = re.findall(rb"'((?:[^']|'')*)'", found[1]) if found else []
        return ModelFacts(program=one_line(texts[-2].decode("utf-8", "replace")) if len(texts) > 5 else "")  # noqa: PLR2004
    if suffix == "dae":
        return ModelFacts(program=_text(_TOOL.search(head)), unit=unit_of(_text(_UNIT.search(head))))
    if suffix in {"obj", "ply"}:
        return ModelFacts(program=_text(_COMMENT.match(head)))
    return ModelFacts()


def load(
    content: bytes, suffix: str, sides: SideFiles, layers: dict[str, Path], facts: ModelFacts
) -> tuple[list[Surface | Points], ModelFacts]:
    """Return the surfaces of a model, the y axis up, and the facts with what the libraries tell of it.

    Whatever a library raises about a damaged file goes through.
    """
    if suffix in USD:
        from poller.inspection.usd import UsdReader  # noqa: PLC0415 - 150 MB of libraries, for these formats alone

        reader = UsdReader(layers, sides)
        parts: list[Surface | Points] = list(reader.surfaces())
        return parts, replace(reader.facts(), textures=sizes(reader.textures()))
    if suffix == "ply":
        content = _ply_lines(content)
    up = up_axis(suffix)
    if suffix in CAD:
        content, up = _from_cad(content, suffix), "y"
        tree, _ = gltf.header(content)
        facts = replace(facts, unit="mm", materials=len(tree.get("materials", ())))
    if suffix == "zae":
        content, sides = _from_zae(content, sides)
        facts = first_facts(content, "dae", sides)
    if suffix in {"dae", "zae"} and (found := _UP.search(content[:_HEAD_BYTES])):
        up = found[1].decode().lower()
    called = {"vrm": "glb", "zae": "dae"}.get(suffix, "glb" if suffix in CAD else suffix)
    # Its types ask for a subclass of its resolver, which has nothing that we need.
    loaded = trimesh.load_scene(io.BytesIO(content), file_type=called, resolver=sides, process=False)  # type: ignore[arg-type]
    parts = list(scene.surfaces(loaded, up))
    if suffix in CAD:
        parts = [replace(part, vertices=part.vertices * _MM) for part in parts]
    return parts, _of_scene(facts, suffix, content, loaded)


def _of_scene(facts: ModelFacts, suffix: str, content: bytes, loaded: Any) -> ModelFacts:
    """Return the facts, with what trimesh says of materials, textures and units."""
    if suffix in {"glb", "gltf", "vrm"}:
        return facts
    materials = {
        id(material): material
        for mesh in loaded.geometry.values()
        if (material := getattr(getattr(mesh, "visual", None), "material", None)) is not None
    }
    images = {id(image): image for each in materials.values() for image in _images(each)}
    if suffix == "3mf":
        facts = replace(facts, unit=unit_of(str(loaded.units or "millimeter")), program=_application(content))
    return replace(
        facts,
        materials=facts.materials if facts.materials is not None else len(materials),
        textures=tuple(
            sorted((image.size for image in images.values()), key=lambda size: -size[0] * size[1])[:_MAX_TEXTURES]
        ),
    )


def _images(material: Any) -> list[Any]:
    names = ("baseColorTexture", "metallicRoughnessTexture", "normalTexture", "emissiveTexture", "occlusionTexture")
    images = [scene.texture_of(material), *(getattr(material, name, None) for name in names)]
    return [image for image in images if image is not None]


def sizes(images: list[bytes]) -> tuple[tuple[int, int], ...]:
    """Return width and height of images, the largest first, at most 20. One that cannot be read is left out."""
    found = []
    for image in images:
        try:
            found.append(Image.open(io.BytesIO(image)).size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    return tuple(sorted(found, key=lambda size: -size[0] * size[1])[:_MAX_TEXTURES])


def _from_cad(content: bytes, suffix: str) -> bytes:
    """Return a GLB, in metres, of a STEP or IGES file.

    Raises:
        ValueError: it does not open.
    """
    import cascadio  # noqa: PLC0415 - 100 MB of libraries, for these formats alone

    if content.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(io.BytesIO(content))
        with archive.open(archive.namelist()[0]) as stream:
            content = read_all(stream)  # type: ignore[arg-type]
    made = cascadio.load(
        content,
        file_type="iges" if suffix in {"iges", "igs"} else "step",
        tol_linear=0.002,
        tol_angular=0.35,
        tol_relative=True,
        use_parallel=False,
    )
    if not made:
        raise ValueError("no solid")
    return bytes(made)


def _from_zae(content: bytes, sides: SideFiles) -> tuple[bytes, SideFiles]:
    """Return the COLLADA document of a ZAE, and the files beside it."""
    from poller.inspection.side_files import SideFiles as Files  # noqa: PLC0415
    from poller.inspection.side_files import of_archive  # noqa: PLC0415

    inside = of_archive(zipfile.ZipFile(io.BytesIO(content)))
    name = next(name for name in inside if name.lower().endswith(".dae"))
    folder = name.rpartition("/")[0]
    return inside[name](), Files(inside, f"{folder}/" if folder else "", sides.missing)


def _ply_lines(content: bytes) -> bytes:
    """Return a PLY whose lines end by line feeds, as trimesh expects. Some programs end them by CR alone."""
    end = content.find(b"end_header", 0, _HEAD_BYTES)
    if end < 0 or content[end + 10 : end + 11] != b"\r" or content[end + 11 : end + 12] == b"\n":
        return content
    binary = b"" if b"format ascii" in content[:end] else content[end + 11 :]
    return content[: len(content) - len(binary)].replace(b"\r", b"\n") + binary


def _application(content: bytes) -> str:
    """Return the program that a 3MF names."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    name = next((name for name in archive.namelist() if name.lower().endswith(".model")), "")
    if not name:
        return ""
    with archive.open(name) as stream:
        return _text(_APPLICATION.search(stream.read(_HEAD_BYTES)))


def _text(found: re.Match[bytes] | None) -> str:
    return one_line(found[1].decode("utf-8", "replace")) if found else ""
