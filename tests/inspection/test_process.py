"""Look into the files of a mail in processes of their own."""

from __future__ import annotations

import errno
import gzip
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import pytest
from PIL import Image

from poller.child_process import ProcessStoppedError
from poller.inspection import embedded, process
from poller.inspection.process import Inspected, inspect
from poller.model import Kind, ModelFacts, ModelIssue, NoPicture
from tests.inspection import bad_workers, samples
from tests.inspection.attachments import attached
from tests.inspection.samples import GREEN, RED
from tests.support import bad_processes

if TYPE_CHECKING:
    from pathlib import Path


def test_textured_glb_has_its_facts_and_its_colour() -> None:
    """The portrait of a model: what it holds, and a picture of 800 x 600 in which its texture shows."""
    (found,) = inspect([attached("Caisse.GLB", samples.textured_glb())], 0)
    assert found.facts
    assert (found.facts.triangles, found.facts.unit, found.facts.materials) == (12, "m", 1)
    assert found.facts.size == pytest.approx((2.0, 1.0, 0.5))
    assert found.facts.textures == ((64, 32),)
    assert found.facts.issues == ()
    assert (found.media_type, found.no_picture) == ("image/png", None)
    assert found.picture
    assert samples.pixels(found.picture).shape == (600, 800, 3)
    assert samples.share_of(found.picture, RED) > 0.2
    assert samples.pixels(found.picture)[0, 0].min() > 225  # the background


def test_obj_finds_its_material_and_texture_in_the_mail() -> None:
    """By name, whatever the case and the directory that the model names."""
    files = [
        attached("CAISSE.MTL", samples.MTL),
        attached("caisse.obj", samples.OBJ),
        attached("Bois.png", samples.image(GREEN)),
    ]
    (found,) = inspect(files, 1)
    assert found.facts
    assert (found.facts.missing, found.facts.textures) == ((), ((64, 32),))
    assert found.picture
    assert samples.share_of(found.picture, GREEN) > 0.1


def test_model_without_its_side_files_names_them() -> None:
    """What the studio asks the customer for."""
    (found,) = inspect([attached("a.gltf", samples.gltf("scene%20finale.bin", ("t/bois.png",)))], 0)
    assert found.facts
    assert found.facts.missing == ("scene finale.bin", "bois.png")
    assert found.facts.issues == (ModelIssue.UNREADABLE, ModelIssue.MISSING_FILES)
    assert (found.facts.triangles, found.facts.program) == (1, "Blender")
    assert (found.picture, found.no_picture) == (None, NoPicture.UNREADABLE)


def test_number_that_a_file_claims_is_bounded() -> None:
    """It stands in every text about the file."""
    claimed = json.loads(samples.gltf("missing.bin", ()))
    claimed["accessors"] = [each | {"count": 10**3000} for each in claimed["accessors"]]
    (found,) = inspect([attached("a.gltf", json.dumps(claimed).encode())], 0)
    assert found.facts
    assert (found.facts.triangles, found.facts.vertices) == (10**12, 10**12)


def test_archive_has_a_portrait_of_each_model_in_it() -> None:
    """With the textures that lie in the archive, and named by the path in it."""
    packed = samples.zipped(
        lot__caisse_dot_obj=samples.OBJ,
        lot__caisse_dot_mtl=samples.MTL,
        lot__textures__bois_dot_png=samples.image(GREEN),
        lisez_dot_txt=b"bonjour",
        petit_dot_stl=samples.exported("stl"),
    )
    first, second = inspect([attached("lot.zip", packed)], 0)
    assert (first.member, second.member) == ("lot/caisse.obj", "petit.stl")
    assert first.picture
    assert samples.share_of(first.picture, GREEN) > 0.1
    assert second.facts
    assert second.facts.size == pytest.approx((2.0, 0.5, 1.0))  # z is up in an STL
    assert second.facts.unit == ""


def test_member_of_an_archive_is_found_by_its_exact_name() -> None:
    """With a space or a quote around it, or beside one that differs in case alone."""
    content = samples.exported("stl")
    packed = samples.zipped(**{" a_dot_stl": content, "'b'_dot_stl": content, "'B'_dot_stl": content})
    found = inspect([attached("lot.zip", packed)], 0)
    assert [each.member for each in found] == [" a.stl", "'b'.stl", "'B'.stl"]
    assert all(each.picture for each in found)


def test_archive_without_models_has_no_portrait() -> None:
    assert inspect([attached("a.zip", samples.zipped(a_dot_txt=b"bonjour"))], 0) == ()


def test_document_has_a_jpeg_and_no_facts() -> None:
    (found,) = inspect([attached("Plan.PDF", samples.pdf())], 0)
    assert (found.facts, found.media_type) == (None, "image/jpeg")
    assert found.picture
    assert samples.share_of(found.picture, GREEN) > 0.9


