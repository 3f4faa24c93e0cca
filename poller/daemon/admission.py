"""Decide how work on a message goes on when it is seen in the inbox or in a reclassify mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.model import Outcome
from poller.workflow import corrections
from poller.workflow.corrections import FAILED

if TYPE_CHECKING:
    from poller.daemon.scheduler import Scheduler
    from poller.mailbox.inbox import Inbox
    from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
    from poller.model import Category
    from poller.workflow.corrections import Correction
    from poller.workflow.engine import Engine
    from poller.workflow.status import MessageStatus


class Admission:
    """The decision about each message that was seen, from its state. Nothing happens if work is in progress.

    Both methods raise the errors of the mailbox and of the state store. The next scan comes to the message again.
    """

    def __init__(
        self, engine: Engine, inbox: Inbox, reclassify_mailboxes: ReclassifyMailboxes, load: Scheduler
    ) -> None:
        self._engine, self._inbox, self._reclassify_mailboxes, self._load = engine, inbox, reclassify_mailboxes, load

    def admit_from_inbox(self, reference: str, status: MessageStatus | None, *, corrected: bool) -> None:
        """Start, resume or relabel a message found in the inbox.

        The message may be new, waiting, moved back by a person, a second copy, or another message that only shares the
        reference. `corrected`: a person has reclassified it.
        """
        self._load.progress()
        self._tell_apart(reference, status)
        if reference in self._load.working:
            return
        last = reference
        if corrected or (status and not status.outcome.is_open):
            last, status = self._engine.store.last(reference)
        if status is None:
            self._load.submit(reference)
        elif status.outcome is Outcome.WORKING:
            self._load.working.add(last)
        elif status.outcome is Outcome.WAITING:
            self._wait(last, status)
        elif not self._inbox.confirm(reference):
            return  # It was filed between the two looks.
        elif (correction := corrections.correction_of(last)) and status.outcome in {Outcome.GONE, Outcome.FAILED}:
            self._put_back(correction, status)
        elif status.outcome is Outcome.GONE or (
            status.outcome is Outcome.FAILED and self._inbox.was_brought_back(reference)
        ):
            # A person moved it back to the mailbox and wants another attempt.
            self._load.resume(reference, status)
        else:
            # A second copy of the same mail goes to the mailbox of the first.
            self._inbox.label(reference, status.outcome)

    def _tell_apart(self, reference: str, status: MessageStatus | None) -> None:
        """Admit what only shares its reference with another message here, or with one that was filed."""
        is_done = status is not None and not status.outcome.is_open
        if is_done or len(self._inbox.seen.copies(reference)) > 1:
            for own in self._inbox.tell_apart(reference):
                self.admit_from_inbox(own, self._engine.store.statuses([own]).get(own), corrected=False)

    def _wait(self, last: str, status: MessageStatus) -> None:
        """Record that the message waits.

        The message of a correction goes back to its reclassify mailbox. Work that only waits for its receipt is
        resumed.
        """
        self._load.waiting[last] = status
        if status.result.filed is None:
            if correction := corrections.correction_of(last):
                self._return(correction)
        elif self._inbox.confirm(corrections.message_of(last)):
            self._load.resume(last, status)  # A person moved it back: a receipt has no place beside it.

    def _put_back(self, correction: Correction, status: MessageStatus) -> None:
        """Try a failed correction again if a person moved its message back to the inbox, otherwise label it failed."""
        is_asked_for = status.outcome is Outcome.GONE or self._inbox.was_brought_back(correction.reference)
        if is_asked_for:
            # Record this before the move, so that a message that a person puts there later counts as a new request.
            self._engine.store.remember(f"{FAILED}{correction.id}", "")
        if not (is_asked_for and self._return(correction)):
            self._inbox.label(correction.reference, Outcome.FAILED)

    def _return(self, correction: Correction) -> bool:
        """Move a message from the inbox to the reclassify mailbox of its correction. Return False if that is off."""
        mailbox = self._reclassify_mailboxes.names.get(correction.category)
        if mailbox:
            self._inbox.move(correction.reference, mailbox)
        return mailbox is not None

    def admit_correction(self, reference: str, category: Category) -> None:
        """Start a correction for a message in a reclassify mailbox, after earlier work on it has finished."""
        self._load.progress()
        last, status = self._engine.store.last(reference)
        number = 1 + corrections.number_of(last)
        if status and status.outcome is Outcome.WORKING:
            self._load.working.add(last)
        elif status and status.outcome is Outcome.WAITING:
            self._load.waiting.setdefault(last, status)
            # The message has left the place where that work waited, so resuming it ends it. Only a correction that is
            # not labelled yet waits in this mailbox itself.
            left = number == 1 or status.result.filed is not None
            if left and status.result.step and not status.result.breaker:
                self._load.resume(last, status)
        elif not (mailbox := self._reclassify_mailboxes.sources[category]).confirm(reference):
            return  # It was filed between the two looks.
        elif number > 1 and status and status.outcome is Outcome.FAILED and self._stays_failed(last, status, category):
            mailbox.label(reference, Outcome.FAILED)
            self._engine.store.remember(f"{FAILED}{last}", "")
        else:
            self._load.submit(corrections.Correction(reference, category, number).id)

    def _stays_failed(self, last: str, status: MessageStatus, category: Category) -> bool:
        """Return True if a failed correction lies in the mailbox without a new request by a person."""
        reference, number = corrections.message_of(last), corrections.number_of(last)
        if status.result.unfiled and last == corrections.Correction(reference, category, number).id:
            return not self._engine.store.recall([f"{FAILED}{last}"])
        return not self._reclassify_mailboxes.sources[category].was_brought_back(reference)
