"""Give a model the files that it names: those of the same mail, and no others."""

from __future__ import annotations

import io
import zipfile

import pytest

from poller.inspection.side_files import SideFiles, files_of
from tests.inspection import samples


def sides(*names: str, folder: str = "") -> SideFiles:
    return SideFiles({name: lambda name=name: name.encode() for name in names}, folder)  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["Bois.png", "bois.PNG", "./bois.png", "textures/bois.png", "C:\\a\\Bois.png", "bo%69s.png"]
)
def test_file_is_found_by_its_name(name: str) -> None:
    assert sides("Bois.png").get(name) == b"Bois.png"


def test_file_beside_the_model_comes_first() -> None:
    """Of two with the same name in an archive."""
    assert sides("a/t.png", "b/t.png", folder="b/").get("t.png") == b"b/t.png"


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "http://a.example/passwd"])
def test_path_of_the_machine_is_a_missing_name(name: str) -> None:
    files = sides("Bois.png")
    with pytest.raises(FileNotFoundError):
        files.get(name)
    assert files.missing == ["passwd"]


def test_missing_names_are_bounded() -> None:
    """Each once, twenty at most, one line of 150 characters at most."""
    files = sides()
    for number in range(50):
        files.find(f"{number}\n{'a' * 500}")
        files.find(f"{number}\n{'a' * 500}")
    assert len(files.missing) == 20
    assert max(map(len, files.missing)) == 150
    assert "\n" not in "".join(files.missing)


def test_what_a_mac_adds_to_a_file_is_no_file_of_an_archive() -> None:
    """Beside the file alone, and only if it is what its name says."""
    fork = b"\0\5\x16\7" + bytes(80)
    models = dict.fromkeys(("a/lit.obj", "seau.obj", "._seau.obj"), samples.OBJ)
    packed = samples.zipped(**models, **dict.fromkeys(("a/._lit.obj", "a/._table.obj"), fork))
    with zipfile.ZipFile(io.BytesIO(packed), "a") as archive:
        archive.writestr("__MACOSX/._vase.obj", fork)
        assert [each.filename for each in files_of(archive)] == ["a/lit.obj", "seau.obj", "._seau.obj", "a/._table.obj"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_file_of_a_mac_does_not_keep_from_the_others(method: int) -> None:
    """It stays a file of the archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        archive.writestr("._lit.obj", bytes(range(256)) * 4)
        archive.writestr("lit.obj", samples.OBJ)
    packed = bytearray(written.getvalue())
    begin = 30 + len("._lit.obj") + (4 if method == zipfile.ZIP_LZMA else 0)  # LZMA tells its properties first
    packed[begin : begin + 40] = b"\xff" * 40
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert [each.filename for each in files_of(archive)] == ["._lit.obj", "lit.obj"]


def test_file_of_a_mac_whose_name_is_damaged_does_not_keep_from_the_others() -> None:
    """The name beside the content, which says that it is in UTF-8."""
    packed = samples.zipped(**dict.fromkeys(("._dé.obj", "dé.obj"), samples.OBJ))
    packed = packed.replace("._dé.obj".encode(), b"._d\xff\xff.obj", 1)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert [each.filename for each in files_of(archive)] == ["._dé.obj", "dé.obj"]
