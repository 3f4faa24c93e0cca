"""What is done with a message, in which order, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from poller.dispatch import correction as dispatch_correction
from poller.dispatch.classify import begun, classify
from poller.dispatch.job import Job, Message
from poller.dispatch.notify import failure_detail, send_alert, send_failure, send_notification, send_receipt
from poller.dispatch.receive import receive, wait_turn
from poller.dispatch.reply import answer, find_threads, remember, send_answered
from poller.dispatch.subtask import create_subtask
from poller.dispatch.ticket import create_note, create_ticket, find_or_create_contact
from poller.dispatch.upload import upload_files
from poller.errors import MessageGoneError
from poller.model import Category, Fate
from poller.rendering.notification import DISPATCHED
from poller.rendering.receipt import failure_receipt, receipt
from poller.triage import canary_mark
from poller.workflow.corrections import correction_of, message_of
from poller.workflow.errors import MustWaitError, StepFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.dispatch.clients import Services
    from poller.mailbox.source import Source
    from poller.model import Dispatched, Receipt
    from poller.workflow.corrections import Correction
    from poller.workflow.journal import Journal
    from poller.workflow.retry import Attempt

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


@dataclass(slots=True)
class Reached:
    """How far a message has come: an answer finds the ticket of one that does not come to its end, too."""

    received: dict[str, Any] = field(default_factory=dict)  # see `steps.receive`
    done: Dispatched | None = None
    before: dict[str, str] = field(default_factory=dict)  # of a correction: `thread`, and `was` what it corrects

    def summary(self) -> dict[str, Any]:
        """Whose it is and what was made of it, as JSON; {} where nothing was begun."""
        if self.done is None:
            return {}
        return {"people": self.received.get("people", {})} | _summary(self.done) | self.before


class Pipeline:
    """The work on one message, from the first step to the label; `engine.Engine` calls it and keeps its memory."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        source: Source,
        spool: Path,
        trays: Mapping[Category, Source] | None = None,
    ) -> None:
        """`spool` is a directory of our own; `trays` is where messages lie that a person put under each category."""
        self._settings, self._services, self._source, self._spool = settings, services, source, spool
        self._trays = trays or {}

    def clear(self) -> None:
        """Remove the mails that a process which died left on our disk."""
        for left in self._spool.glob("*.eml"):
            left.unlink()

    def __call__(self, journal: Journal) -> dict[str, Any]:
        """Do what is left to do for a message; returns its outcome and what was created, as JSON."""
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        correction = correction_of(journal.reference)
        source = self._trays.get(correction.category, self._source) if correction else self._source
        path = self._spool / f"{journal.reference.replace('/', '-')}.eml"
        message = Message(message_of(journal.reference), source, path, self._settings.imap)
        job = Job(journal, message, self._services, self._settings)
        reached = Reached()
        try:
            return self._correct(job, correction, reached) if correction else self._dispatch(job, reached)
        except StepFailedError as failure:
            return self._give_up(job, failure, reached) | reached.summary()
        except MessageGoneError:
            return {"outcome": "gone"} | reached.summary()
        finally:
            message.discard()

    def _dispatch(self, job: Job, reached: Reached) -> dict[str, Any]:
        """`reached` is filled on the way."""
        received = reached.received = receive(job)
        ignored = received["ignored"]
        if ignored and not received["unless_answer"]:
            return self._ignore(job, ignored)
        threads = find_threads(job, received["forebears"])
        if ignored and not threads:
            return self._ignore(job, ignored)
        send_alert(job, received)
        wait_turn(job, received)
        job = replace(job, fates=tuple(map(Fate, received["fates"])))
        root = job.journal.reference
        if answered := answer(job, threads, received):
            thread, done = answered
            root = thread.reference
            done = send_answered(job, done, received)
        elif ignored:  # somebody else than the ticket's contact quotes its Message-ID
            return self._ignore(job, ignored)
        else:
            done = reached.done = begun(job, classify(job))
            for step in STEPS[done.classification.category]:
                done = reached.done = step(job, done)
                if step is create_ticket and done.ticket:
                    remember(job, received["key"], root, DISPATCHED)
        reached.done = done
        outcome = done.classification.category.lower()
        self._label(job, outcome)
        sender = self._settings.sender
        result = {"outcome": outcome, "thread": root} | reached.summary()
        colleague = bool(received.get("people", {}).get("colleague"))
        return self._tell(
            job, result, reached, lambda _: receipt(job.message.request, done, sender=sender, colleague=colleague)
        )

    def _correct(self, job: Job, correction: Correction, reached: Reached) -> dict[str, Any]:
        """As `_dispatch`, of what a person says that the message is; the admin did it, and is sent no letter."""
        original = dispatch_correction.find_original(job, correction)
        reached.received = {"people": original.result.get("people", {})}
        # What does not come to its end leaves the next one to know what was there.
        reached.before = {"thread": original.thread, "was": original.was}
        # What was decided about the files once stands: today's caps hold what was uploaded then against it.
        job = replace(job, fates=tuple(map(Fate, original.result.get("fates", ()))))
        reached.done = dispatch_correction.taken_over(job, original)
        received = reached.received = receive(job, asked=True)
        if received["ignored"]:
            return self._ignore(job, received["ignored"])
        if len(job.fates) != len(received["fates"]):
            job = replace(job, fates=tuple(map(Fate, received["fates"])))
        done = reached.done = dispatch_correction.taken_over(job, original)
        # One that has no ticket may be an answer that was never taken for one.
        threads = [] if done.ticket else find_threads(job, received["forebears"])
        if answered := answer(job, threads, received, look=True):
            thread, noted = answered
            original = original.answering(thread.reference)
            done = reached.done = replace(noted, classification=done.classification)
            reached.before["thread"] = original.thread
        elif job.journal.memory:
            # Before anything is made: an answer that comes meanwhile waits for it.
            job.journal.memory.remember(received["key"], original.thread)
        ticket = done.ticket
        for step in dispatch_correction.STEPS[correction.category]:
            done = reached.done = step(job, done, original)
            if done.ticket != ticket:  # one of its own
                reached.before["thread"] = correction.reference
        outcome = correction.category.lower()
        self._label(job, outcome)
        write = partial(
            receipt,
            done=done,
            sender=self._settings.sender,
            correction=correction.number,
            corrects_answer=reached.before["thread"] != correction.reference,
        )
        result = {"outcome": outcome} | reached.summary()
        return self._tell(job, result, reached, lambda _: write(job.message.request))

    def _ignore(self, job: Job, reason: str) -> dict[str, Any]:
        self._label(job, "ignored", seen=reason == canary_mark.REASON)
        return {"outcome": "ignored", "reason": reason}

    def _give_up(self, job: Job, failure: StepFailedError, reached: Reached) -> dict[str, Any]:
        """Tell the admin, and file the message where a person finds it."""
        # A message that could not be read is not read once more to tell of it.
        message = None if failure.step == "receive" else job.message

        def write(stamp: str) -> Receipt:
            detail, sender = failure_detail(job, failure), self._settings.sender
            request, reference = message.request if message else None, message_of(job.journal.reference)
            left = _steps_behind(failure.step, reached.done)
            return failure_receipt(
                request, reference, failure, reached.done, left, detail=detail, stamp=stamp, sender=sender
            )

        result = {"outcome": "failed", "step": failure.step, "reason": failure.reason}
        with suppress(StepFailedError):  # The log has it; the label tells the rest.
            send_failure(job, failure, message)
        with suppress(StepFailedError):  # It stays where it is then, and a later look tries it again.
            self._label(job, "failed")
            return self._tell(job, result, reached, write)
        return result | {"unfiled": True}

    def _label(self, job: Job, outcome: str, *, seen: bool = False) -> None:
        """File the message; with `seen` as read, which is for our own mail alone."""

        def act(_: Attempt) -> None:
            if seen:
                job.message.mark_seen()
            job.message.label(outcome)

        job.journal.step("label", act, "imap")

    def _tell(
        self, job: Job, result: dict[str, Any], reached: Reached, write: Callable[[str], Receipt]
    ) -> dict[str, Any]:
        """Leave a receipt beside the message, for whoever looks into the mailbox; returns the result.

        One that waits for its receipt alone says so, and as what it is `filed`: no answer to it need wait as well.
        """
        outcome = result["outcome"]
        if "received_at" in reached.received:
            job.message.filed(outcome, datetime.fromisoformat(reached.received["received_at"]))
        try:
            send_receipt(job, outcome, write)
        except MustWaitError as wait:
            waiting = {"step": wait.step, "reason": wait.reason, "until": wait.until.isoformat(), "gate": wait.gate}
            return result | waiting | {"outcome": "waiting", "filed": outcome}
        return result


def _steps_behind(step: str, done: Dispatched | None) -> list[str]:
    """The names of the steps that would have followed one."""
    names = [each.__name__ for each in STEPS[done.classification.category]] if done else []
    if done and done.classification.decided_by == "person":
        names.remove("send_notification")
        step = "create_ticket" if step in {"find_ticket", "update_ticket"} else step
    return names[names.index(step) + 1 :] if step in names else []


def _summary(done: Dispatched) -> dict[str, Any]:
    """What was made of a message: ids, URLs and numbers, nothing of its content."""
    return {
        "category": done.classification.category.lower(),
        "confidence": done.classification.confidence,
        "decided_by": done.classification.decided_by,
        "needs_review": done.classification.needs_review,
        "fates": [str(fate) for fate in done.fates],
        "files": [url for _, url in done.uploads],
        "contact_id": done.contact_id,
        "ticket": asdict(done.ticket) if done.ticket else None,
        "note_id": done.note_id,
        "subtask": asdict(done.subtask) if done.subtask else None,
        "skipped": list(done.skipped),
    }
