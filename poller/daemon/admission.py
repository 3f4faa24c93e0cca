"""A message was seen, in the inbox or where a person asks for a correction: whether, and how, work on it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.workflow import corrections
from poller.workflow.corrections import FAILED

if TYPE_CHECKING:
    from poller.daemon.scheduler import Workload
    from poller.mailbox.inbox import Inbox
    from poller.mailbox.reclassify_mailboxes import Trays
    from poller.model import Category
    from poller.workflow.corrections import Correction
    from poller.workflow.engine import Engine
    from poller.workflow.status import Standing


class Sightings:
    """What is done at each, by what is known of the message; nothing where work on it is under way.

    Both methods raise what keeps the mailbox or the memory from answering; the next look comes to the message again.
    """

    def __init__(self, engine: Engine, inbox: Inbox, trays: Trays, load: Workload) -> None:
        self._engine, self._inbox, self._trays, self._load = engine, inbox, trays, load

    def in_inbox(self, reference: str, standing: Standing | None, *, corrected: bool) -> None:
        """It is new, or waits, or was put back, or has come once more; `corrected` where a person has corrected it."""
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
            # Back in the mailbox: a person wants it tried again.
            self._load.resume(reference, standing)
        else:
            # The same mail once more: the second copy goes where the first went.
            self._inbox.label(reference, standing.outcome)

    def _wait(self, last: str, standing: Standing) -> None:
        """It waits, if it may do so in the inbox."""
        self._load.waiting[last] = standing
        if "filed" not in (standing.result or {}):
            if correction := corrections.correction_of(last):
                self._return(correction)
        elif self._inbox.confirm(corrections.message_of(last)):
            self._load.resume(last, standing)  # A person has put it back: there is nothing to put a receipt beside.

    def _put_back(self, correction: Correction, standing: Standing) -> None:
        """A correction that did not come to its end, and its message is back in the inbox: to be tried again."""
        is_asked_for = standing.outcome == "gone" or self._inbox.was_brought_back(correction.reference)
        if is_asked_for:
            # Before it is there again: at least it has been taken out, and may be put there by a person.
            self._engine.remember(f"{FAILED}{correction.id}", "")
        if not (is_asked_for and self._return(correction)):
            self._inbox.label(correction.reference, "failed")

    def _return(self, correction: Correction) -> bool:
        """Put a message from the inbox to where its correction was asked for; False where that is turned off."""
        tray = self._trays.names.get(correction.category)
        if tray:
            self._inbox.move(correction.reference, tray)
        return tray is not None

    def in_tray(self, reference: str, category: Category) -> None:
        """A person has put it under a category; what is still at work on it comes to its end first."""
        self._load.progress()
        last, standing = self._engine.last(reference)
        number = 1 + corrections.number_of(last)
        if standing and standing.outcome == "working":
            self._load.working.add(last)
        elif standing and standing.outcome == "waiting":
            self._load.waiting.setdefault(last, standing)
            result = standing.result or {}
            # Its message is not there any more, which is its end; that of a correction was filed, or it waits here.
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

    def _stays_failed(self, last: str, standing: Standing, category: Category) -> bool:
        """Whether a correction that failed lies there though nobody has put it there since."""
        reference, number = corrections.message_of(last), corrections.number_of(last)
        could_not_be_filed = standing.result and standing.result.get("unfiled")
        if could_not_be_filed and last == corrections.Correction(reference, category, number).id:
            return not self._engine.recall([f"{FAILED}{last}"])
        return not self._trays.sources[category].was_brought_back(reference)