@pytest.mark.parametrize("name", ["note.txt", "photo.jpg", "virus.glb"])
def test_nothing_to_look_at_is_nothing(name: str) -> None:
    """A text, a photo that every client shows, and a file that is refused."""
    kind = {"note.txt": Kind.DOCUMENT, "photo.jpg": Kind.IMAGE, "virus.glb": Kind.OTHER}[name]
    assert inspect([replace(attached(name, b"glTF", refused=name == "virus.glb"), kind=kind)], 0) == ()


def test_format_that_nothing_reads_says_so() -> None:
    (found,) = inspect([attached("a.fbx", b"Kaydara FBX Binary  \0")], 0)
    assert found == Inspected(facts=ModelFacts(), no_picture=NoPicture.FORMAT)


DAMAGED = {
    "cut.dwg": b"AC1032".ljust(13, b"\0") + b"\x11\0\0\0" + embedded._DWG + bytes(4) + b"\3\2",
    "cut.blend": gzip.compress(b"BLENDER-v402" + os.urandom(5000))[:3000],
    "locked.fcstd": samples.locked(samples.zipped(thumbnails__Thumbnail_dot_png=samples.image(GREEN))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_picture_says_nothing_of_its_file(name: str) -> None:
    """Nothing here opens the file itself, so nobody is told that it does not open."""
    (found,) = inspect([attached(name, DAMAGED[name])], 0)
    assert found == Inspected(facts=ModelFacts(), no_picture=NoPicture.FORMAT)


def test_without_the_extra_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is tried: the daemon works as before."""
    monkeypatch.setattr(process, "_PACKAGES", ("trimesh_that_is_not_there",))
    assert inspect([attached("a.glb", b"")], 0) == (Inspected(no_picture=NoPicture.OFF),)


class Torn:
    """A spool file that cannot be read."""

    def open(self) -> BinaryIO:
        raise OSError(errno.EIO, "torn")


def test_spool_file_that_cannot_be_read_is_no_fault_of_the_model() -> None:
    with pytest.raises(OSError, match="torn") as failed:
        inspect([replace(attached("a.glb", b""), content=Torn())], 0)
    assert failed.value.errno == errno.EIO


BEATEN = {
    "hangs": (bad_processes.hang, 0.5, NoPicture.TOO_MUCH),
    "crashes": (bad_workers.die, 60, NoPicture.UNREADABLE),
    "fails to draw": (bad_workers.hoard, 60, NoPicture.FAILED),
    "no picture": (bad_workers.lie, 60, NoPicture.FAILED),
    "no JSON": (bad_workers.babble, 60, NoPicture.UNREADABLE),
    "too long": (bad_workers.flood, 60, NoPicture.UNREADABLE),
    "half a message": (bad_workers.stammer, 5, NoPicture.TOO_MUCH),
    "says nothing any more": (bad_workers.leave, 0.5, NoPicture.TOO_MUCH),
    "nested": (bad_workers.nest, 60, NoPicture.UNREADABLE),
    "endless": (bad_workers.claim, 60, NoPicture.FAILED),
}


@pytest.mark.parametrize(("child", "limit_s", "why"), BEATEN.values(), ids=BEATEN)
def test_file_that_harms_its_process_is_a_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: object, limit_s: float, why: NoPicture
) -> None:
    """The mail goes on, with the facts that were found before, and nothing is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(process, "_work", child)
    (found,) = inspect([attached("a.glb", b"")], 0, limit_s=limit_s)
    assert (found.picture, found.no_picture) == (None, why)
    assert (found.facts.triangles if found.facts else None) == (7 if child is bad_workers.hoard else None)
    assert not multiprocessing.active_children()
    assert not list(tmp_path.glob("inspection-*"))


def test_process_that_is_stopped_says_nothing_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the machine shuts down: the step is done again."""
    monkeypatch.setattr(process, "_work", bad_processes.stopped)
    with pytest.raises(ProcessStoppedError):
        inspect([attached("a.glb", b"")], 0)


def test_process_whose_fork_server_is_stopped_says_nothing_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under systemd, which signals every process of the unit: there is no exit code."""
    monkeypatch.setattr(process, "_work", bad_processes.stopped_with_its_fork_server)
    with pytest.raises(ProcessStoppedError):
        inspect([attached("a.glb", b"")], 0)


def test_daemon_imports_none_of_the_libraries() -> None:
    """After a look into a model, the process that asked for it has neither numpy nor trimesh."""
    code = (
        "import sys, io; from poller.inspection.process import inspect, is_installed; "
        "from poller.model import Attachment, Kind; from poller.daemon import daemon\n"
        "class Content:\n    def open(self): return io.BytesIO(b'solid a\\nendsolid a\\n')\n"
        "if __name__ == '__main__':\n"
        "    print(is_installed(), {'numpy', 'trimesh', 'PIL', 'pxr'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True set()\n"


def test_picture_is_a_valid_png() -> None:
    (found,) = inspect([attached("a.stl", samples.exported("stl"))], 0)
    assert found.picture
    with Image.open(io.BytesIO(found.picture)) as picture:
        picture.verify()
        assert (picture.format, picture.size) == ("PNG", (800, 600))
