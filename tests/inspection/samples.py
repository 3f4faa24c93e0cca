"""Small models and pictures, made by code."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

RED, GREEN = (200, 30, 30), (30, 160, 60)


def image(colour: tuple[int, int, int] = RED, size: tuple[int, int] = (64, 32), form: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, form)
    return written.getvalue()


def box(*extents: float) -> trimesh.Trimesh:
    return trimesh.creation.box(extents or (2.0, 1.0, 0.5))


def textured_glb() -> bytes:
    """A box of 2 x 1 x 0.5 m with a red texture of 64 x 32 pixels."""
    mesh = box()
    material = PBRMaterial(baseColorTexture=Image.open(io.BytesIO(image())), metallicFactor=0.0)
    mesh.visual = TextureVisuals(uv=mesh.vertices[:, :2], material=material)
    return bytes(trimesh.Scene(mesh).export(file_type="glb"))


def exported(kind: str) -> bytes:
    made = box().export(file_type=kind)
    return made.encode() if isinstance(made, str) else bytes(made)


OBJ = b"mtllib Caisse.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl bois\nf 1/1 2/2 3/3\n"
MTL = b"newmtl bois\nKd 1 1 1\nmap_Kd textures\\bois.png\n"
DAE = b"""<?xml version="1.0"?><COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><contributor><authoring_tool>Blender 4.5</authoring_tool></contributor><unit name="centimeter" meter="0.01"/>
<up_axis>Z_UP</up_axis></asset><library_geometries><geometry id="g"><mesh>
<source id="p"><float_array id="a" count="9">0 0 0 3 0 0 0 0 5</float_array><technique_common>
<accessor source="#a" count="3" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
<param name="Z" type="float"/></accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="1"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2</p></triangles></mesh></geometry>
</library_geometries><library_visual_scenes><visual_scene id="s"><node><instance_geometry url="#g"/></node>
</visual_scene></library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>"""
USDA = b"""#usda 1.0
(
    metersPerUnit = 0.01
    upAxis = "Z"
    customLayerData = {
        string creator = "Maya 2026"
    }
)
def Mesh "m" {
    point3f[] points = [(0,0,0),(3,0,0),(0,0,5)]
    int[] faceVertexCounts = [3]
    int[] faceVertexIndices = [0,1,2]
}
"""


def gltf(buffer: str, images: tuple[str, ...] = ()) -> bytes:
    """A triangle whose points lie in another file."""
    tree = {
        "asset": {"version": "2.0", "generator": "Blender"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"uri": buffer, "byteLength": 36}],
        "images": [{"uri": name} for name in images],
    }
    return json.dumps(tree).encode()


TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32).tobytes()


def zipped(**members: bytes) -> bytes:
    """A zip; "__" in a name stands for "/", "_dot_" for "."."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return written.getvalue()


def locked(packed: bytes) -> bytes:
    """A zip of one member, marked as encrypted (APPNOTE.TXT section 4.4.4)."""
    changed = bytearray(packed)
    changed[6] |= 1
    changed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def three_mf(unit: str = "inch") -> bytes:
    """A box, as trimesh writes it, in another unit."""
    archive = zipfile.ZipFile(io.BytesIO(exported("3mf")))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, archive.read(name).replace(b'unit="millimeter"', f'unit="{unit}"'.encode()))
    return written.getvalue()


def pdf() -> bytes:
    """One page, all green."""
    written = io.BytesIO()
    Image.new("RGB", (300, 200), GREEN).save(written, "PDF")
    return written.getvalue()


def stl_of(count: int) -> bytes:
    """A binary STL that claims as many triangles, and has one."""
    return bytes(80) + struct.pack("<I", count) + bytes(50)


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def share_of(picture: bytes, colour: tuple[int, int, int]) -> float:
    """The share of pixels whose hue is that of a colour, in any light."""
    shown = pixels(picture)
    strongest = int(np.argmax(colour))
    others = [axis for axis in range(3) if axis != strongest]
    return float(np.mean(shown[..., strongest] > 1.4 * shown[..., others].max(axis=-1)))
