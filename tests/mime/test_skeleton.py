"""Build the skeleton of a message: nothing is lost from it, and it does not grow."""

from __future__ import annotations

import base64
import email
from typing import TYPE_CHECKING

import pytest

from poller.mime.skeleton import Skeleton, build_skeleton
from poller.mime.transfer_encoding import Encoded

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="B"\r\n\r\n'
BINARY = base64.encodebytes(bytes(range(256)) * 4000).replace(b"\n", b"\r\n")
DASHES = b"".join(b"--- a/%d\r\n--B%d\r\n-- \r\n" % (n, n) for n in range(3000))


def written(path: Path, message: bytes) -> Path:
    (path / "spool").write_bytes(message)
    return path / "spool"


def cut(path: Path) -> Skeleton:
    with path.open("rb") as stream:
        return build_skeleton(stream)


def payloads(path: Path) -> list[bytes]:
    """Return the content that each part of the skeleton stands for, in order."""
    skeleton = cut(path)
    found = []
    for part in email.message_from_bytes(skeleton.content).walk():
        if not part.is_multipart():
            del part["Content-Transfer-Encoding"]
            pieces = skeleton.pieces(part.get_payload(decode=True))
            with Encoded(path, pieces, "").open() as stream:
                found.append(stream.read())
    return found


BODIES = {
    "base64": BINARY,
    "short": b"bonjour",
    "empty": b"",
    "one long line": b"x" * 3_000_000,
    "8bit with dashes at line starts": b"".join(b"-- %d \xc3\xa9\r\n--- a\r\n" % n for n in range(50_000)),
    "dashes within lines": b"a -- b " * 300_000,
    "no line end": b"x" * 2000,
    "CR only": b"v 1 2 3\r" * 30_000 + b"f",
    "the window's edge": b"y" * (1024 * 1024 - 300) + b"\r\n--A\r\n" * 90,
    "what looks like a nested message": b"Content-Type: message/rfc822\r\n\r\n" * 100,
}  # fmt: skip


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_part_is_kept_byte_for_byte(body: bytes, line_end: bytes, tmp_path: Path) -> None:
    parts = [b"avant", body, b"apr\xe8s" * 1000]
    message = HEADER.replace(b"\r\n", line_end)
    for part in parts:
        message += b"--B" + line_end + b"Content-Type: application/octet-stream" + line_end * 2 + part + line_end
    path = written(tmp_path, message + b"--B--" + line_end)
    assert payloads(path) == parts
    assert len(cut(path).content) < 4000


@pytest.mark.parametrize("shift", range(-6, 7))
def test_boundary_across_read_pieces_is_found(shift: int, tmp_path: Path) -> None:
    first = b"y" * (1024 * 1024 - len(b"--B\r\n\r\n") + shift)
    message = HEADER + b"--B\r\n\r\n" + first + b"\r\n--B\r\n\r\nfin\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [first, b"fin"]


@pytest.mark.parametrize("line", [b"--B", b"--B: x"])
def test_boundary_like_line_in_part_header_loses_nothing(line: bytes, tmp_path: Path) -> None:
    message = HEADER + b"--B\r\n" + line + b"\r\nContent-Type: image/png\r\n\r\n" + BINARY + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [BINARY]


def test_boundary_prefix_does_not_split_part(tmp_path: Path) -> None:
    message = HEADER + b"--B\r\n\r\n" + DASHES.replace(b"--B", b"--A") + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [DASHES.replace(b"--B", b"--A")]


@pytest.mark.parametrize(
    "announced",
    [
        b'boundary="B"',
        b"boundary=B",
        b'Boundary = "B"; type="a/b"',
        b"boundary*=us-ascii''B",
        b'boundary*0="B"',
        b"charset=x;\r\n boundary=B",
        b"",
    ],
)
def test_boundary_parameter_is_read_in_every_form(announced: bytes, tmp_path: Path) -> None:
    header = b"Subject: x\r\nContent-Type: multipart/mixed; " + announced + b"\r\n\r\n"
    part = b"--B\r\nContent-Type: image/png\r\n\r\n"
    message = header + part + BINARY + b"\r\n" + part + BINARY + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [BINARY, BINARY]


