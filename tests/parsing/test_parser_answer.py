"""The answer of the parser's process: all of a request, as JSON, each value checked on arrival."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from poller.cli.samples import samples
from poller.parsing import parser
from poller.parsing.parser_process import dumps, loads

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FORWARDED = (
    b"From: a@b.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\nBonjour\r\n--x\r\nContent-Type: application/octet-stream; name=a.glb\r\n\r\nglTF\r\n--x--\r\n"
)


# A file that a Mac named: the accent is a letter of its own, and a part of the address.
LINKED = (
    "From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<a href='https://we.tl/t-e\u0301te\u0301'>x</a>"
)


@pytest.mark.parametrize("raw", [*samples().values(), FORWARDED, LINKED.encode(), b"", b"\xff\xfe"])
def test_request_is_same_on_arrival(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(raw)
    request = parser.parse(path, "account", NOW)
    assert loads(dumps(request), path) == request


BROKEN: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "a line with a line end": (("subject",), "a\nBcc: b"),
    "a link with a line end": (("links",), ["https://we.tl/t-a\n"]),
    "a link to a program": (("links",), ["javascript:alert(1)"]),
    "a name with a directory": (("attachments", 0, "filename"), "../a.glb"),
    "no name": (("attachments", 0, "filename"), ""),
    "a path that leads out": (("attachments", 0, "side"), "textures/../../a.png"),
    "a path from the root": (("attachments", 0, "side"), "/etc/passwd"),
    "a span before the file": (("attachments", 0, "content", 0, "pieces"), [[-1, 9]]),
    "a span that is a number in words": (("attachments", 0, "content", 0, "pieces"), [["1", 9]]),
    "bytes that are no base64": (("attachments", 0, "content", 0, "pieces"), ["*"]),
    "no content": (("attachments", 0, "content"), []),
    "contents without end": (("attachments", 0, "content"), [{"pieces": [], "encoding": ""}] * 101),
    "an unknown kind": (("attachments", 0, "kind"), "weapon"),
    "a flag that is a word": (("attachments", 0, "refused"), "no"),
    "a size that is true": (("attachments", 0, "size_bytes"), True),
    "a moment without zone": (("received_at",), "2026-11-22T00:00:00"),
    "a text that is a list": (("text",), ["a"]),
    "a header of three": (("headers",), [["a", "b", "c"]]),
    "an address that is a text": (("sender",), "a@b.example"),
}


@pytest.mark.parametrize(("at", "value"), BROKEN.values(), ids=BROKEN)
def test_answer_with_wrong_value_is_refused(tmp_path: Path, at: tuple[str | int, ...], value: object) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(samples()["modelisation_with_files"])
    answer: Any = json.loads(dumps(parser.parse(path, "account", NOW)))
    place = answer
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        loads(json.dumps(answer).encode(), path)
