"""Upload a request's files to R2."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from poller import escaping
from poller.dispatch.job import skip
from poller.model import DispatchResult, StoredFile, UploadDecision
from poller.parsing import file_types
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from poller.dispatch.job import StepContext
    from poller.model import Request
    from poller.workflow.retry import Attempt


FILE_FACT = "file-secret"  # key of the fact that holds the secret of the file keys


def upload_files(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Upload the 3D files and images to R2, with one journal entry and one PUT for each file."""
    r2 = job.services.r2
    uploads = []
    for number in (number for number, fate in enumerate(job.upload_decisions) if fate is UploadDecision.FILE):

        def act(_: Attempt, number: int = number) -> str | None:
            if r2 is None:
                return None
            attachment = job.message.request.attachments[number]
            # The key is the same at each try, and R2 refuses to write it twice: no need to look first.
            with attachment.content.open() as body:
                return r2.upload(
                    file_key(job.message.request, number, _secret(job)),
                    body,
                    attachment.size_bytes,
                    attachment.content_type,
                    escaping.content_disposition(file_types.opens_as(attachment)),
                )

        url = job.journal.step(StepName.UPLOAD_FILES, act)
        if url is None:
            return skip(done, StepName.UPLOAD_FILES)
        uploads.append((number, url))
    return replace(done, uploads=tuple(uploads))


def with_file_names(request: Request, done: DispatchResult) -> DispatchResult:
    """Add the names and sizes of the files, which only the mail holds, to the result."""
    stored = [(request.attachments[number], url) for number, url in done.uploads]
    return replace(
        done, files=tuple(StoredFile(file_types.opens_as(file), url, file.size_bytes) for file, url in stored)
    )


def file_key(request: Request, number: int, secret: str) -> str:
    """Return the key of a file on R2: date, 128 bits that cannot be guessed, and a name fit for a URL.

    The key is the same at each try.
    """
    digest = hmac.new(secret.encode(), f"{request.reference}/{number}".encode(), hashlib.sha256).hexdigest()[:32]
    day = request.received_at.strftime("%Y/%m/%d")
    return f"{day}/{digest}/{escaping.key_name(file_types.opens_as(request.attachments[number]))}"


def _secret(job: StepContext) -> str:
    """Return the secret that file keys are made with.

    It is not the service's own, which may be replaced between a PUT and its next try.
    """
    new = secrets.token_hex(16)
    return job.journal.store.remember(FILE_FACT, new)
