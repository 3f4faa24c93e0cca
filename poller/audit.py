"""What does not add up between the memory, the mailboxes and the services: looked at, and left as it is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from integrations.errors import PermanentError
from poller.inbox import Inbox
from poller.memory import Memory
from poller.services import services
from poller.steps import CLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from integrations.clickup import ClickUp
    from integrations.hubspot import HubSpot
    from poller.memory import Remembered
    from poller.settings import Labels, Settings


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
        remembered = memory.messages()
        waiting = set(inbox.scan())
        filed = inbox.filed()
        known = {message.reference for message in memory.messages()}
    for message in remembered:
        if problem := _misplaced(message, waiting, filed, settings.labels):
            yield Finding(message.reference, message.standing.outcome, problem)
    for outcome, references in filed.items():
        for reference in sorted(references - known):
            yield Finding(reference, "", f"lies under {getattr(settings.labels, outcome)!r}, unknown to the memory")
    if remote:
        yield from _amiss_at_services(settings, remembered)


def _misplaced(message: Remembered, waiting: set[str], filed: Mapping[str, set[str]], labels: Labels) -> str | None:
    """What is wrong with where a message lies, None when nothing is."""
    reference, outcome = message.reference, message.standing.outcome
    found = [getattr(labels, other) for other, references in filed.items() if reference in references]
    if outcome in filed:
        if reference in waiting:
            return "finished, and in the inbox"
        if reference not in filed[outcome]:
            elsewhere = f", but under {', '.join(map(repr, found))}" if found else ""
            return f"not found under {getattr(labels, outcome)!r}{elsewhere}"
    elif outcome in {"working", "waiting"} and reference not in waiting and not found:
        return "not finished, and nowhere to be found"
    return None


def _amiss_at_services(settings: Settings, remembered: list[Remembered]) -> Iterator[Finding]:
    live = services(settings)
    for message in remembered:
        reference, result = message.reference, message.standing.result or {}
        if message.standing.outcome not in {"support", "modelisation"}:
            continue
        problems = [
            *(_amiss_at_hubspot(live.hubspot, reference, result) if live.hubspot else ()),
            *(_amiss_at_clickup(live.clickup, reference, result, message.seen_at) if live.clickup else ()),
        ]
        yield from (Finding(reference, message.standing.outcome, problem) for problem in problems)


def _amiss_at_hubspot(hubspot: HubSpot, reference: str, result: Mapping[str, Any]) -> Iterator[str]:
    ticket, note_id = result["ticket"], result["note_id"]
    try:
        # A customer's answer lies on the ticket of the request that it belongs to, and opened none.
        if ticket and result["thread"] == reference:
            found = _tickets(hubspot, result["contact_id"], reference)
            if ticket["id"] not in found:
                yield f"HubSpot ticket {ticket['id']} not found with the reference on contact {result['contact_id']}"
            for other in found:
                if other != ticket["id"]:
                    yield f"HubSpot ticket {other} carries the reference, too"
        if note_id:
            found_note = hubspot.find_note(result["contact_id"], ticket["id"] if ticket else None, reference)
            if found_note != note_id:
                yield f"HubSpot note {note_id} not found; with the reference there is {found_note or 'none'}"
    except PermanentError as error:
        yield str(error)


def _tickets(hubspot: HubSpot, contact_id: str, reference: str) -> list[str]:
    """The ids of all tickets of a contact that carry the reference."""
    # The client's public call ends at the first: whoever is to create a ticket needs no more.
    ids = hubspot._list_associated("contacts", contact_id, "tickets")  # noqa: SLF001
    found: list[str] = []
    while each := hubspot._find_marked("tickets", ids, ("content", "subject"), reference):  # noqa: SLF001
        found.append(each)
        ids.remove(each)
    return found


def _amiss_at_clickup(clickup: ClickUp, reference: str, result: Mapping[str, Any], seen_at: datetime) -> Iterator[str]:
    if not (subtask := result["subtask"]):
        return
    if result["thread"] != reference:
        try:
            if not clickup.find_comment(subtask["id"], reference):
                yield f"no comment with the reference on ClickUp subtask {subtask['id']}"
        except PermanentError as error:
            yield str(error)
        return
    found = clickup.find_subtask(reference, seen_at - CLOCKS)
    if found is None or found.id != subtask["id"]:
        other = found.id if found else "none"
        yield f"ClickUp subtask {subtask['id']} not found; with the reference there is {other}"
