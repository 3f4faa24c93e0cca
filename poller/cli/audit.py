"""What does not add up between the memory, the mailboxes and the services: looked at, and left as it is."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from integrations.errors import PermanentError, TransientError
from poller.dispatch.clients import services
from poller.dispatch.notify import IN_DOUBT, NOTIFICATION_TRIES
from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import Trays
from poller.workflow import corrections
from poller.workflow.store import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from integrations.clickup.client import ClickUp, Subtask
    from integrations.hubspot.client import HubSpot
    from poller.config.settings import Labels, Settings
    from poller.workflow.status import Entry, Remembered

LONGEST_WAIT_S = 90.0  # that a service may ask for before a call: ClickUp's limit is one of a minute
TRIES = 4  # of a call that is asked to come later

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up."""

    reference: str
    outcome: str  # as remembered, see `Standing`; "" where nothing is
    problem: str  # in a few English words, nothing of the content

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def as_line(self) -> str:
        """For a person."""
        return f"{self.reference}  {(self.outcome or 'unknown').upper():<12}  {self.problem}"


def audit(settings: Settings, *, remote: bool = False) -> Iterator[Finding]:
    """Every finding, the first seen message's first; with `remote` what HubSpot and ClickUp hold is looked at as well.

    A daemon may be at work meanwhile. A service that is off is not looked at.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or a service is out of reach.
    """
    with closing(Memory(settings)) as memory, closing(Inbox(settings)) as inbox:
        # A message goes from the inbox to its label and then into the memory as finished. Looked at in this order none
        # is missed on its way, and the memory is read once more for those that came in the meantime.
        remembered = corrections.current(memory.messages())
        waiting = set(inbox.scan())
        with closing(Trays(settings, inbox)) as trays:
            waiting_to_be_corrected = {reference for reference, _ in trays.lying()}
        lying = outcome_mailboxes.everything(settings)
        known = {corrections.message_of(message.reference) for message in memory.messages()}
        for message in remembered:
            corrected = corrections.message_of(message.reference) in waiting_to_be_corrected
            if not corrected and (problem := _misplaced(message, waiting, lying, settings.labels)):
                yield Finding(message.reference, message.standing.outcome, problem)
            for problem in _untold(memory.journal(message.reference)):
                yield Finding(message.reference, message.standing.outcome, problem)
    for outcome, references in lying.items():
        for reference in sorted(references.keys() - known):
            # What a person filed there by hand is none of our business.
            if references[reference]:
                yield Finding(reference, "", f"lies under {getattr(settings.labels, outcome)!r}, unknown to the memory")
    if remote:
        yield from _amiss_at_services(settings, remembered)


def _misplaced(
    message: Remembered, waiting: set[str], filed: Mapping[str, Mapping[str, bool]], labels: Labels
) -> str | None:
    """What is wrong with where a message lies, None when nothing is."""
    reference, outcome = corrections.message_of(message.reference), message.standing.outcome
    found = [getattr(labels, other) for other, references in filed.items() if reference in references]
    if outcome in filed:
        if reference in waiting:
            # A failed one was put back, to be tried again at the next look.
            return None if outcome == "failed" else "finished, and in the inbox"
        if reference not in filed[outcome]:
            elsewhere = f", but under {', '.join(map(repr, found))}" if found else ""
            return f"not found under {getattr(labels, outcome)!r}{elsewhere}"
    elif outcome in {"working", "waiting"} and reference not in waiting and not found:
        return "not finished, and nowhere to be found"
    return None


def _untold(journal: list[Entry]) -> Iterator[str]:
    """The letters of which nobody knows whether the admin has got them."""
    doubts = Counter(entry.step for entry in journal if entry.content.get("ok") == IN_DOUBT)
    for step, count in doubts.items():
        if count >= NOTIFICATION_TRIES:
            yield f"{step}: sent {count} times and never confirmed; the admin may not have it"


def _amiss_at_services(settings: Settings, remembered: list[Remembered]) -> Iterator[Finding]:
    live = services(settings)
    subtasks = _patiently(live.clickup.find_subtasks) if live.clickup else {}
    for message in remembered:
        reference, result = corrections.message_of(message.reference), message.standing.result or {}
        if message.standing.outcome not in {"support", "modelisation"}:
            continue
        problems = [
            *(_amiss_at_hubspot(live.hubspot, reference, result) if live.hubspot else ()),
            *(_amiss_at_clickup(live.clickup, reference, result, subtasks) if live.clickup else ()),
        ]
        yield from (Finding(reference, message.standing.outcome, problem) for problem in problems)


def _patiently(call: Callable[[], _Found]) -> _Found:
    """What a call gives that only reads, after as long as the service asks us to wait, within bounds."""
    for _ in range(TRIES - 1):
        try:
            return call()
        except TransientError as error:
            if error.retry_after_s is None or error.retry_after_s > LONGEST_WAIT_S:
                raise
            time.sleep(max(0.0, error.retry_after_s))
    return call()


def _amiss_at_hubspot(hubspot: HubSpot, reference: str, result: Mapping[str, Any]) -> Iterator[str]:
    ticket, note_id = result["ticket"], result["note_id"]
    try:
        # A customer's answer lies on the ticket of the request that it belongs to, and opened none.
        if ticket and result["thread"] == reference:
            tickets = _patiently(lambda: hubspot.find_tickets(result["contact_id"], reference))
            yield from _not_one("HubSpot ticket", ticket["id"], [each.id for each in tickets])
        if note_id:
            ticket_id = ticket["id"] if ticket else None
            found = _patiently(lambda: hubspot.find_notes(result["contact_id"], ticket_id, reference))
            yield from _not_one("HubSpot note", note_id, found)
    except PermanentError as error:
        yield str(error)


def _amiss_at_clickup(
    clickup: ClickUp, reference: str, result: Mapping[str, Any], subtasks: Mapping[str, list[Subtask]]
) -> Iterator[str]:
    if not (subtask := result["subtask"]):
        return
    if result["thread"] == reference:
        found = [each.id for each in subtasks.get(reference, ())]
        yield from _not_one("ClickUp subtask", subtask["id"], found)
        return
    if result["decided_by"] == "person":
        return  # An answer that was corrected may have a subtask of its own, or its request's.
    try:
        # Which comment it is nobody remembers: one is as good as another.
        count = len(_patiently(lambda: clickup.find_comments(subtask["id"], reference)))
        if count != 1:
            comments = f"{count} comments" if count else "no comment"
            yield f"{comments} with the reference on ClickUp subtask {subtask['id']}"
    except PermanentError as error:
        yield str(error)


def _not_one(what: str, expected: str, found: list[str]) -> Iterator[str]:
    """What is wrong with what bears a message's reference, where it should be this one and no other."""
    if expected not in found:
        yield f"{what} {expected} not found with the reference"
    for other in found:
        if other != expected:
            yield f"{what} {other} carries the reference, and is not the one remembered"
