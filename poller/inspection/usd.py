"""Read USD by Pixar's library. It opens whatever path a layer names, so every such path is replaced first.

What a layer names is looked for among the files of the mail, or of the USDZ, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from poller.formats.table import suffix_of_name
from poller.inspection.facts import one_line
from poller.inspection.formats import USD
from poller.inspection.scene import read_image, turned
from poller.inspection.side_files import TooMuchError
from poller.inspection.surface import GREY, Material, Surface
from poller.model import ModelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from poller.inspection.side_files import SideFiles

_UNITS: Final = {1.0: "m", 0.1: "dm", 0.01: "cm", 0.001: "mm", 0.0254: "in", 0.3048: "ft"}


class UsdReader:
    """A stage and the textures that its materials name."""

    def __init__(self, layers: dict[str, Path], sides: SideFiles) -> None:
        """Open the root layer, after every path in every layer was replaced."""
        self._sides, self._layers = sides, layers
        self._textures: list[str] = []  # paths, by the number that stands in place of each
        self._looks: dict[str, Material] = {}
        self._open = [Sdf.Layer.FindOrOpen(str(path)) for path in layers.values()]
        for layer in self._open:
            if layer:
                UsdUtils.ModifyAssetPaths(layer, self._replaced)
        self._stage = Usd.Stage.Open(self._open[0])
        self._up = str(UsdGeom.GetStageUpAxis(self._stage)).lower()

    def _replaced(self, path: str) -> str:
        if not path:
            return path
        found = self._sides.find(path.replace("<UDIM>", "1001"))
        if found is None:
            return ""
        if suffix_of_name(path) in USD:
            return str(self._layers.get(found, ""))
        if found not in self._textures:
            self._textures.append(found)
        return f"{self._textures.index(found)}.texture"

    def facts(self) -> ModelFacts:
        """Return what the stage tells beside its surfaces."""
        prims = [prim for prim in self._stage.Traverse() if prim]
        meshes = [prim for prim in prims if prim.IsA(UsdGeom.Mesh)]
        metres = UsdGeom.GetStageMetersPerUnit(self._stage)
        given = UsdGeom.StageHasAuthoredMetersPerUnit(self._stage)
        layer = self._stage.GetRootLayer()
        program = layer.customLayerData.get("creator") or (layer.documentation or "").splitlines()[:1]
        return ModelFacts(
            vertices=sum(len(UsdGeom.Mesh(mesh).GetPointsAttr().Get() or ()) for mesh in meshes),
            unit=next((unit for known, unit in _UNITS.items() if np.isclose(metres, known, atol=0)), "")
            if given
            else "",
            materials=sum(prim.IsA(UsdShade.Material) for prim in prims),
            animations=int(self._stage.HasAuthoredTimeCodeRange() and layer.endTimeCode > layer.startTimeCode),
            parts=sum(prim.IsA(UsdGeom.Gprim) for prim in prims),
            program=one_line(program if isinstance(program, str) else " ".join(program)),
        )

    def textures(self) -> list[bytes]:
        """Return the images that the layers name and the mail brings."""
        found = []
        for path in self._textures[:20]:
            try:
                found.append(self._sides.get(path))
            except TooMuchError:
                continue
        return found

    def surfaces(self) -> Iterator[Surface]:
        """Yield the meshes, where the stage places them."""
        cache = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
        turn = turned(self._up)[:3, :3].T
        for prim in self._stage.Traverse(Usd.TraverseInstanceProxies()):
            if not prim.IsA(UsdGeom.Mesh):
                continue
            shown = UsdGeom.Imageable(prim)
            if shown.ComputePurpose() in {"guide", "proxy"} or shown.ComputeVisibility() == "invisible":
                continue
            matrix = np.array(cache.GetLocalToWorldTransform(prim))
            yield from self._mesh(UsdGeom.Mesh(prim), matrix[:3, :3] @ turn, matrix[3, :3] @ turn)

    def _mesh(self, mesh: Any, turn: NDArray[np.float64], shift: NDArray[np.float64]) -> Iterator[Surface]:
        at = Usd.TimeCode.EarliestTime()
        points = np.array(mesh.GetPointsAttr().Get(at) or (), np.float64).reshape(-1, 3)
        counts = np.array(mesh.GetFaceVertexCountsAttr().Get(at) or (), np.int64)
        indices = np.array(mesh.GetFaceVertexIndicesAttr().Get(at) or (), np.int64)
        if not len(points) or counts.sum() != len(indices) or (counts < 0).any():
            return
        corners, face = _fans(counts)
        if not len(corners) or indices.min() < 0 or indices.max() >= len(points):
            return
        flat = corners.ravel()
        uv = _spread(_coordinates(mesh.GetPrim()), indices, flat, 2)
        normals = None
        if (
            len(given := np.array(mesh.GetNormalsAttr().Get(at) or ()))
            and mesh.GetSubdivisionSchemeAttr().Get() == "none"
        ):
            normals = _spread((given, mesh.GetNormalsInterpolation()), indices, flat, 3)
        colour, colours = self._display(mesh, indices, flat)
        placed = (points @ turn + shift)[indices[flat]]
        turned_normals = None if normals is None else (normals @ np.linalg.pinv(turn).T).astype(np.float32)
        for chosen, material in self._groups(mesh.GetPrim(), len(counts), colour):
            kept = np.flatnonzero(np.isin(face, chosen)) if chosen is not None else np.arange(len(corners))
            if len(kept):
                each = (kept[:, None] * 3 + np.arange(3)).ravel()
                yield Surface(
                    placed[each],
                    np.arange(len(each)).reshape(-1, 3),
                    material,
                    None if uv is None else uv[each].astype(np.float32),
                    None if turned_normals is None else turned_normals[each],
                    colours[each] if colours is not None and material.texture is None else None,
                )

    def _groups(
        self, prim: Any, faces: int, colour: tuple[float, float, float, float] | None
    ) -> Iterator[tuple[NDArray[np.int64] | None, Material]]:
        """Yield groups of faces and the material of each; None stands for all faces."""
        plain = self._material(UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0], colour)
        subsets = UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()
        rest = np.ones(faces, np.bool_)
        for subset in subsets:
            chosen = np.array(subset.GetIndicesAttr().Get() or (), np.int64)
            chosen = chosen[(chosen >= 0) & (chosen < faces)]
            rest[chosen] = False
            yield (
                chosen,
                self._material(UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()[0], colour),
            )
        yield (np.flatnonzero(rest) if subsets else None), plain

    def _display(
        self, mesh: Any, indices: NDArray[np.int64], flat: NDArray[np.int64]
    ) -> tuple[tuple[float, float, float, float] | None, NDArray[np.float32] | None]:
        """Return the colour of a mesh without a material, or the colours of its corners."""
        primvar = UsdGeom.PrimvarsAPI(mesh.GetPrim()).GetPrimvar("displayColor")
        values = np.array(primvar.ComputeFlattened() or (), np.float32).reshape(-1, 3) if primvar else np.zeros((0, 3))
        if not len(values):
            return None, None
        encoded = np.power(np.clip(values, 0, 1), 1 / 2.2)
        if len(values) == 1:
            return (float(encoded[0, 0]), float(encoded[0, 1]), float(encoded[0, 2]), 1.0), None
        spread = _spread((encoded, primvar.GetInterpolation()), indices, flat, 3)
        if spread is None:
            return None, None
        return (1.0, 1.0, 1.0, 1.0), np.column_stack([spread, np.ones(len(spread))]).astype(np.float32)

    def _material(self, material: Any, colour: tuple[float, float, float, float] | None) -> Material:
        """Return the look of a UsdPreviewSurface, or the mesh's own colour."""
        if not material:
            return Material(colour or GREY)
        key = str(material.GetPath())
        if key not in self._looks:
            shader = material.ComputeSurfaceSource()[0]
            self._looks[key] = self._look(shader) if shader else Material(colour or GREY)
        return self._looks[key]

    def _look(self, shader: Any) -> Material:
        base, texture = self._input(shader, "diffuseColor")
        opacity, _ = self._input(shader, "opacity")
        metallic, _ = self._input(shader, "metallic")
        roughness, _ = self._input(shader, "roughness")
        cutoff, _ = self._input(shader, "opacityThreshold")
        rgb = np.clip(np.array(base if base is not None else (0.4, 0.4, 0.4), float).ravel()[:3], 0, 1) ** (1 / 2.2)
        alpha = float(opacity) if isinstance(opacity, int | float) else 1.0
        return Material(
            (1.0, 1.0, 1.0, alpha) if texture is not None else (float(rgb[0]), float(rgb[1]), float(rgb[2]), alpha),
            texture,
            float(metallic) if isinstance(metallic, int | float) else 0.0,
            float(roughness) if isinstance(roughness, int | float) else 0.5,
            cutoff=float(cutoff) if isinstance(cutoff, int | float) else 0.0,
            blended=alpha < 1,
        )

    def _input(self, shader: Any, name: str) -> tuple[Any, NDArray[np.uint8] | None]:
        """Return the value of a shader's input, or the texture that it is connected to."""
        given = shader.GetInput(name)
        if not given:
            return None, None
        sources = given.GetConnectedSources()[0]
        if not sources:
            return given.Get(), None
        file = UsdShade.Shader(sources[0].source.GetPrim()).GetInput("file")
        path = file.Get() if file else None
        number = getattr(path, "path", "").removesuffix(".texture")
        if name != "diffuseColor" or not number.isdigit() or int(number) >= len(self._textures):
            return None, None
        try:
            return None, read_image(self._sides.get(self._textures[int(number)]))
        except TooMuchError:
            return None, None


