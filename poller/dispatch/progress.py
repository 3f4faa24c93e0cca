"""Keep what the steps of a message have come to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poller.workflow.results import Participants, WorkResult

if TYPE_CHECKING:
    from datetime import datetime

    from poller.model import DispatchResult, Outcome
    from poller.workflow.results import Received


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
