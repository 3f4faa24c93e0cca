"""Decide how work on a message goes on when it is seen in the inbox or in a reclassify mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def __init__(self, engine: Engine, inbox: Inbox, trays: ReclassifyMailboxes, load: Scheduler) -> None:
        self._engine, self._inbox, self._trays, self._load = engine, inbox, trays, load

    def admit_from_inbox(self, reference: str, standing: MessageStatus | None, *, corrected: bool) -> None:
        """Start, resume or relabel a message found in the inbox.

        The message may be new, waiting, moved back by a person, or a second copy. `corrected`: a person has
        reclassified it.
        """
        self._load.progress()
        if reference in self._load.working:
            return
        last = reference
        if corrected or (standing and standing.outcome not in {"working", "waiting"}):
            last, standing = self._engine.last(reference)
        if standing is None:
            self._load.submit(reference)
        elif standing.outcome == "working":
            self._load.working.add(last)
        elif standing.outcome == "waiting":
            self._wait(last, standing)
        elif not self._inbox.confirm(reference):
            return  # It was filed between the two looks.
        elif (correction := corrections.correction_of(last)) and standing.outcome in {"gone", "failed"}:
            self._put_back(correction, standing)
        elif standing.outcome == "gone" or (standing.outcome == "failed" and self._inbox.was_brought_back(reference)):
            # A person moved it back to the mailbox and wants another attempt.
            self._load.resume(reference, standing)
        else:
            # A second copy of the same mail goes to the mailbox of the first.
            self._inbox.label(reference, standing.outcome)

    def _wait(self, last: str, standing: MessageStatus) -> None:
        """Record that the message waits.

        The message of a correction goes back to its reclassify mailbox. Work that only waits for its receipt is
        resumed.
        """
        self._load.waiting[last] = standing
        if "filed" not in (standing.result or {}):
            if correction := corrections.correction_of(last):
                self._return(correction)
        elif self._inbox.confirm(corrections.message_of(last)):
            self._load.resume(last, standing)  # A person moved it back: a receipt has no place beside it.

    def _put_back(self, correction: Correction, standing: MessageStatus) -> None:
        """Try a failed correction again if a person moved its message back to the inbox, otherwise label it failed."""
        is_asked_for = standing.outcome == "gone" or self._inbox.was_brought_back(correction.reference)
        if is_asked_for:
            # Record this before the move, so that a message that a person puts there later counts as a new request.
            self._engine.remember(f"{FAILED}{correction.id}", "")
        if not (is_asked_for and self._return(correction)):
            self._inbox.label(correction.reference, "failed")

    def _return(self, correction: Correction) -> bool:
        """Move a message from the inbox to the reclassify mailbox of its correction. Return False if that is off."""
        tray = self._trays.names.get(correction.category)
        if tray:
            self._inbox.move(correction.reference, tray)
        return tray is not None

    def admit_correction(self, reference: str, category: Category) -> None:
        """Start a correction for a message in a reclassify mailbox, after earlier work on it has finished."""
        self._load.progress()
        last, standing = self._engine.last(reference)
        number = 1 + corrections.number_of(last)
        if standing and standing.outcome == "working":
            self._load.working.add(last)
        elif standing and standing.outcome == "waiting":
            self._load.waiting.setdefault(last, standing)
            result = standing.result or {}
            # The message has left the place where that work waited, so resuming it ends it. Only a correction that is
            # not labelled yet waits in this mailbox itself.
            left = number == 1 or "filed" in result
            if left and result["step"] and not result["gate"]:
                self._load.resume(last, standing)
        elif not (tray := self._trays.sources[category]).confirm(reference):
            return  # It was filed between the two looks.
        elif number > 1 and standing and standing.outcome == "failed" and self._stays_failed(last, standing, category):
            tray.label(reference, "failed")
            self._engine.remember(f"{FAILED}{last}", "")
        else:
            self._load.submit(corrections.Correction(reference, category, number).id)

    def _stays_failed(self, last: str, standing: MessageStatus, category: Category) -> bool:
        """Return True if a failed correction lies in the mailbox without a new request by a person."""
        reference, number = corrections.message_of(last), corrections.number_of(last)
        could_not_be_filed = standing.result and standing.result.get("unfiled")
        if could_not_be_filed and last == corrections.Correction(reference, category, number).id:
            return not self._engine.recall([f"{FAILED}{last}"])
        return not self._trays.sources[category].was_brought_back(reference)
