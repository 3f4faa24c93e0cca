"""What is done with a message, in which order, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from poller.job import Job, Message
from poller.journal import StepFailedError
from poller.replies import answer, find_thread
from poller.request import Category, Dispatched
from poller.steps import (
    classify,
    create_note,
    create_subtask,
    create_ticket,
    find_or_create_contact,
    receive,
    send_failure,
    send_notification,
    upload_files,
)

if TYPE_CHECKING:
    from pathlib import Path

    from poller.inbox import Source
    from poller.journal import Journal
    from poller.services import Services
    from poller.settings import Settings

STEPS = {
    Category.SUPPORT: (find_or_create_contact, create_ticket, send_notification),
    Category.MODELISATION: (
        upload_files,
        find_or_create_contact,
        create_ticket,
        create_note,
        create_subtask,
        send_notification,
    ),
}


class Pipeline:
    """The work on one message, from the first step to the label; `engine.Engine` calls it and keeps its memory."""

    def __init__(self, settings: Settings, services: Services, source: Source, spool: Path) -> None:
        """`spool` is a directory of our own."""
        self._settings, self._services, self._source, self._spool = settings, services, source, spool

    def clear(self) -> None:
        """Remove the mails that a process which died left on our disk."""
        for left in self._spool.glob("*.eml"):
            left.unlink()

    def __call__(self, journal: Journal) -> dict[str, Any]:
        """Do what is left to do for a message; returns its outcome and what was created, as JSON."""
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        message = Message(journal.reference, self._source, self._spool / f"{journal.reference}.eml")
        job = Job(journal, message, self._services, self._settings)
        try:
            return self._dispatch(job)
        except StepFailedError as failure:
            return self._give_up(job, failure)
        finally:
            message.discard()

    def _dispatch(self, job: Job) -> dict[str, Any]:
        received = receive(job)
        if received["ignored"]:
            self._label(job, "ignored")
            return {"outcome": "ignored", "reason": received["ignored"]}
        job = replace(job, files=tuple(received["files"]))
        thread = find_thread(job, received["forebears"])
        done = answer(job, thread) if thread else None
        root = thread.reference if thread and done else job.journal.reference
        if done is None:
            done = Dispatched(classify(job))
            for step in STEPS[done.classification.category]:
                done = step(job, done)
        if done.ticket and job.journal.memory:
            job.journal.memory.remember(received["key"], root)
        outcome = done.classification.category.lower()
        self._label(job, outcome)
        return {"outcome": outcome, "thread": root} | _summary(done)

    def _give_up(self, job: Job, failure: StepFailedError) -> dict[str, Any]:
        """Tell the admin, and file the message where a person finds it."""
        # A message that could not be read is not read once more to tell of it.
        with suppress(StepFailedError):  # The log has it; the label tells the rest.
            send_failure(job, failure, None if failure.step == "receive" else job.message)
        with suppress(StepFailedError):  # It stays in the inbox then, and is tried again at the next look.
            self._label(job, "failed")
        return {"outcome": "failed", "step": failure.step, "reason": failure.reason}

    def _label(self, job: Job, outcome: str) -> None:
        job.journal.step("label", lambda _: self._source.label(job.journal.reference, outcome), "imap")


def _summary(done: Dispatched) -> dict[str, Any]:
    """What was made of a message: ids, URLs and numbers, nothing of its content."""
    return {
        "confidence": done.classification.confidence,
        "decided_by": done.classification.decided_by,
        "needs_review": done.classification.needs_review,
        "files": [url for _, url in done.uploads],
        "contact_id": done.contact_id,
        "ticket": asdict(done.ticket) if done.ticket else None,
        "note_id": done.note_id,
        "subtask": asdict(done.subtask) if done.subtask else None,
        "skipped": list(done.skipped),
    }
