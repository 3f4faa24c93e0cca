"""What is done with a message, in which order, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from poller.job import Job, Message
from poller.journal import MessageGoneError, StepFailedError
from poller.replies import answer, find_threads, remember
from poller.request import Category, Fate
from poller.steps import (
    begun,
    classify,
    create_note,
    create_subtask,
    create_ticket,
    find_or_create_contact,
    receive,
    send_failure,
    send_notification,
    upload_files,
    wait_turn,
)

if TYPE_CHECKING:
    from pathlib import Path

    from poller.inbox import Source
    from poller.journal import Journal
    from poller.request import Dispatched
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
        message = Message(
            journal.reference, self._source, self._spool / f"{journal.reference}.eml", self._settings.imap
        )
        job = Job(journal, message, self._services, self._settings)
        made: dict[str, Any] = {}
        try:
            return self._dispatch(job, made)
        except StepFailedError as failure:
            return self._give_up(job, failure) | made
        except MessageGoneError:
            return {"outcome": "gone"} | made
        finally:
            message.discard()

    def _dispatch(self, job: Job, made: dict[str, Any]) -> dict[str, Any]:
        """`made` is filled on the way: an answer finds the ticket of a message that does not come to its end, too."""
        received = receive(job)
        ignored = received["ignored"]
        if ignored and not received["unless_answer"]:
            return self._ignore(job, ignored)
        threads = find_threads(job, received["forebears"])
        if ignored and not threads:
            return self._ignore(job, ignored)
        wait_turn(job, received)
        job = replace(job, fates=tuple(map(Fate, received["fates"])))
        root, people = job.journal.reference, received.get("people", {})
        if answered := answer(job, threads, received):
            thread, done = answered
            root = thread.reference
        elif ignored:  # somebody else than the ticket's contact quotes its Message-ID
            return self._ignore(job, ignored)
        else:
            done = begun(job, classify(job))
            for step in STEPS[done.classification.category]:
                done = step(job, done)
                made |= {"people": people} | _summary(done)
                if step is create_ticket and done.ticket:
                    remember(job, received["key"], root)
        outcome = done.classification.category.lower()
        self._label(job, outcome)
        return {"outcome": outcome, "thread": root, "people": people} | _summary(done)

    def _ignore(self, job: Job, reason: str) -> dict[str, Any]:
        self._label(job, "ignored")
        return {"outcome": "ignored", "reason": reason}

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
        "category": done.classification.category.lower(),
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
