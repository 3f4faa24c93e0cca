"""Store a request's files: on R2 with a zip of them, or as private files of HubSpot."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from integrations.errors import ConfigurationError
from poller import escaping
from poller.dispatch.job import skip
from poller.dispatch.zip_stream import ZipStream
from poller.model import DispatchResult, StoredFile, UploadDecision
from poller.parsing import attachments, file_types
from poller.workflow.errors import StepFailedError
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from integrations.r2 import R2
    from poller.dispatch.job import StepContext
    from poller.model import Attachment, Request
    from poller.workflow.retry import Attempt


FILE_FACT = "file-secret"  # key of the fact that holds the secret of the file keys
ONE_DIRECTORY = "one directory"  # recorded: the change since which the files of a request lie in one directory
IN_FOLDERS = "in folders"  # recorded: that since which a file lies in the folder that a model names
_ALL_FILES = "fichiers.zip"
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
_FOLDER = "/figurative-poller"  # of HubSpot's file manager


def to_store(job: StepContext) -> list[int]:
    """Return the numbers of the attachments that are files, in the mail's order."""
    return [number for number, fate in enumerate(job.upload_decisions) if fate is UploadDecision.FILE]


def upload_files(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Store the files on R2, with one journal entry and one PUT for each, then a zip of them if there are several."""
    numbers = to_store(job)
    if not numbers:
        return done
    together = job.journal.introduced(ONE_DIRECTORY)
    in_folders = together and job.journal.introduced(IN_FOLDERS)
    r2 = job.services.r2
    uploads = []
    for number in numbers:

        def act(_: Attempt, number: int = number) -> str | None:
            if r2 is None:
                return None
            request = job.message.request
            file = stored_files(request, in_folders=in_folders)[number] if together else request.attachments[number]
            name = file.filename if together else file_types.opens_as(file)
            key = stored_key(request, name, _secret(job)) if together else file_key(request, number, _secret(job))
            # The key is the same at each try, and R2 refuses to write it twice: no need to look first.
            with file.content.open() as body:
                as_file = escaping.content_disposition(name.rpartition("/")[2])
                return r2.upload(key, body, file.size_bytes, file.content_type, as_file)

        url = job.journal.step(StepName.UPLOAD_FILES, act)
        if url is None:
            return skip(done, StepName.UPLOAD_FILES)
        uploads.append((number, url))
    stored = replace(done, uploads=tuple(uploads))
    return (
        replace(stored, all_files=_all_files(job, numbers, in_folders=in_folders))
        if together and len(numbers) > 1
        else stored
    )


def store_picture(job: StepContext, number: int, place: int, picture: bytes, media_type: str) -> str:
    """Store a picture of a file beside it, and return its URL. `place` counts the pictures of one file, from 0.

    Raises:
        ServiceError: R2 does not take it.
        ConfigurationError: R2 refuses our keys.
    """
    r2 = job.services.r2
    if r2 is None:
        raise ConfigurationError("R2 has no credentials")
    request = job.message.request
    files = stored_files(request)
    suffix = f".apercu{f'-{place + 1}' if place else ''}.{_PICTURES[media_type]}"
    name = f"{files[number].filename}{suffix}"
    if name != escaping.file_path(name):  # it is too long, and would be cut as another is
        name = f"{number + 1}{suffix}"
    key = stored_key(request, _beside(files, name), _secret(job))
    # We made it: unlike a file of the customer, a browser may show it.
    return r2.upload(key, BytesIO(picture), len(picture), media_type, "inline")


def _beside(files: tuple[Attachment, ...], name: str) -> str:
    """Return the name of something that we made of the files: one that none of them has."""
    return attachments.named([*files, replace(files[0], filename=name)])[-1].filename


def _all_files(job: StepContext, numbers: list[int], *, in_folders: bool) -> StoredFile | None:
    """Store the zip of these attachments beside them. None if R2 does not take it: each file has its own link."""
    r2 = job.services.r2

    def act(_: Attempt) -> dict[str, Any] | None:
        files = stored_files(job.message.request, in_folders=in_folders)
        return _store_zip(r2, job.message.request, files, numbers, _secret(job)) if r2 else None

    with suppress(StepFailedError):
        if stored := job.journal.step(StepName.ARCHIVE_FILES, act):
            return StoredFile(**stored)
    return None


def _store_zip(
    r2: R2, request: Request, files: tuple[Attachment, ...], numbers: list[int], secret: str
) -> dict[str, Any]:
    name = _beside(files, _ALL_FILES)
    body = ZipStream([files[number] for number in numbers])
    url = r2.upload(
        stored_key(request, name, secret),
        cast("BinaryIO", body),
        body.most_bytes,
        "application/zip",
        escaping.content_disposition(name),
    )
    return {"filename": name, "url": url, "size_bytes": body.size_bytes}


def attach_files(job: StepContext, done: DispatchResult, *, look: bool = False) -> DispatchResult:
    """Store the files as private files of HubSpot, for a note to attach, with one journal entry for each.

    A file that HubSpot refuses stays in the mail. With `look`, files are searched for even where no try of this step
    may have stored them.
    """
    hubspot = job.services.hubspot
    attached = []
    for number in to_store(job):

        def act(attempt: Attempt, number: int = number) -> str | None:
            if hubspot is None or not done.contact_id:
                return None
            request = job.message.request
            folder, name, file = (
                f"{_FOLDER}/{request.reference}",
                _path_name(request, number),
                request.attachments[number],
            )
            if (look or attempt.doubts) and (found := hubspot.find_file(folder, name)):
                return found
            with file.content.open() as body:
                return hubspot.upload_file(folder, name, body, file.size_bytes, file.content_type)

        with suppress(StepFailedError):
            file_id = job.journal.step(StepName.ATTACH_FILES, act)
            if file_id is None:
                return skip(done, StepName.ATTACH_FILES)
            attached.append((number, file_id))
    return replace(done, attached=tuple(attached))


def _path_name(request: Request, number: int) -> str:
    """Return the name of a file in HubSpot, where a name is its own path and no other file of the request has it."""
    names = [escaping.key_name(file.filename) for file in stored_files(request, in_folders=False)]
    taken = [name.casefold() for name in names]
    name = names[number]
    if taken.count(name.casefold()) == 1:
        return name
    while name.casefold() in taken:  # another file may be named as one that is told apart by its number
        name = f"{number + 1}-{name}"
    return name


def with_file_names(request: Request, done: DispatchResult) -> DispatchResult:
    """Add the names and sizes of the files, which only the mail holds, to the result."""
    files = stored_files(request, in_folders=False)
    stored = [(files[number], url) for number, url in done.uploads]
    return replace(done, files=tuple(StoredFile(file.filename, url, file.size_bytes) for file, url in stored))


def stored_files(request: Request, *, in_folders: bool = True) -> tuple[Attachment, ...]:
    """Return all attachments, each under the name that it is stored by: its own, as far as that is safe and unique.

    Where a 3D file refers to the file, it is the path by which it does, without `in_folders` the file's name.
    Elsewhere, where the suffix is wrong, the right one is added.
    """

    def stored(file: Attachment) -> str:
        own = file.filename if file.side else escaping.file_name(file_types.opens_as(file))
        return file.side if file.side and in_folders else own

    return attachments.named(replace(file, filename=stored(file)) for file in request.attachments)


def stored_key(request: Request, name: str, secret: str) -> str:
    """Return the key of an object of a request: date, 128 bits that cannot be guessed, and the file's name or path.

    The key is the same at each try. All objects of a request lie below one directory under the customer's own names,
    so that what a model refers to resolves by URL.
    """
    digest = hmac.new(secret.encode(), request.reference.encode(), hashlib.sha256).hexdigest()[:32]
    return f"{request.received_at:%Y/%m/%d}/{digest}/{escaping.file_path(name) or escaping.file_name(name)}"


def file_key(request: Request, number: int, secret: str) -> str:
    """Return the key that an earlier release gave a file, for messages whose upload began under it.

    The key is the same at each try.
    """
    digest = hmac.new(secret.encode(), f"{request.reference}/{number}".encode(), hashlib.sha256).hexdigest()[:32]
    day = request.received_at.strftime("%Y/%m/%d")
    return f"{day}/{digest}/{escaping.key_name(file_types.opens_as(request.attachments[number]))}"


def _secret(job: StepContext) -> str:
    """Return the secret that keys are made with.

    It is not the service's own, which may be replaced between a PUT and its next try.
    """
    new = secrets.token_hex(16)
    return job.journal.store.remember(FILE_FACT, new)
