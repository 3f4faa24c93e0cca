"""Parse a mail in a process of its own.

Whatever a mail does to the parser, the daemon and its other mails are not affected. A parser that a mail has taken over
may say anything. So its answer is JSON, each value of which is checked on arrival, and the attachments lie in the spool
file that the daemon names, whatever the answer says.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poller import child_process, confinement, fork_server
from poller.child_process import ProcessStoppedError
from poller.escaping import one_line
from poller.mime.transfer_encoding import Encoded, Span
from poller.model import Address, Attachment, Kind, Request

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

LIMIT_S = 60.0  # the slowest mail known takes two
CPU_S = 120  # never before LIMIT_S of the clock
FILE_BYTES = 1 << 30  # of what it lays down of a wrapped mail
_STATUS_BYTES = 1_000
MAX_BYTES: Final = 16 << 20  # far above what any mail needs: its files are not in it
_DEPTH: Final = 100  # of contents within contents
_BYTES_MAX: Final = 1 << 50  # of an attachment, decoded

_AS_THEY_ARE: Final = (
    *("reference", "message_id", "in_reply_to", "references", "subject", "text", "newest", "headers", "defects"),
    "links",
)
_FLAGS: Final = ("inline", "logo", "incidental", "refused", "shown", "quoted")


class ParserDiedError(Exception):
    """Not even the header can be read."""


class _BeatenError(Exception):
    """The mail is too much for the parser. `str()` says in a few English words in which way."""


def parse(path: Path, account: str, received_at: datetime, *, unreadable: str, limit_s: float = LIMIT_S) -> Request:
    """The same as `parser.parse`, within bounds of time and memory.

    A mail beyond them is read by `parser.header_only`, with `unreadable` in place of its text.

    Raises:
        OSError: the spool file cannot be read, or the disk is full.
        ProcessStoppedError: the process was stopped from outside.
        ParserDiedError: not even the header can be read.
    """
    try:
        return _run("parse", limit_s, path, account, received_at)
    except _BeatenError as error:
        why = str(error)
    try:
        return _run("header_only", LIMIT_S, path, account, received_at, why, unreadable)
    except _BeatenError as error:
        raise ParserDiedError(f"{why}; its header: {error}") from error


def _run(name: str, limit_s: float, path: Path, *arguments: Any) -> Request:
    """Run a function of `parser` in a process of its own, and return its result."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="parser-", ignore_cleanup_errors=True) as directory,
            child_process.run(_answer, name, Path(directory), path, *arguments, limit_s=limit_s) as (
                answer,
                child,
                late,
            ),
        ):
            return _answered(answer, child, late, path, limit_s)
    except fork_server.ForkServerDiedError as error:
        raise ProcessStoppedError("the fork server died") from error


def _answered(
    answer: Connection, child: ForkServerProcess, late: threading.Event, path: Path, limit_s: float
) -> Request:
    """Return the request that the process sends."""
    try:
        failed = json.loads(child_process.received(answer, _STATUS_BYTES))
        if failed:
            raise OSError(*failed)
        return loads(child_process.received(answer, MAX_BYTES), path)
    except EOFError as error:
        code = fork_server.exit_code(child)
        if late.is_set():
            raise _BeatenError(f"parser stopped after {limit_s:.0f} s") from error
        if code in child_process.STOPPED:
            raise ProcessStoppedError(f"the parser was stopped (exit code {code})") from error
        raise _BeatenError(f"parser ended with exit code {code}") from error
    # A process that was taken over may say anything.
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _BeatenError("parser gave no request") from error


def _answer(say: Connection, name: str, directory: Path, *arguments: Any) -> None:
    """Parse the mail in the child process, and send the request, or the error of the disk, to the parent.

    Both are JSON. Standard error is discarded, because a printed exception may quote the mail.
    """
    from poller.parsing import parser  # noqa: PLC0415  the daemon itself never needs its 4 MB of libraries

    confinement.close_all_but(say.fileno())
    os.environ.clear()
    tempfile.tempdir = str(directory)
    confinement.limit(CPU_S)
    confinement.confine(directory, FILE_BYTES, readable=[arguments[0]])
    try:
        request = getattr(parser, name)(*arguments)
    except OSError as error:  # the disk's fault, not the mail's
        say.send_bytes(json.dumps([error.errno, error.strerror]).encode())
        return
    content = dumps(request)
    say.send_bytes(b"[]")
    say.send_bytes(content)