def test_nested_message_is_one_part_with_all_bytes(tmp_path: Path) -> None:
    nested = b'Subject: y\r\nContent-Type: multipart/mixed; boundary="C"\r\n\r\n--C\r\n\r\n' + BINARY + b"--C--\r\n"
    message = HEADER + b"--B\r\nContent-Type:\r\n message/rfc822\r\n\r\n" + nested + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [nested]


def test_part_without_blank_line_keeps_content(tmp_path: Path) -> None:
    message = HEADER + b"--B\r\nContent-Type: image/png\r\n" + BINARY + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, message)) == [BINARY]


def test_sender_cannot_forge_a_marker(tmp_path: Path) -> None:
    message = b"Subject: x\r\n\r\n[000000000000000000000000 0 10]"
    assert payloads(written(tmp_path, message)) == [message.partition(b"\r\n\r\n")[2]]


LOSSES = {
    "header over 256 KB": b"Subject: " + b"x" * 2_000_000 + b"\r\n\r\nbonjour",
    "more parts than are looked at": HEADER + b"--B\r\n\r\nx\r\n" * 2000,
    "MIME fields over 8 KB": b"Content-Type: text/plain" + b"; a" * 50_000 + b"\r\n\r\nbonjour",
    "part header over 256 KB": HEADER + b"--B\r\nX-A: x\r\n" + b"X-B: y\r\n" * 50_000 + b"\r\nx\r\n--B--\r\n",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_skeleton_names_loss_beyond_limit(loss: str, tmp_path: Path) -> None:
    skeleton = cut(written(tmp_path, LOSSES[loss]))
    assert skeleton.losses == (loss,)
    assert len(skeleton.content) < 1_100_000


@pytest.mark.parametrize(
    "long",
    [
        b"X-A: " + b"x" * 20_000,
        b"X-A: x\r\n" * 3000 + b"X-B: y",
        b"X-A: x\r\n" + b"\ty\r\n" * 40_000 + b"X-B: y",
        b"Content-Description: " + b"x" * 7000,
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_part_below_long_header_is_kept(long: bytes, first: bool, tmp_path: Path) -> None:
    kind = b"Content-Type: image/png"
    header = b"\r\n".join([long, kind] if first else [kind, long])
    path = written(tmp_path, HEADER + b"--B\r\n" + header + b"\r\n\r\n" + BINARY + b"\r\n--B\r\n\r\nfin\r\n--B--\r\n")
    assert payloads(path) == [BINARY, b"fin"]
    skeleton = cut(path)
    assert skeleton.losses == ()
    assert b"image/png" in skeleton.content
    assert len(skeleton.content) < 10_000


NESTED = b"--C\r\nContent-Type: image/png\r\n\r\n" + BINARY + b"\r\n--C--\r\n"


@pytest.mark.parametrize(
    "announced",
    [
        b"multipart/mixed; boundary='C'",
        b'multipart/mixed boundary="C"',
        b"multipart/mixed boundary=C",
        b'multipart/mixed; boundary="D"',
        b"multipart/mixed; boundary",
        b"multipart/mixed; boundary=",
        b"multipart/mixed; charset=x boundary=C",
        b"multipart/mixed; " + b"a=b; " * 3000 + b"boundary=C",
    ],
)
def test_parts_are_found_below_broken_boundary_parameter(announced: bytes, tmp_path: Path) -> None:
    """They are in the message itself, and in a part of it."""
    assert payloads(written(tmp_path, b"Subject: x\r\nContent-Type: " + announced + b"\r\n\r\n" + NESTED)) == [BINARY]
    outer = HEADER + b"--B\r\nContent-Type: " + announced + b"\r\n\r\n" + NESTED + b"\r\n--B--\r\n"
    assert payloads(written(tmp_path, outer)) == [BINARY]


def test_body_is_found_after_oversized_header(tmp_path: Path) -> None:
    assert payloads(written(tmp_path, LOSSES["header over 256 KB"])) == [b"bonjour"]


def test_ordinary_message_loses_nothing(tmp_path: Path) -> None:
    assert cut(written(tmp_path, HEADER + b"--B\r\n\r\nx\r\n--B--\r\n")).losses == ()