def _fans(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return triangles as places in the list of corners (n, 3), and the face of each (n,)."""
    many = np.maximum(counts - 2, 0)
    face = np.repeat(np.arange(len(counts)), many)
    start = (np.cumsum(counts) - counts)[face]
    step = np.arange(len(face)) - np.repeat(np.cumsum(many) - many, many)
    return np.stack([start, start + step + 1, start + step + 2], axis=1), face


def _coordinates(prim: Any) -> tuple[NDArray[np.float32], str]:
    """Return the texture coordinates of a mesh and how they are spread; empty if there are none."""
    primvars = [
        each
        for each in UsdGeom.PrimvarsAPI(prim).GetPrimvars()
        if each.GetTypeName().type.typeName in {"VtArray<GfVec2f>", "VtArray<GfVec2d>", "VtArray<GfVec2h>"}
    ]
    primvars.sort(key=lambda each: each.GetPrimvarName() not in {"st", "UVMap", "st0", "map1"})
    if not primvars:
        return np.zeros((0, 2), np.float32), ""
    return np.array(primvars[0].ComputeFlattened() or (), np.float32).reshape(-1, 2), str(
        primvars[0].GetInterpolation()
    )


def _spread(
    given: tuple[NDArray[Any], str], indices: NDArray[np.int64], flat: NDArray[np.int64], width: int
) -> NDArray[Any] | None:
    """Return the value of each corner, None if there are not as many values as there should be."""
    values, interpolation = given
    if interpolation == "faceVarying" and len(values) == len(indices):
        return values.reshape(-1, width)[flat]
    if interpolation in {"vertex", "varying"} and len(values) > indices.max():
        return values.reshape(-1, width)[indices[flat]]
    return None
