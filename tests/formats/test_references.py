"""Read which files a 3D file refers to."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path

import pytest

from poller.escaping import file_path
from poller.formats.references import MAX_NAMES, MAX_READ_BYTES, read_references
from tests.support.effort import one_pass

GLTF = {
    "asset": {"version": "2.0"},
    "buffers": [{"uri": "data:application/octet-stream;base64,AAAA"}, {"uri": "vase%20bleu.bin"}],
    "images": [{"uri": "textures/bois.png"}, {"uri": "textures\\\\métal.jpg"}, {"bufferView": 1}],
}
SOURCE = json.dumps(GLTF).encode()
GLB = b"glTF" + struct.pack("<II", 2, 0) + struct.pack("<I", len(SOURCE)) + b"JSON" + SOURCE + b'BIN\0{"uri":"c.bin"}'
NAMED_IN_FBX = b"\x10RelativeFilenameS" + struct.pack("<I", 15) + b"..\\tex\\bois.tga" + b"\x08FileNameS\xff\0\0\0x"
FILES = {
    "gltf": ("gltf", SOURCE, ("vase bleu.bin", "textures/bois.png", "textures\\\\métal.jpg")),
    "glb": ("glb", GLB, ("vase bleu.bin", "textures/bois.png", "textures\\\\métal.jpg")),
    "a glb cut off": ("glb", b"glTF\x02", ()),
    "obj": ("obj", b"# mtllib b.mtl\nmtllib C:\\x\\vase.mtl\nv 0 0 0\n", ("C:\\x\\vase.mtl",)),
    "an obj of spaces": ("obj", b"mtllib mon vase.mtl le bois.MTL\r\n", ("mon vase.mtl", "le bois.MTL")),
    "mtl": (
        "mtl",
        b"newmtl a\nKd 1 0 0\n map_Kd -s 1 1 1 -clamp on ./t/bois clair.png\nmap_Kd x.png\nbump -bm 0.5 creux.jpg\n",
        ("./t/bois clair.png", "x.png", "creux.jpg"),
    ),
    "dae": (
        "dae",
        b"<init_from>file:///c:/t/bois%20&amp;%20fer.png</init_from><init_from> b.jpg </init_from>",
        ("file:///c:/t/bois & fer.png", "b.jpg"),
    ),
    "dae of version 1.5": ("dae", b"<init_from>\n<ref>c.tga</ref></init_from>", ("c.tga",)),
    "dae with a surface": ("dae", b"<surface><init_from>bois-image</init_from></surface>", ()),
    "fbx": ("fbx", b"Kaydara\0" + NAMED_IN_FBX, ("..\\tex\\bois.tga",)),
    "fbx as text": (
        "fbx",
        b'\tRelativeFilename: "t\\a.png"\n\tFileName: "D:\\t\\a.png"\n',
        ("t\\a.png", "D:\\t\\a.png"),
    ),
    "ply": ("ply", b"ply\ncomment TextureFile peau.png\n", ("peau.png",)),
    "usda": ("usda", b"#usda 1.0\n asset file = @./t/bois.png@\n", ("./t/bois.png",)),
    "old letters": ("mtl", "map_Kd béton.png\n".encode("latin-1"), ("béton.png",)),
    "another format": ("stl", b"mtllib a.mtl\n", ()),
    "nothing": ("gltf", b"", ()),
}


@pytest.mark.parametrize(("suffix", "content", "names"), FILES.values(), ids=FILES)
def test_names_of_side_files_are_read(suffix: str, content: bytes, names: tuple[str, ...]) -> None:
    assert read_references(io.BytesIO(content), suffix) == names


def test_what_lies_on_a_web_server_is_not_named() -> None:
    """Nor what has no name. Paths of the author's machine are, as the file gives them."""
    uris = ["../../../etc/passwd", "file:///etc/passwd", "https://example.com/a.png", "..", "/", "a\\u0000b", "%00"]
    source = ",".join(f'{{"uri":"{uri}"}}' for uri in uris).encode()
    assert read_references(io.BytesIO(source), "gltf") == ("../../../etc/passwd", "file:///etc/passwd")


@pytest.mark.parametrize("at", [1024 * 1024 - n for n in (0, 1, 5, 9, 13, 4096, 4097)])
def test_name_across_two_pieces_is_read_once(at: int) -> None:
    content = b" " * at + b'{"uri":"vase.bin"}' + b" " * (1024 * 1024)
    assert read_references(io.BytesIO(content), "gltf") == ("vase.bin",)


def test_reading_and_names_are_bounded() -> None:
    many = b"".join(b'{"uri":"%d.png"}' % number for number in range(MAX_NAMES + 9))
    assert len(read_references(io.BytesIO(many), "gltf")) == MAX_NAMES
    stream = io.BytesIO(bytes(MAX_READ_BYTES) + b"mtllib a.mtl\n")
    assert read_references(stream, "obj") == ()
    assert stream.tell() == MAX_READ_BYTES


HOSTILE = {
    "gltf": (b'"uri":"', b'"uri":"\\', b'"uri" ', b'"uri":"a"'),
    "obj": (b"mtllib ", b"mtllib a\n"),
    "mtl": (b"map_", b" ", b"map_Kd -s 1 ", b"map_Kd -s\n"),
    "dae": (b"<init_from>", b"<init_from "),
    "fbx": (b"\x08FileNameS\xff\xff\0\0", b'FileName: "'),
    "usda": (b"@", b"@a"),
}


@pytest.mark.parametrize(("suffix", "piece"), [(suffix, piece) for suffix, all_ in HOSTILE.items() for piece in all_])
def test_hostile_references_are_read_quickly(suffix: str, piece: bytes) -> None:
    one_pass(lambda content: read_references(io.BytesIO(content), suffix), piece)


CORPUS = os.environ.get("MODEL_CORPUS", "")


@pytest.mark.skipif(not CORPUS, reason="run with MODEL_CORPUS=<folder of 3D files>")
def test_no_path_of_real_or_hostile_files_leads_out() -> None:
    for path in Path(CORPUS).rglob("*.*"):
        with path.open("rb") as stream:
            found = [file_path(each) for each in read_references(stream, path.suffix[1:].lower())]
        assert not {each for each in found if {"..", "."} & set(each.split("/")) or each[:1] == "/"}, path.name
