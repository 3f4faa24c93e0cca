"""Tests of the sample mails."""

from __future__ import annotations

import json
import math
import struct
import zlib
from email import message_from_bytes, policy

from poller.cli.demonstration.armchair import armchair, fabric, plan
from poller.cli.samples import picture, samples, triangle
from poller.cli.try_mail import PAYLOADS


def test_samples_are_mails_with_distinct_ids() -> None:
    """Each can be delivered beside all others, and every payload of `poller try` is among them."""
    mails = {name: message_from_bytes(raw, policy=policy.default) for name, raw in samples().items()}
    assert {mail["Message-ID"] for mail in mails.values()} == {f"<{name}@samples.example>" for name in mails}
    assert mails.keys() >= set(PAYLOADS)
    for mail in mails.values():
        assert not mail.defects
        assert all((mail["From"], mail["To"], mail["Subject"], mail["Date"]))


def test_triangle_is_complete_binary_gltf() -> None:
    """The length in its header is that of the file (glTF 2.0 section 4.4.2)."""
    model = triangle()
    assert struct.unpack("<4sII", model[:12]) == (b"glTF", 2, len(model))


def test_picture_has_all_rows_and_valid_checksums() -> None:
    """A viewer shows it whole (PNG specification, section 5)."""
    width, height = 4, 3
    rest = picture(width, height).removeprefix(b"\x89PNG\r\n\x1a\n")
    chunks = {}
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + size]
        assert struct.unpack(">I", rest[8 + size : 12 + size]) == (zlib.crc32(kind + data),)
        chunks[kind], rest = data, rest[12 + size :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)


def test_armchair_is_complete_textured_model_of_a_chairs_size() -> None:
    """Every view lies in the buffer, every index names a vertex, normals have length 1, and each part has a texture."""
    model = armchair()
    assert struct.unpack("<4sII", model[:12]) == (b"glTF", 2, len(model))
    (length,) = struct.unpack("<I", model[12:16])
    scene, binary = json.loads(model[20 : 20 + length]), model[28 + length :]
    assert scene["buffers"] == [{"byteLength": len(binary)}]
    content = [binary[view["byteOffset"] :][: view["byteLength"]] for view in scene["bufferViews"]]
    assert all(len(data) == view["byteLength"] for data, view in zip(content, scene["bufferViews"], strict=True))
    assert sum(each["count"] for each in scene["accessors"] if each["type"] == "SCALAR") // 3 > 10_000
    for mesh in scene["meshes"]:
        (primitive,) = mesh["primitives"]
        points, normals, uvs, indices = (
            scene["accessors"][number] for number in (*primitive["attributes"].values(), primitive["indices"])
        )
        assert points["count"] == normals["count"] == uvs["count"]
        named = struct.unpack(f"<{indices['count']}I", content[indices["bufferView"]])
        assert max(named) == points["count"] - 1
        for normal in struct.iter_unpack("<3f", content[normals["bufferView"]]):
            assert math.isclose(math.hypot(*normal), 1, rel_tol=1e-5)
        assert all(0.2 < high - low < 1 for low, high in zip(points["min"], points["max"], strict=True))
    assert [content[image["bufferView"]][:8] for image in scene["images"]] == [b"\x89PNG\r\n\x1a\n"] * 2


def test_armchair_mail_pastes_picture_and_attaches_model_and_plan() -> None:
    """As a mail client sends it: the picture belongs to the HTML, the files to the mail."""
    mail = message_from_bytes(samples()["armchair"], policy=policy.default)
    parts = [(part.get_content_type(), part.get_filename()) for part in mail.walk() if part.get_filename()]
    assert parts == [
        ("image/png", "tissu.png"),
        ("model/gltf-binary", "bergère Sillage.glb"),
        ("application/pdf", "plan Sillage.pdf"),
    ]
    html = mail.get_body(("html",))  # type: ignore[attr-defined]
    assert "cid:tissu@samples.example" in html.get_content()
    (picture_part,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    assert picture_part["Content-ID"] == "<tissu@samples.example>"
    assert picture_part.get_content() == fabric()


def test_plan_is_complete_pdf() -> None:
    """Each entry of its table points at an object (ISO 32000-1 section 7.5.4)."""
    file = plan()
    (at,) = (int(number) for number in file.split(b"startxref\n")[1].split()[:1])
    entries = file[at:].split(b"\n")[3:7]
    assert [file[int(entry[:10]) :][:7] for entry in entries] == [b"%d 0 obj" % number for number in (1, 2, 3, 4)]
