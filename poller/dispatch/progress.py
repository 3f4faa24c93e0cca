"""Keep what the steps of a message have come to, and read it from the journal of one that is not finished."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from poller.model import Category, Link, Outcome, StoredFile
from poller.workflow.corrections import category_of, correction_of, message_of
from poller.workflow.results import Participants, Received, WorkResult, opinion_of
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from poller.model import DispatchResult
    from poller.workflow.status import Entry, MessageRecord


@dataclass(slots=True)
class PipelineProgress:
    """The progress of one message: later answers need its ticket even if the message itself fails."""

    people: Participants = field(default_factory=Participants)
    received_at: datetime | None = None  # None before the message is received
    support_files: str = "none"  # as in `Received`
    done: DispatchResult | None = None  # None before the first step of its category
    thread: str = ""  # as in `WorkResult`, once it is known
    was: Outcome | None = None  # likewise
    answers: str = ""  # reference of the message that opened the thread which this one may answer; "" for none

    def received(self, received: Received) -> None:
        """Take over what the first step found."""
        self.people, self.received_at = received.people, received.received_at
        self.support_files = received.support_files

    def result(self, outcome: Outcome, *, step: str = "", reason: str = "") -> WorkResult:
        """Return the result of the message if it stops here: what was created for it, nothing of its content."""
        result, done = WorkResult(outcome, step=step, reason=reason), self.done
        if done is None:
            return result
        return replace(
            result,
            thread=self.thread,
            was=self.was,
            people=self.people,
            category=done.classification.category,
            confidence=done.classification.confidence,
            decided_by=done.classification.decided_by,
            needs_review=done.classification.needs_review,
            opinion=done.classification.opinion,
            upload_decisions=done.upload_decisions,
            files=tuple(url for _, url in done.uploads),
            all_files=done.all_files,
            attached=done.attached,
            contact_id=done.contact_id,
            ticket=done.ticket,
            note_id=done.note_id,
            subtask=done.subtask,
            skipped=done.skipped,
            previews=done.previews,
        )


def created_so_far(workflow_id: str, journal: Iterable[Entry]) -> WorkResult:
    """Return what the steps of a message or of a correction have come to, as a waiting result.

    Private files of HubSpot are left out: whatever needs them looks for them. Of an answer to a ticket there is nothing
    but the people, as the ticket is another message's.
    """
    found = WorkResult(Outcome.WAITING)
    for entry in journal:
        value = entry.content.get("ok")
        if value is not None and (take := _TAKEN.get(entry.step)):
            found = take(found, value, workflow_id)
    return found


def closed(message: MessageRecord, journal: Iterable[Entry], outcome: Outcome) -> WorkResult:
    """Return the result of a waiting message that is given this outcome, with what was created for it."""
    result = message.status.result
    created = result if result.category else created_so_far(message.reference, journal)
    return replace(created, outcome=outcome, step=result.step, reason=result.reason, filed=result.filed)


def _received(found: WorkResult, value: Any, _: str) -> WorkResult:
    received = Received.from_json(value)
    return replace(found, people=received.people, upload_decisions=received.upload_decisions)


def _classified(found: WorkResult, value: Any, _: str) -> WorkResult:
    """Return the result of a request whose category was decided. What an answer had come to before does not count."""
    opinion = value.get("opinion")
    return WorkResult(
        Outcome.WAITING,
        people=found.people,
        upload_decisions=found.upload_decisions,
        category=Category(value["category"]),
        confidence=value["confidence"],
        decided_by=value["decided_by"],
        needs_review=value["needs_review"],
        opinion=opinion_of(opinion) if opinion else None,
    )


def _corrected(_: WorkResult, value: Any, workflow_id: str) -> WorkResult:
    """Return the result of a correction that begins with what its message had."""
    original, correction = WorkResult.from_json(value), correction_of(workflow_id)
    return replace(
        original,
        outcome=Outcome.WAITING,
        was=category_of(original),
        category=correction.category if correction else original.category,
        confidence=1.0,
        decided_by="person",
        needs_review=False,
        opinion=None,
    )


def _with_ticket(found: WorkResult, value: Any, workflow_id: str) -> WorkResult:
    return replace(found, ticket=Link(**value), thread=message_of(workflow_id))


# What the result has from each step, given the result before, what the step returned, and the id of the workflow.
_TAKEN: dict[str, Callable[[WorkResult, Any, str], WorkResult]] = {
    StepName.RECEIVE: _received,
    StepName.FIND_ORIGINAL: _corrected,
    StepName.CLASSIFY: _classified,
    StepName.UPLOAD_FILES: lambda found, url, _: replace(found, files=(*found.files, url)),
    StepName.ARCHIVE_FILES: lambda found, file, _: replace(found, all_files=StoredFile(**file)),
    StepName.FIND_OR_CREATE_CONTACT: lambda found, contact_id, _: replace(found, contact_id=contact_id),
    StepName.FIND_TICKET: _with_ticket,
    StepName.CREATE_TICKET: _with_ticket,
    # False: a person has deleted it.
    StepName.UPDATE_TICKET: lambda found, is_there, _: found if is_there else replace(found, ticket=None),
    StepName.CREATE_NOTE: lambda found, note_id, _: replace(found, note_id=note_id),
    StepName.CREATE_SUBTASK: lambda found, subtask, _: replace(found, subtask=Link(**subtask)),
}
