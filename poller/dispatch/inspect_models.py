"""Add a picture of each stored file, and the facts of each 3D model.

Nothing here stops a request: a file without a picture is one that says why.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.child_process import ProcessStoppedError
from poller.dispatch.upload import store_picture
from poller.inspection import formats, process
from poller.model import Category, ModelFacts, ModelIssue, NoPicture, Preview
from poller.workflow.errors import MessageUnavailableError, StepFailedError
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from poller.dispatch.job import StepContext
    from poller.inspection.process import Inspected
    from poller.model import DispatchResult
    from poller.workflow.retry import Attempt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

INTRODUCED = "inspect_models"  # recorded, see `Journal.introduced`
MAX_FILES = 50  # of a mail that are looked at
LIMIT_S = 240.0  # for all files of a mail; the pictures of those that are left then stay away
TRIES = 3  # after which the request goes on without pictures, as on a machine whose disk stays full


@dataclass(frozen=True, slots=True)
class Previews:
    """The previews of a request's files, as they are recorded."""

    previews: tuple[Preview, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the recorded form."""
        return {"previews": [asdict(preview) for preview in self.previews]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read the recorded form."""
        return cls(tuple(map(_preview, found["previews"])))


def _preview(found: Mapping[str, Any]) -> Preview:
    reason, facts = found["no_picture"], found["facts"]
    return Preview(
        found["number"],
        found["member"],
        _facts(facts) if facts else None,
        found["url"],
        NoPicture(reason) if reason else None,
    )


def _facts(found: Mapping[str, Any]) -> ModelFacts:
    width, height, depth = found["size"] or (0.0, 0.0, 0.0)
    return ModelFacts(
        **dict(found)
        | {
            "size": (width, height, depth) if found["size"] else None,
            "textures": tuple((width, height) for width, height in found["textures"]),
            "issues": tuple(map(ModelIssue, found["issues"])),
            "missing": tuple(found["missing"]),
        }
    )


def inspect_models(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Add the previews of the stored files to the result. Whatever happens, the request goes on.

    Raises:
        StepDeferredError: other messages' files are being inspected, or the mailbox is out of reach.
        MessageGoneError: the message was taken away.
    """
    is_modelling = done.classification.category is Category.MODELISATION
    if not is_modelling or not done.uploads or not job.journal.introduced(INTRODUCED):
        return done

    def act(attempt: Attempt) -> Previews:
        if not job.settings.models.enabled:
            return Previews(())
        try:
            # The others have their tickets, and leave the workers to mails that have none yet.
            with job.inspection_turns.turn(job.journal.reference):
                return Previews(tuple(_inspected(job, done)))
        except (OSError, ProcessStoppedError) as error:
            if attempt.failures + 1 < TRIES:
                raise MessageUnavailableError(error) from error
            failed = [
                number for number, _ in done.uploads if formats.is_inspected(job.message.request.attachments[number])
            ]
            return Previews(tuple(Preview(number, no_picture=NoPicture.FAILED) for number in failed))

    try:
        found = job.journal.step(StepName.INSPECT_MODELS, act, returns=Previews)
    except StepFailedError:  # it is logged, and the ticket exists
        return done
    return replace(done, previews=found.previews)


def _inspected(job: StepContext, done: DispatchResult) -> list[Preview]:
    """Look into each file, and store its pictures.

    Raises:
        OSError: the spool file cannot be read, or the disk is full.
        ProcessStoppedError: the process was stopped from outside.
    """
    attachments = job.message.request.attachments
    ends_at = time.monotonic() + LIMIT_S
    previews = []
    for number, url in done.uploads[:MAX_FILES]:
        if formats.shows_itself(attachments[number]):
            previews.append(Preview(number, url=url))
            continue
        if not formats.is_inspected(attachments[number]):
            continue
        if time.monotonic() > ends_at:
            previews.append(Preview(number, no_picture=NoPicture.TOO_MUCH))
            continue
        found = process.inspect(attachments, number, f3d=job.settings.models.f3d)
        previews += [_stored(job, number, place, each) for place, each in enumerate(found)]
    return previews


def _stored(job: StepContext, number: int, place: int, found: Inspected) -> Preview:
    """Store a picture, and return the preview with its URL."""
    preview = Preview(number, found.member, found.facts, no_picture=found.no_picture)
    if not found.picture:
        return preview
    try:
        url = store_picture(job, number, place, found.picture, found.media_type)
    except (ServiceError, ConfigurationError) as error:
        # The files themselves are stored: a picture is no reason to wait.
        log.warning("preview_not_stored", ref=job.journal.reference, error=str(error))
        return replace(preview, no_picture=NoPicture.FAILED)
    return replace(preview, url=url)