def dumps(request: Request) -> bytes:
    """Return the request as JSON in ASCII."""
    plain = {name: getattr(request, name) for name in _AS_THEY_ARE}
    people = {name: asdict(getattr(request, name)) for name in ("sender", "author")}
    return json.dumps(
        plain
        | people
        | {
            "original_senders": [asdict(each) for each in request.original_senders],
            "sent_at": request.sent_at and request.sent_at.isoformat(),
            "received_at": request.received_at.isoformat(),
            "attachments": [_attachment_json(each) for each in request.attachments],
        }
    ).encode()


def loads(answer: bytes, path: Path) -> Request:
    """Return the request from its JSON. The bytes of its attachments lie in the file at `path`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError: it is not as `dumps` writes it.
    """
    found = json.loads(answer)
    return Request(
        reference=_line(found["reference"]),
        message_id=_line(found["message_id"]),
        subject=_line(found["subject"]),
        in_reply_to=_lines(found["in_reply_to"]),
        references=_lines(found["references"]),
        defects=_lines(found["defects"]),
        links=tuple(map(_link, found["links"])),
        text=_text(found["text"]),
        newest=_text(found["newest"]),
        headers=tuple((_line(name), _line(value)) for name, value in found["headers"]),
        sender=_address(found["sender"]),
        author=_address(found["author"]),
        original_senders=tuple(map(_address, found["original_senders"])),
        sent_at=None if found["sent_at"] is None else _moment(found["sent_at"]),
        received_at=_moment(found["received_at"]),
        attachments=tuple(_attachment(each, path) for each in found["attachments"]),
    )


def _attachment_json(attachment: Attachment) -> dict[str, Any]:
    content = attachment.content
    if not isinstance(content, Encoded):
        raise TypeError("the parser leaves every attachment in the spool file")
    plain = {name: getattr(attachment, name) for name in ("filename", "content_type", "size_bytes", "fingerprint")}
    return (
        plain
        | {name: getattr(attachment, name) for name in _FLAGS}
        | {"kind": str(attachment.kind), "side": attachment.side, "content": list(_layers_json(content))}
    )


def _layers_json(content: Encoded) -> Iterable[dict[str, Any]]:
    """Yield the content, and what encloses it, up to what lies in the spool file."""
    layer: object = content
    while isinstance(layer, Encoded):
        pieces = [
            base64.b64encode(each).decode() if isinstance(each, bytes) else [each.offset, each.length]
            for each in layer.pieces
        ]
        yield {"pieces": pieces, "encoding": layer.encoding}
        layer = layer.source


def _attachment(found: dict[str, Any], path: Path) -> Attachment:
    filename = _line(found["filename"])
    if "/" in filename or not filename:
        raise ValueError("a file name has no directory")
    return Attachment(
        filename=filename,
        content_type=_line(found["content_type"]),
        size_bytes=_count(found["size_bytes"]),
        kind=Kind(found["kind"]),
        content=_content(found["content"], path),
        fingerprint=_line(found["fingerprint"]),
        side=_path(found["side"]),
        **{name: _flag(found[name]) for name in _FLAGS},
    )


def _content(layers: list[dict[str, Any]], path: Path) -> Encoded:
    if not 0 < len(layers) <= _DEPTH:
        raise ValueError("no content, or too deep")
    source: Path | Encoded = path
    for layer in reversed(layers):
        source = Encoded(source, tuple(map(_piece, layer["pieces"])), _line(layer["encoding"]))
    if not isinstance(source, Encoded):
        raise TypeError("no content")
    return source


def _piece(found: str | list[int]) -> Span | bytes:
    if isinstance(found, str):
        return base64.b64decode(found, validate=True)
    offset, length = found
    return Span(_count(offset), _count(length))


def _address(found: dict[str, Any]) -> Address:
    return Address(_line(found["display_name"]), _line(found["addr_spec"]))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError("no text")
    return found


def _line(found: object) -> str:
    text = _text(found)
    if one_line(text, len(text) + 1) != text:
        raise ValueError("not one line")
    return text


def _lines(found: list[object]) -> tuple[str, ...]:
    return tuple(map(_line, found))


def _link(found: object) -> str:
    """Return a URL as it stands: one whose accents are letters of their own leads nowhere when they are composed."""
    url = _text(found)
    if not url.startswith("https://") or not url.isprintable() or " " in url:
        raise ValueError("no link")
    return url


def _count(found: object) -> int:
    if type(found) is not int or not 0 <= found <= _BYTES_MAX:
        raise ValueError("no number of bytes")
    return found


def _path(found: object) -> str:
    """Return a relative path that leads nowhere else, or ""."""
    path = _line(found)
    if path and (not {"", ".", ".."}.isdisjoint(path.split("/")) or "\\" in path):
        raise ValueError("no safe path")
    return path


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise TypeError("no flag")
    return found


def _moment(found: object) -> datetime:
    moment = datetime.fromisoformat(_text(found))
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment
