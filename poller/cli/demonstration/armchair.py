"""Build what a customer sends with a request by code: a textured 3D model of an armchair, its fabric, its plan."""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Vector = tuple[float, float, float]
    Surface = Callable[[float, float], Vector]  # of u and v, both from 0 to 1
    Laying = Callable[[float, float, Vector], tuple[float, float]]  # of u, v and the point there, in textures

_TEXTURE_PX = 256
_FLOAT, _UINT, _VERTICES, _INDICES = 5126, 5125, 34962, 34963  # glTF 2.0 sections 3.6.2.2 and 5.11.5


@dataclass(slots=True)
class _Mesh:
    """Triangles of one material."""

    points: list[Vector] = field(default_factory=list)  # metres, Y up
    normals: list[Vector] = field(default_factory=list)  # of length 1, outward
    uvs: list[tuple[float, float]] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)  # three a triangle, counter-clockwise from outside

    def add(self, surface: Surface, columns: int, rows: int, laying: Laying) -> None:
        """Add a surface as a grid. `laying` says where on the texture a point of it is."""
        first = len(self.points)
        for row in range(rows + 1):
            for column in range(columns + 1):
                u, v = column / columns, row / rows
                self.points.append(point := surface(u, v))
                self.normals.append(_normal(surface, u, v))
                self.uvs.append(laying(u, v, point))
        for row in range(rows):
            for column in range(columns):
                a = first + row * (columns + 1) + column
                b = a + columns + 1
                self.indices += (a, a + 1, b + 1, a, b + 1, b)


@cache
def armchair() -> bytes:
    """Return an armchair of about 12,000 triangles with two textures, as a complete GLB file (glTF 2.0 section 4.4)."""
    seat, legs = _Mesh(), _Mesh()
    seat.add(_shell, 96, 32, lambda u, v, _: (8 * u, 4 * v))
    seat.add(_cushion((0, 0.29, 0.01), (0.35, 0.095, 0.33)), 48, 24, _flat)
    seat.add(_cushion((0, 0.405, 0.055), (0.30, 0.085, 0.33)), 48, 24, _flat)
    for x in (-1, 1):
        for z in (-1, 1):
            legs.add(_leg(0.24 * x, 0.22 * z), 20, 8, lambda u, v, _: (u, v))
    return _glb([("Assise", seat, "Tissu à chevrons", fabric()), ("Piètement", legs, "Chêne clair", _png(_oak))])


@cache
def fabric() -> bytes:
    """Return the armchair's fabric as a PNG file of 256 x 256 pixels."""
    return _png(_herringbone)


@cache
def plan() -> bytes:
    """Return the armchair's front view with its measures as a PDF file of one page (ISO 32000-1 section 7.5)."""
    words = [(60, 760, 18, "Bergère Sillage"), (60, 738, 11, "Vue de face, cotes en mm")]
    words += [(287, 186, 11, "930"), (516, 415, 11, "850")]
    lines = [f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, size, text in words]
    lines += [
        "2 w 110 330 m 110 520 190 620 297 620 c 404 620 484 520 484 330 c 484 300 110 300 110 330 c S",
        "160 440 m 160 470 434 470 434 440 c 434 370 160 370 160 440 c S 160 405 m 160 340 434 340 434 405 c S",
        "150 306 m 135 220 l 145 220 l 168 304 l S 444 306 m 459 220 l 449 220 l 426 304 l S",
        "0.5 w 110 205 m 484 205 l S 110 200 m 110 210 l S 484 200 m 484 210 l S",
        "505 220 m 505 620 l S 500 220 m 510 220 l S 500 620 m 510 620 l S",
    ]
    drawing = "\n".join(lines).encode("cp1252")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % font,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
    )
    file, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size, table = len(objects) + 1, b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(file))
    return bytes(file) + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


def _power(value: float, exponent: float) -> float:
    return math.copysign(abs(value) ** exponent, value)


def _cushion(centre: Vector, half: Vector) -> Surface:
    """Return a superellipsoid: a box with round edges and a swelling top."""

    def surface(u: float, v: float) -> Vector:
        longitude, latitude = 2 * math.pi * (1 - u), math.pi * (v - 0.5)
        around = _power(math.cos(latitude), 0.45)
        return (
            centre[0] + half[0] * around * _power(math.cos(longitude), 0.45),
            centre[1] + half[1] * _power(math.sin(latitude), 0.6),
            centre[2] + half[2] * around * _power(math.sin(longitude), 0.45),
        )

    return surface


def _shell(u: float, v: float) -> Vector:
    """Return a point of the back, which runs around the seat and falls to the arms. u is along it, v around it."""
    side = 2 * u - 1
    angle = side * 2.15  # radians from the middle of the back
    end = max(1e-6, 1 - abs(side) ** 14) ** 0.5  # round ends
    low, high = 0.17, 0.56 + 0.29 * (0.5 + 0.5 * math.cos(min(math.pi, abs(angle) * 1.45))) ** 1.3
    middle, half_height, half_depth = (low + high) / 2, (high - low) / 2 * (0.82 + 0.18 * end), 0.062 * end
    turn = 2 * math.pi * v
    across, up = half_depth * _power(math.cos(turn), 0.7), half_height * _power(math.sin(turn), 0.45)
    lean = 0.10 * (middle + up - low) * (0.5 + 0.5 * math.cos(angle))
    radius_x, radius_z = 0.385 + across + 0.06 * (middle + up - low), 0.37 + across + lean
    return (radius_x * math.sin(angle), middle + up, -radius_z * math.cos(angle))


