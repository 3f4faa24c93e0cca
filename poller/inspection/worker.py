"""Look into one file, in a process that has given up everything else.

What is found is sent piece by piece. So a file on which a library dies still has the facts that were found before.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import zipfile
import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from poller import confinement
from poller.formats.table import NAMED_MODELS, suffix_of_name
from poller.inspection import formats
from poller.inspection.side_files import SideFiles, TooMuchError, files_of, of_archive, read_all
from poller.model import ModelFacts, ModelIssue, NoPicture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from poller.model import Attachment

CPU_S: Final = 30
FILE_BYTES: Final = 10_000_000
_MAX_STREAMS: Final = 200
PNG, JPEG = "image/png", "image/jpeg"
_SIZE: Final = (800, 600)
# What is raised about a picture that is damaged or needs a password. It says nothing of the rest of the file.
_DAMAGED: Final = (
    *(OSError, ValueError, IndexError, KeyError, EOFError, RuntimeError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)


def run(say: Connection, attachments: Sequence[Attachment], number: int, member: str, directory: Path) -> None:
    """Look into an attachment, or into a member of an archive, and tell the parent what there is.

    Each message to the parent is JSON: "members" of an archive, "failed" if the spool file cannot be read, or "facts",
    "no_picture" and "stage"; after one with a "media_type" comes the picture. What a library raises ends the process.
    """
    confinement.close_all_but(say.fileno())
    os.environ.clear()
    confinement.limit(CPU_S)
    try:
        file = attachments[number]
        with file.content.open() as stream:
            content = read_all(stream)
        # Streams of the others are opened now: afterwards, no file can be.
        sources = {
            each.side or each.filename: each.content.open()
            for at, each in enumerate(attachments[:_MAX_STREAMS])
            if at != number and not each.refused
        }
    except OSError as error:  # the disk's fault, not the file's
        _send(say, failed=[error.errno, error.strerror])
        return
    except TooMuchError:
        _send(say, stage="done", no_picture=NoPicture.TOO_MUCH)
        return
    try:
        folder = file.side.rpartition("/")[0]
        sides = SideFiles(
            {name: lambda stream=stream: read_all(stream) for name, stream in sources.items()},  # type: ignore[misc]
            f"{folder}/" if folder else "",
        )
        _look(say, content, file, sides, member, directory)
    except (MemoryError, TooMuchError):
        _send(say, stage="too much")
    except ImportError:  # a library is broken, and the file is not at fault
        _send(say, stage="done", no_picture=NoPicture.FAILED)


def _look(say: Connection, content: bytes, file: Attachment, sides: SideFiles, member: str, directory: Path) -> None:
    suffix = formats.format_of(file.filename, file.content_type, content)
    if suffix in formats.ARCHIVES:
        archive = zipfile.ZipFile(io.BytesIO(content))
        if not member:
            confinement.confine(directory, FILE_BYTES)
            _send(say, members=_models(archive))
            return
        folder = member.rpartition("/")[0]
        sides = SideFiles(of_archive(archive), f"{folder}/" if folder else "")
        content = sides.sources[member.replace("\\", "/")]()  # as it is: a model may name it in other ways
        suffix = formats.format_of(member, "", content)
    if suffix in formats.USD:
        from poller.inspection.layers import write_layers  # noqa: PLC0415 - for these formats alone

        layers, sides = write_layers(content, suffix, sides, directory)
    else:
        layers = {}
    confinement.confine(directory, FILE_BYTES)
    if suffix in formats.PHOTOS | formats.WEB | formats.PAGES:
        _page(say, content, suffix)
    elif suffix in formats.READ:
        _model(say, content, suffix, sides, layers)
    else:
        _closed(say, content, suffix)


def _models(archive: zipfile.ZipFile) -> list[str]:
    """Return the paths of the largest models in an archive, in its order."""
    found = [
        each
        for each in files_of(archive)
        if suffix_of_name(each.filename) in (NAMED_MODELS | formats.READ) - formats.MATERIALS
    ]
    largest = sorted(found, key=lambda each: (suffix_of_name(each.filename) not in formats.READ, -each.file_size))
    return [each.filename for each in found if each in largest[: formats.MAX_MEMBERS]]


def _page(say: Connection, content: bytes, suffix: str) -> None:
    from poller.inspection.pages import NoImageError, to_jpeg  # noqa: PLC0415 - as every library, after the limits

    try:
        picture = to_jpeg(content, suffix)
    except NoImageError:
        _send(say, stage="done", no_picture=NoPicture.UNREADABLE)
        return
    _send(say, stage="done", picture=picture, media_type=JPEG)


def _closed(say: Connection, content: bytes, suffix: str) -> None:
    """Tell the picture that a file carries, where nothing here reads the format."""
    picture = _preview(content) if suffix in formats.EMBEDDED else None
    facts = ModelFacts() if suffix in formats.MODELS else None
    _send(say, facts, stage="done", picture=picture, media_type=PNG, no_picture=NoPicture.FORMAT)


def _preview(content: bytes) -> bytes | None:
    from poller.inspection.embedded import preview  # noqa: PLC0415

    try:
        return preview(content, _SIZE)
    except _DAMAGED:
        return None


def _leave_out(suffix: str) -> None:
    """Keep trimesh from importing libraries that a format does not need: they take half of a small file's time."""
    needed = {"networkx"} if suffix == "3mf" else {"cascadio"} if suffix in formats.CAD else set()
    for name in {"networkx", "cascadio"} - needed:
        sys.modules[name] = None  # type: ignore[assignment]


def _model(say: Connection, content: bytes, suffix: str, sides: SideFiles, layers: dict[str, Path]) -> None:
    _leave_out(suffix)
    from poller.inspection import facts as counted  # noqa: PLC0415
    from poller.inspection.loading import first_facts, load  # noqa: PLC0415
    from poller.inspection.renderer import NothingToDrawError, render  # noqa: PLC0415

    _send(say, ModelFacts(missing=tuple(sides.missing)), stage="reading")
    facts = first_facts(content, suffix, sides)
    if suffix == "3mf" and (picture := _preview(content)):
        _send(say, _with_missing(facts, sides), stage="reading", picture=picture, media_type=PNG)
    _send(say, _with_missing(facts, sides), stage="reading")
    if ModelIssue.MESHOPT in facts.issues:
        _send(say, _with_missing(facts, sides), stage="done", no_picture=NoPicture.FORMAT)
        return
    parts, facts = load(content, suffix, sides, layers, facts)
    facts = _with_missing(counted.of_parts(facts, suffix, parts), sides)
    _send(say, facts, stage="drawing")
    try:
        picture = render(parts)
    except NothingToDrawError:
        _send(say, facts, stage="done", no_picture=NoPicture.EMPTY)
        return
    _send(say, facts, stage="done", picture=picture, media_type=PNG)


def _with_missing(facts: ModelFacts, sides: SideFiles) -> ModelFacts:
    if not sides.missing:
        return facts
    issues = tuple(dict.fromkeys((ModelIssue.MISSING_FILES, *facts.issues)))
    return replace(facts, issues=issues, missing=tuple(sides.missing))


def _send(
    say: Connection, facts: ModelFacts | None = None, *, picture: bytes | None = None, media_type: str = "", **rest: Any
) -> None:
    message = rest if facts is None else rest | {"facts": asdict(facts)}
    if picture is not None:
        message = message | {"media_type": media_type}
    say.send_bytes(json.dumps(message, default=float).encode())
    if picture is not None:
        say.send_bytes(picture)
