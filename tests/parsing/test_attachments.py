"""Describe the files of a mail: kind, name, fingerprint, and the logos among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from poller import escaping
from poller.model import Kind
from poller.parsing.attachments import SMALL_BYTES, named
from tests.parsing.helpers import multipart, part, read

MAILS = Path(__file__).parents[1] / "mails"

IMAGES = {
    "shown": (b'Content-ID: <a>\r\nContent-Disposition: inline; filename="a.png"', 16_000, True),
    "with a Content-ID that the text does not show": (b"Content-ID: <b>", 16_000, False),
    "inline, as Apple Mail sends a drawing": (b'Content-Disposition: inline; filename="a.png"', 16_000, False),
    "attached": (b'Content-ID: <b>\r\nContent-Disposition: attachment; filename="a.png"', 16_000, False),
    "attached, and shown": (b'Content-ID: <a>\r\nContent-Disposition: attachment; filename="a.png"', 16_000, True),
    "large": (b"Content-ID: <a>", 17_000, False),
}


@pytest.mark.parametrize(("header", "size", "logo"), IMAGES.values(), ids=IMAGES)
def test_small_inline_image_is_a_logo(header: bytes, size: int, logo: bool, tmp_path: Path) -> None:
    image = b"Content-Type: image/png\r\n" + header + b"\r\n\r\n" + b"\x89PNG\r\n\x1a\n".ljust(size, b"x")
    html = b'Content-Type: text/html\r\n\r\n<img src="cid:a">'
    (file,) = read(tmp_path, multipart(html, image, subtype=b"related")).attachments
    assert file.logo is logo


@pytest.mark.parametrize(("subtype", "logo"), [(b"related", True), (b"mixed", False)])
def test_small_screenshot_beside_text_is_no_logo(subtype: bytes, logo: bool, tmp_path: Path) -> None:
    image = b"Content-Type: image/png\r\nContent-ID: <a>\r\n\r\n" + b"\x89PNG\r\n\x1a\n".ljust(9000, b"x")
    html = b'Content-Type: text/html\r\n\r\n<p>Mon \xc3\xa9cran</p><img src="cid:a">'
    (file,) = read(tmp_path, multipart(html, image, subtype=subtype)).attachments
    assert file.logo is logo


@pytest.mark.parametrize("size", [1000, SMALL_BYTES, SMALL_BYTES + 1, 3 * SMALL_BYTES])
def test_equal_files_have_equal_fingerprints(size: int, tmp_path: Path) -> None:
    """Two models of one size are two models, unless their bytes are equal."""
    once, again, other = (
        part(b"image/png", b"\x89PNG\r\n\x1a\n".ljust(size - 1, b"x") + end, b"Photo.png") for end in (b"1", b"1", b"2")
    )
    files = read(tmp_path, multipart(once, again, other)).attachments
    assert [file.size_bytes for file in files] == [size] * 3
    assert files[0].fingerprint == files[1].fingerprint != files[2].fingerprint
    assert all(len(file.fingerprint) == 32 for file in files)


def test_large_file_of_unique_size_is_not_hashed(tmp_path: Path) -> None:
    """Nothing can be the same, and the digest of a 3D file takes as long as all else that is done with it there."""
    sizes = (SMALL_BYTES + 1, SMALL_BYTES + 2)
    request = read(
        tmp_path, multipart(*[part(b"model/gltf-binary", b"glTF".ljust(size, b"x"), b"a") for size in sizes])
    )
    assert [file.fingerprint for file in request.attachments] == ["", ""]


def test_attachment_names_are_unique(tmp_path: Path) -> None:
    long = b"x" * 146 + b".jpg"
    names = (b"photo.jpg", b"PHOTO.jpg", b"photo (2).jpg", b"photo.jpg", long, long, b"", b"piece-jointe-7.jpg")
    request = read(tmp_path, multipart(*[part(b"image/jpeg", b"\xff\xd8\xff", name) for name in names]))
    assert [file.filename for file in request.attachments] == [
        "photo.jpg",
        "PHOTO (2).jpg",
        "photo (2) (2).jpg",
        "photo (3).jpg",
        "x" * 146 + ".jpg",
        "x" * 142 + " (2).jpg",
        "piece-jointe-7.jpg",
        "piece-jointe-7 (2).jpg",
    ]


def test_executable_is_refused_and_counted(tmp_path: Path) -> None:
    (file,) = read(tmp_path, multipart(part(b"model/gltf-binary", b"MZ\x90\0", b"chaise.glb"))).attachments
    assert (file.refused, file.kind) == (True, Kind.OTHER)


@pytest.mark.parametrize(("end", "refused"), [(b"</svg>", False), (b"<script>x</script></svg>", True)])
def test_drawing_is_refused_for_a_script_wherever_it_is(tmp_path: Path, end: bytes, refused: bool) -> None:
    drawing = b"<svg>" + b"<path d='M0 0'/>" * 20_000 + end
    (file,) = read(tmp_path, multipart(part(b"image/svg+xml", drawing, b"logo.svg"))).attachments
    assert (file.refused, file.content_type) == (refused, "application/octet-stream")
    assert file.kind is (Kind.OTHER if refused else Kind.DOCUMENT)


FORK = b"\0\5\x16\7" + bytes(80)
OBJ = b"v 1 2 3\n" * 9
PAIRS = {
    "as Apple Mail names it": (b"appledouble", b"application/applefile", b"chaise.obj", FORK, OBJ, True),
    "as RFC 1740 names it": (b"appledouble", b"application/applefile", b"%chaise", FORK, OBJ, True),
    "without a name": (b"appledouble", b"application/applefile", b"", FORK, OBJ, True),
    "from a foreign disk": (b"mixed", b"application/octet-stream", b"._chaise.obj", FORK, OBJ, True),
    "of another file": (b"mixed", b"application/applefile", b"table.obj", FORK, OBJ, False),
    "beside an empty file": (b"appledouble", b"application/applefile", b"chaise.obj", FORK, b"", False),
    "that is a file": (b"appledouble", b"application/applefile", b"table.obj", OBJ, OBJ, False),
}


@pytest.mark.parametrize(("subtype", "declared", "name", "fork", "content", "incidental"), PAIRS.values(), ids=PAIRS)
def test_what_a_mac_adds_to_a_file_is_no_file_of_a_mail(
    subtype: bytes, declared: bytes, name: bytes, fork: bytes, content: bytes, incidental: bool, tmp_path: Path
) -> None:
    """Where the file itself is there, with bytes in it, and keeps its name."""
    parts = part(declared, fork, name), part(b"model/obj", content, b"chaise.obj")
    added, file = read(tmp_path, multipart(*parts, subtype=subtype)).attachments
    assert (added.incidental, file.incidental, file.filename) == (incidental, False, "chaise.obj")
    assert added.kind is (Kind.MODEL if fork is OBJ else Kind.OTHER)
    assert added.filename.count("._") == (fork is FORK and name != b"")


def test_image_in_html_is_inline_unless_also_attached(tmp_path: Path) -> None:
    """It is shown all the same."""
    files = read(tmp_path, (MAILS / "outlook.eml").read_bytes()).attachments
    found = {file.filename: (file.inline, file.shown) for file in files}
    assert found == {"logo.png": (True, True), "photo.png": (False, True)}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:\\plans\\table.stl", "table.stl"),
        ("facture\u202efdp.exe".encode(), "facturefdp.exe"),
        ("Pièce n°1.stl".encode(), "Pièce n°1.stl"),
        (b"=?utf-8?q?a=0D=0AX-Evil=3A1.glb?=", "a X-Evil_1.glb"),
        (b"x" * 300 + b".glb", "x" * 146 + ".glb"),
    ],
)
def test_attachment_file_name_is_made_safe(name: bytes, safe: str, tmp_path: Path) -> None:
    part = b'Content-Type: a/b\r\nContent-Disposition: attachment; filename="%b"\r\n\r\nx' % name
    assert [file.filename for file in read(tmp_path, multipart(part)).attachments] == [safe]


@pytest.mark.parametrize("folder", ["f" * 60 + "/" + "g" * 60, "f" * 146])
def test_long_paths_are_told_apart_within_their_length(folder: str, tmp_path: Path) -> None:
    """A longer one would be cut, and be that of another file again."""
    (file,) = read(tmp_path, multipart(part(b"image/png", b"\x89PNG", b"a.png"))).attachments
    path = f"{folder}/{'n' * 99}"[:150]
    paths = [each.filename for each in named([replace(file, filename=path)] * 3)]
    assert len(set(paths)) == 3
    assert [escaping.file_path(each) for each in paths] == paths
