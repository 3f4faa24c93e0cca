"""Have models drawn by f3d over a real unix socket, and by servers that do everything wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from poller.inspection.f3d import client
from poller.inspection.f3d.limits import MAX_BYTES
from poller.inspection.f3d.server import receive
from poller.inspection.process import Inspected, inspect
from poller.model import ModelFacts, NoPicture
from tests.inspection import samples
from tests.inspection.attachments import attached
from tests.inspection.samples import GREEN
from tests.support.socket_activation import activated

if TYPE_CHECKING:
    from pathlib import Path

installed = pytest.mark.skipif(
    find_spec("f3d") is None, reason="f3d is not installed: pip install --require-hashes -r requirements-f3d.lock"
)
SERVER = (sys.executable, "-P", "-m", "poller.inspection.f3d.server")
DIRECTX = b"""xof 0303txt 0032
Mesh {
 3; 0;0;0;, 1;0;0;, 0;1;0;;
 1; 3;0,1,2;;
 MeshTextureCoords { 3; 0;0;, 1;0;, 0;1;; }
 MeshMaterialList { 1; 1; 0;; Material { 1;1;1;1;; 1; 0;0;0;; 0;0;0;; TextureFilename { "t/bois.png"; } } }
}
"""
CLOSED = attached("vase.fbx", b"Kaydara FBX Binary  \0")


@installed
def test_model_that_nothing_else_draws_has_a_picture_by_f3d(tmp_path: Path) -> None:
    """With its texture, which lies where the model looks for it; and it opens no other file."""
    texture = replace(attached("bois.png", samples.image(GREEN)), side="t/bois.png")
    with activated(tmp_path / "s", SERVER) as path:
        (found,) = inspect([attached("a.x", DIRECTX), texture], 0, f3d=path)
    assert (found.media_type, found.no_picture) == ("image/png", None)
    assert found.picture
    assert samples.pixels(found.picture).shape == (600, 800, 3)
    assert samples.share_of(found.picture, GREEN) > 0.05


@installed
def test_model_in_an_archive_is_drawn_by_f3d(tmp_path: Path) -> None:
    packed = samples.zipped(**{"lot/a.x": DIRECTX, "lot/t/bois.png": samples.image(GREEN), "../x.png": b"x"})
    with activated(tmp_path / "s", SERVER) as path:
        picture = client.draw(path, {"a.zip": attached("a.zip", packed)}, "lot/a.x")
    assert picture
    assert samples.share_of(picture, GREEN) > 0.05


def test_f3d_is_ready_where_it_answers_with_a_picture(tmp_path: Path) -> None:
    """Here a server that gives the same one for every model."""
    (tmp_path / "picture.png").write_bytes(samples.image(GREEN, (800, 600)))
    with activated(tmp_path / "s", ("sh", "-c", 'cat > /dev/null; cat "$0"', str(tmp_path / "picture.png"))) as path:
        assert client.is_ready(path)
    assert not client.is_ready(tmp_path / "none")


FAULTS = {
    "dies": "import os; os.abort()",
    "hangs": "import sys, threading; sys.stdin.buffer.read(); threading.Event().wait()",
    "reads nothing": "import threading; threading.Event().wait()",
    "garbage": "print('bonjour')",
    "too big": "import sys; sys.stdout.buffer.write(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(9 << 20) + b'IEND\\xaeB`\\x82')",
    "cut off": "import sys; sys.stdout.buffer.write(b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR\\0\\0\\3 \\0\\0\\2X')",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_of_f3d_is_no_picture(fault: str, tmp_path: Path) -> None:
    """Whatever the other side does, there is an answer within the time, and it is that there is none."""
    large = attached("vase.fbx", bytes(4 << 20))
    with activated(tmp_path / "s", (sys.executable, "-c", fault)) as path:
        assert client.draw(path, {"vase.fbx": large}, limit_s=1.0) is None


def test_request_without_f3d_says_that_there_is_no_picture(tmp_path: Path) -> None:
    """Its unit is not installed, or refuses connections."""
    assert inspect([CLOSED], 0, f3d=tmp_path / "none") == (Inspected("", ModelFacts(), no_picture=NoPicture.FAILED),)


def test_set_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    large = replace(CLOSED, size_bytes=MAX_BYTES + 1)
    assert client.draw(tmp_path / "none", {"a.fbx": large}) is None


@pytest.mark.parametrize(
    "header",
    [
        {"files": [["../a.glb", 1]]},
        {"files": [["/a.glb", 1]]},
        {"files": []},
        {"files": [["a.glb", -1]]},
        {"files": [["a.glb", MAX_BYTES + 1]]},
        {"files": [["a.glb", 2]]},
        {},
        [],
    ],
)
def test_server_refuses_what_the_daemon_does_not_send(header: object, tmp_path: Path) -> None:
    """Paths that lead elsewhere, sizes that are none, and files that are cut off."""
    source = tmp_path / "sent"
    source.write_bytes(json.dumps(header).encode() + b"\nx")
    (tmp_path / "files").mkdir()
    with source.open("rb") as stream, pytest.raises((ValueError, KeyError, TypeError)):
        receive(stream, tmp_path / "files")
    assert {path.name for path in tmp_path.iterdir()} == {"sent", "files"}
