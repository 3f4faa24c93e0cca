"""Look into the files of a mail in processes of their own, one file at a time.

A file comes from anybody, and the libraries that read it are large. So the daemon loads none of them, takes nothing but
JSON and picture bytes from the process, and checks both.
"""

from __future__ import annotations

import json
import math
import signal
import tempfile
import threading
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poller import child_process, fork_server
from poller.child_process import ProcessStoppedError
from poller.formats.table import suffix_of_name
from poller.inspection import formats
from poller.inspection.f3d import client
from poller.model import ModelFacts, ModelIssue, NoPicture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from poller.model import Attachment

LIMIT_S: Final = 60.0  # of the clock, for a file
_MAX_MESSAGE_BYTES: Final = 256 * 1024
_MAX_PICTURE_BYTES: Final = 8 << 20
_MAX_COUNT: Final = 10**12  # a file may claim any number
_MEDIA_TYPES: Final = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_BEATEN: Final = {-signal.SIGXCPU, -signal.SIGKILL}
_PACKAGES: Final = ("numpy", "PIL", "trimesh")

_turn = threading.Lock()  # one file at a time: the unit's memory is for one


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found in a file, or in one 3D file of an archive."""

    member: str = ""  # path in the archive, untrusted; "" for the attachment itself
    facts: ModelFacts | None = None  # None for a photo or a document, and without the extra `models`
    picture: bytes | None = None  # PNG of 800 x 600 for a model, JPEG of at most 1,600 pixels a side for others
    media_type: str = ""  # "image/png" or "image/jpeg"; "" without a picture
    no_picture: NoPicture | None = None  # why there is none


def is_installed() -> bool:
    """Return whether the extra `models` is installed. Nothing of it is imported."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def inspect(
    attachments: Sequence[Attachment], number: int, *, limit_s: float = LIMIT_S, f3d: Path | None = None
) -> tuple[Inspected, ...]:
    """Return what attachment `number` holds and a picture of it: one value, or one for each model of an archive.

    The tuple is empty where there is nothing to look at (`formats.is_inspected`), as in an archive without models. Of
    an archive the three largest models are looked at. `attachments` are those of the mail, among which a model's side
    files are looked for. `f3d` is the socket of the f3d that draws what has no picture here, None without it. Whatever
    the file does to the libraries is a value: facts with `ModelIssue.UNREADABLE`, or why there is no picture.

    Raises:
        OSError: the spool file cannot be read, or the disk is full.
        ProcessStoppedError: the process was stopped from outside.
    """
    if not formats.is_inspected(attachments[number]):
        return ()
    if not is_installed():
        return (Inspected(no_picture=NoPicture.OFF),)
    members, found = _run(attachments, number, "", limit_s)
    if members is None:
        return (_by_f3d(attachments, number, found, f3d),)
    return tuple(_by_f3d(attachments, number, _run(attachments, number, member, limit_s)[1], f3d) for member in members)


def _by_f3d(attachments: Sequence[Attachment], number: int, found: Inspected, f3d: Path | None) -> Inspected:
    """Return what was found, with the picture that f3d makes where there is none."""
    model = attachments[number]
    suffix = suffix_of_name(found.member or model.filename)
    if f3d is None or found.picture is not None or suffix not in formats.F3D | formats.READ - formats.USD:
        return found
    beside = {} if found.member else {file.side: file for file in attachments if file.side and not file.refused}
    with _turn:
        picture = client.draw(f3d, {model.side or model.filename: model} | beside, found.member)
    if picture is not None:
        return replace(found, picture=picture, media_type="image/png", no_picture=None)
    return replace(found, no_picture=NoPicture.FAILED) if found.no_picture is NoPicture.FORMAT else found