def _flat(_u: float, _v: float, point: Vector) -> tuple[float, float]:
    """Return where cloth lies that is spread over a cushion and hangs down in front."""
    x, y, z = point
    return (4.5 * x, 4.5 * (z - y))


def _leg(x: float, z: float) -> Surface:
    """Return a leg that gets thinner towards the floor and stands outward."""

    def surface(u: float, v: float) -> Vector:
        turn, height = 2 * math.pi * (1 - u), min(1.0, max(0.0, (v - 0.1) / 0.8))
        radius = (0.013 + 0.014 * height) * (min(v, 1 - v) / 0.1 if min(v, 1 - v) < 0.1 else 1.0)  # noqa: PLR2004
        out = 1.25 - 0.25 * height
        return (x * out + radius * math.cos(turn), 0.22 * height, z * out + radius * math.sin(turn))

    return surface


def _normal(surface: Surface, u: float, v: float) -> Vector:
    """Return the direction that the surface faces, from two short steps on it."""
    step = 1e-3
    v = min(1 - 2 * step, max(2 * step, v))  # at a pole every u is one point
    before, after = surface(u - step, v), surface(u + step, v)
    below, above = surface(u, v - step), surface(u, v + step)
    ax, ay, az = (b - a for a, b in zip(before, after, strict=True))
    bx, by, bz = (b - a for a, b in zip(below, above, strict=True))
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return (x / length, y / length, z / length)


def _grain(x: int, y: int) -> float:
    """Return a number from 0 to 1 that looks like chance and is the same each time."""
    mixed = (x * 374_761_393 + y * 668_265_263) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1_274_126_177) & 0xFFFFFFFF
    return (mixed >> 16 & 0xFF) / 255


def _herringbone(x: int, y: int) -> Vector:
    """Return the colour of herringbone wool, two shades of terracotta, each from 0 to 1. It repeats without a seam."""
    zigzag = x if x // 32 % 2 == 0 else -x
    thread = (zigzag + y) % 16
    light = 0.5 + 0.5 * math.sin(math.pi * (thread % 8) / 8)
    shade = (0.80 + 0.20 * light) * (0.90 + 0.10 * _grain(x, y))
    red, green, blue = (0.79, 0.42, 0.31) if thread < 8 else (0.87, 0.55, 0.43)  # noqa: PLR2004
    return (red * shade, green * shade, blue * shade)


def _oak(x: int, y: int) -> Vector:
    """Return the colour of light oak along its grain."""
    wave = math.sin(2 * math.pi * (x / 64 + 0.25 * math.sin(2 * math.pi * y / _TEXTURE_PX)))
    shade = 0.86 + 0.09 * wave + 0.05 * _grain(x, y // 24)
    return (0.86 * shade, 0.68 * shade, 0.46 * shade)


def _png(colour: Callable[[int, int], Vector]) -> bytes:
    """Return a texture as a PNG file (PNG specification, section 11)."""
    span = range(_TEXTURE_PX)
    rows = b"".join(b"\0" + bytes(round(255 * part) for x in span for part in colour(x, y)) for y in span)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", _TEXTURE_PX, _TEXTURE_PX, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _glb(parts: list[tuple[str, _Mesh, str, bytes]]) -> bytes:
    """Return the file. A part is its name, its mesh, its material's name and its texture."""
    binary, views, accessors = bytearray(), [], []

    def view(data: bytes, **more: int) -> int:
        binary.extend(b"\0" * (-len(binary) % 4))
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data), **more})
        binary.extend(data)
        return len(views) - 1

    def accessor(values: list[Any], kind: str, **more: Any) -> int:
        flat = [number for value in values for number in value]
        data = struct.pack(f"<{len(flat)}f", *flat)
        where = {"bufferView": view(data, target=_VERTICES), "componentType": _FLOAT}
        accessors.append(where | {"count": len(values), "type": kind, **more})
        return len(accessors) - 1

    scene: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Figurative, exemple"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(parts)))}],
        "nodes": [{"name": name, "mesh": number} for number, (name, *_) in enumerate(parts)],
        "meshes": [],
        "materials": [],
        "samplers": [{"wrapS": 10497, "wrapT": 10497}],  # repeat
        "textures": [{"sampler": 0, "source": number} for number in range(len(parts))],
        "images": [],
    }
    for number, (name, mesh, material, texture) in enumerate(parts):
        bounds = {"min": [min(axis) for axis in zip(*mesh.points, strict=True)]}
        bounds |= {"max": [max(axis) for axis in zip(*mesh.points, strict=True)]}
        attributes = {
            "POSITION": accessor(mesh.points, "VEC3", **bounds),
            "NORMAL": accessor(mesh.normals, "VEC3"),
            "TEXCOORD_0": accessor(mesh.uvs, "VEC2"),
        }
        indices = struct.pack(f"<{len(mesh.indices)}I", *mesh.indices)
        where = {"bufferView": view(indices, target=_INDICES), "componentType": _UINT}
        accessors.append(where | {"count": len(mesh.indices), "type": "SCALAR"})
        primitive = {"attributes": attributes, "indices": len(accessors) - 1, "material": number}
        scene["meshes"].append({"name": name, "primitives": [primitive]})
        surface = {"baseColorTexture": {"index": number}, "metallicFactor": 0.0, "roughnessFactor": 0.85}
        scene["materials"].append({"name": material, "pbrMetallicRoughness": surface})
        scene["images"].append({"bufferView": view(texture), "mimeType": "image/png", "name": material})
    binary.extend(b"\0" * (-len(binary) % 4))
    scene |= {"accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(binary)}]}
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