def _run(
    attachments: Sequence[Attachment], number: int, member: str, limit_s: float
) -> tuple[tuple[str, ...] | None, Inspected]:
    """Run the worker on one file. Return the members if it is an archive, else None, and what was found."""
    try:
        with (
            _turn,
            tempfile.TemporaryDirectory(prefix="inspection-", ignore_cleanup_errors=True) as directory,
            child_process.run(_work, attachments, number, member, Path(directory), limit_s=limit_s) as (
                answer,
                child,
                _,
            ),
        ):
            return _listen(answer, child, Inspected(member))
    except fork_server.ForkServerDiedError as error:
        raise ProcessStoppedError("the fork server died") from error


def _work(*arguments: Any) -> None:
    from poller.inspection import worker  # noqa: PLC0415 - the daemon itself never needs it

    worker.run(*arguments)


def _listen(answer: Connection, child: Any, found: Inspected) -> tuple[tuple[str, ...] | None, Inspected]:
    """Take what the worker sends, until it is done or ends."""
    stage = "reading"
    while stage not in {"done", "too much"}:
        try:
            message = json.loads(child_process.received(answer, _MAX_MESSAGE_BYTES))
            if "failed" in message:
                raise OSError(*message["failed"])
            if "members" in message:
                return tuple(str(name) for name in message["members"][: formats.MAX_MEMBERS]), found
            stage = str(message["stage"])
            found = _taken(found, message, answer)
        except EOFError as error:
            code = fork_server.exit_code(child)
            if code in child_process.STOPPED:
                raise ProcessStoppedError(f"the inspection was stopped (exit code {code})") from error
            return None, _ended(found, stage, beaten=code in _BEATEN)
        # A process that was taken over may say anything.
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None, _ended(found, stage, beaten=False)
    return None, _ended(found, stage, beaten=True) if stage == "too much" else found


def _taken(found: Inspected, message: dict[str, Any], answer: Connection) -> Inspected:
    """Return what was found, with what a message adds.

    Raises:
        ValueError, TypeError, KeyError: the message is not as the worker writes it.
    """
    if message.get("facts") is not None:
        found = replace(found, facts=_facts(message["facts"]))
    if message.get("media_type"):
        picture = child_process.received(answer, _MAX_PICTURE_BYTES)
        if not picture.startswith(_MEDIA_TYPES[message["media_type"]]):
            raise ValueError("not a picture")
        return replace(found, picture=picture, media_type=message["media_type"], no_picture=None)
    if message.get("no_picture") and found.picture is None:
        return replace(found, no_picture=NoPicture(message["no_picture"]))
    return found


def _ended(found: Inspected, stage: str, *, beaten: bool) -> Inspected:
    """Return what was found by a process that did not come to its end."""
    if found.facts is not None and stage == "reading":
        facts = found.facts
        if not facts.missing:  # what a damaged file says of itself is worth nothing
            facts = replace(facts, triangles=None, vertices=None)
        if not beaten:
            facts = replace(facts, issues=tuple(dict.fromkeys((ModelIssue.UNREADABLE, *facts.issues))))
        found = replace(found, facts=facts)
    if found.picture is not None:
        return found
    why = NoPicture.TOO_MUCH if beaten else NoPicture.UNREADABLE if stage == "reading" else NoPicture.FAILED
    return replace(found, no_picture=why)


def _facts(said: dict[str, Any]) -> ModelFacts:
    """Return facts from JSON, each checked."""

    def count(key: str) -> int | None:
        value = said[key]
        return None if value is None else min(max(0, int(value)), _MAX_COUNT)

    size = said["size"]
    return ModelFacts(
        triangles=count("triangles"),
        vertices=count("vertices"),
        size=_size(size) if size is not None else None,
        unit=str(said["unit"])[:4],
        materials=count("materials"),
        textures=tuple((int(width), int(height)) for width, height in said["textures"][:20]),
        animations=count("animations"),
        parts=count("parts"),
        program=str(said["program"])[:80],
        issues=tuple(dict.fromkeys(ModelIssue(issue) for issue in said["issues"])),
        missing=tuple(str(name)[:150] for name in said["missing"][:20]),
    )


def _size(size: list[Any]) -> tuple[float, float, float] | None:
    width, height, depth = (float(length) for length in size)
    return (width, height, depth) if all(map(math.isfinite, (width, height, depth))) else None
