"""Find what does not add up between the state store, the mailboxes and the services."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from integrations.errors import PermanentError, TransientError
from poller.cli.options import EXIT_FAILED, json_option, settings_of
from poller.dispatch.clients import services
from poller.dispatch.notify import IN_DOUBT, NOTIFICATION_TRIES
from poller.dispatch.progress import closed
from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.mailbox.variants import Variants
from poller.model import Outcome
from poller.workflow import corrections
from poller.workflow.database import open_store
from poller.workflow.steps import AT_THE_END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from integrations.clickup import ClickUp, Subtask
    from integrations.hubspot import HubSpot
    from poller.config.settings import LabelsSettings, Settings
    from poller.workflow.results import WorkResult
    from poller.workflow.status import Entry, MessageRecord

LONGEST_WAIT_S = 90.0  # that a service may ask for before a call: ClickUp's limit is one of a minute
TRIES = 4  # of a call that is asked to come later

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Finding:
    """One inconsistency."""

    reference: str
    outcome: str  # as recorded, see `MessageStatus`; "" where nothing is
    problem: str  # in a few English words, nothing of the content
    remedy: str = ""  # the outcome that --fix records, "" where a person must decide

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)

    def as_line(self) -> str:
        """Format the finding as a line for a person."""
        line = f"{self.reference}  {(self.outcome or 'unknown').upper():<12}  {self.problem}"
        return f"{line}; to be closed as {self.remedy.upper()}" if self.remedy else line


def find_problems(settings: Settings, *, remote: bool = False) -> Iterator[Finding]:
    """Yield every finding, in the order in which the messages were first seen.

    With `remote`, HubSpot and ClickUp are checked as well. A service that is off is not checked. A daemon may be at
    work meanwhile.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or a service is out of reach.
    """
    with closing(open_store(settings)) as store, closing(Inbox(settings)) as inbox:
        # A message goes from the inbox to its label, and is then recorded as finished. Read in this order, none is
        # missed on its way. The state store is read again for those that came in the meantime.
        inbox.variants = Variants(store)
        remembered = list(store.current())
        waiting = set(inbox.scan())
        with closing(ReclassifyMailboxes(settings, inbox)) as reclassify_mailboxes:
            waiting_to_be_corrected = {reference for reference, _ in reclassify_mailboxes.list_waiting()}
        unread: dict[str, set[int]] = {}
        lying = outcome_mailboxes.list_all_filed(settings, inbox.variants, unread)
        has_unread = bool(inbox.unreadable) or any(unread.values())
        seen = waiting.union(*lying.values())
        known = {corrections.message_of(message.reference) for message in store.messages()}
        for message in remembered:
            corrected = corrections.message_of(message.reference) in waiting_to_be_corrected
            if not corrected and (found := _misplaced(message, waiting, lying, settings.labels)):
                problem, remedy = found
                if has_unread and corrections.message_of(message.reference) not in seen:
                    problem, remedy = f"{problem}, but not every message can be read", None
                yield Finding(message.reference, message.status.outcome, problem, remedy or "")
            for problem in _untold(store.journal(message.reference)):
                yield Finding(message.reference, message.status.outcome, problem)
    for outcome, references in lying.items():
        for reference in sorted(references.keys() - known):
            # A message that a person filed there by hand is no finding.
            if references[reference]:
                yield Finding(reference, "", f"lies under {getattr(settings.labels, outcome)!r}, unknown to the state")
    if remote:
        yield from _amiss_at_services(settings, remembered)


def _misplaced(
    message: MessageRecord, waiting: set[str], filed: Mapping[str, Mapping[str, bool]], labels: LabelsSettings
) -> tuple[str, Outcome | None] | None:
    """Return what is wrong with the place of a message and the outcome that would be right, None when nothing is.

    No outcome where a person must decide.
    """
    reference, outcome = corrections.message_of(message.reference), message.status.outcome
    if outcome is Outcome.WAITING and message.status.result.step in AT_THE_END:
        return None  # The daemon goes on with it wherever it lies, and knows its ticket.
    filed_as = [Outcome(other) for other, references in filed.items() if reference in references]
    found = [getattr(labels, other) for other in filed_as]
    if outcome in filed:
        if reference in waiting:
            # A failed message was moved back, to be tried again at the next scan.
            return None if outcome is Outcome.FAILED else ("finished, and in the inbox", None)
        if reference not in filed[outcome]:
            elsewhere = f", but under {', '.join(map(repr, found))}" if found else ""
            return f"not found under {getattr(labels, outcome)!r}{elsewhere}", None
    elif outcome.is_open and reference not in waiting and not found:
        return "not finished, and nowhere to be found", Outcome.GONE if outcome is Outcome.WAITING else None
    elif outcome is Outcome.WAITING and reference not in waiting:
        # As after a restore: it was finished after the backup. The daemon sees it in no mailbox and waits for ever.
        return f"waits, but lies under {', '.join(map(repr, found))}", filed_as[0] if len(filed_as) == 1 else None
    return None


def _untold(journal: list[Entry]) -> Iterator[str]:
    """Yield the notifications that were sent and never confirmed, so that the admin may not have them."""
    doubts = Counter(entry.step for entry in journal if entry.content.get("ok") == IN_DOUBT)
    for step, count in doubts.items():
        if count >= NOTIFICATION_TRIES:
            yield f"{step}: sent {count} times and never confirmed; the admin may not have it"


def _amiss_at_services(settings: Settings, remembered: list[MessageRecord]) -> Iterator[Finding]:
    live = services(settings)
    subtasks = _patiently(live.clickup.find_subtasks) if live.clickup else {}
    for message in remembered:
        reference, result = corrections.message_of(message.reference), message.status.result
        if not result.outcome.is_dispatched:
            continue
        problems = [
            *(_amiss_at_hubspot(live.hubspot, reference, result) if live.hubspot else ()),
            *(_amiss_at_clickup(live.clickup, reference, result, subtasks) if live.clickup else ()),
        ]
        yield from (Finding(reference, message.status.outcome, problem) for problem in problems)


def _patiently(call: Callable[[], _Found]) -> _Found:
    """Return the result of a call that only reads. Wait as long as the service asks, within bounds."""
    for _ in range(TRIES - 1):
        try:
            return call()
        except TransientError as error:
            if error.retry_after_s is None or error.retry_after_s > LONGEST_WAIT_S:
                raise
            time.sleep(max(0.0, error.retry_after_s))
    return call()


def _amiss_at_hubspot(hubspot: HubSpot, reference: str, result: WorkResult) -> Iterator[str]:
    ticket, note_id = result.ticket, result.note_id
    try:
        # A customer's answer opens no ticket. It is on the ticket of the request that it belongs to.
        if ticket and result.thread == reference:
            tickets = _patiently(lambda: hubspot.find_tickets(result.contact_id, reference))
            yield from _not_one("HubSpot ticket", ticket.id, [each.id for each in tickets])
        if note_id:
            ticket_id = ticket.id if ticket else None
            found = _patiently(lambda: hubspot.find_notes(result.contact_id, ticket_id, reference))
            yield from _not_one("HubSpot note", note_id, found)
    except PermanentError as error:
        yield str(error)


def _amiss_at_clickup(
    clickup: ClickUp, reference: str, result: WorkResult, subtasks: Mapping[str, list[Subtask]]
) -> Iterator[str]:
    if not (subtask := result.subtask):
        return
    if result.thread == reference:
        found = [each.id for each in subtasks.get(reference, ())]
        yield from _not_one("ClickUp subtask", subtask.id, found)
        return
    if result.decided_by == "person":
        return  # An answer that was corrected may have a subtask of its own, or its request's.
    try:
        # The id of the comment is not recorded, so any one with the reference will do.
        count = len(_patiently(lambda: clickup.find_comments(subtask.id, reference)))
        if count != 1:
            comments = f"{count} comments" if count else "no comment"
            yield f"{comments} with the reference on ClickUp subtask {subtask.id}"
    except PermanentError as error:
        yield str(error)


def _not_one(what: str, expected: str, found: list[str]) -> Iterator[str]:
    """Yield what is wrong where this one item, and no other, should bear the message's reference."""
    if expected not in found:
        yield f"{what} {expected} not found with the reference"
    for other in found:
        if other != expected:
            yield f"{what} {other} carries the reference, and is not the one remembered"


def fix(settings: Settings, findings: Iterable[Finding]) -> int:
    """Record the remedies of these findings, and return how many were recorded.

    One whose message has gone on meanwhile is left alone.

    Raises:
        TransientError: the database is out of reach.
    """
    remedies = {finding.reference: Outcome(finding.remedy) for finding in findings if finding.remedy}
    with closing(open_store(settings)) as store:
        results = {
            message: closed(message, store.journal(message.reference), remedies[message.reference])
            for message in store.named(remedies)
        }
        return sum(store.close_waiting(message, result) for message, result in results.items())


@click.command()
@click.option("--remote", is_flag=True, help="What HubSpot and ClickUp hold, too; some calls for each message.")
@click.option("--fix", "to_fix", is_flag=True, help="Close the records of messages that wait for nothing.")
@json_option("One JSON object a finding.")
@click.pass_context
def audit(ctx: click.Context, *, remote: bool, to_fix: bool, as_json: bool) -> None:
    """Report what does not add up.

    Compares the mailboxes with the state store, with --remote also with what HubSpot and ClickUp hold. With --fix it
    then closes the records of messages that wait for nothing: those named as to be closed. No mailbox and no service
    is changed.

    Exit code 0 when all adds up, 1 when anything does not, 75 when the mailbox or a service is out of reach.
    """
    settings, findings = settings_of(ctx), []
    for finding in find_problems(settings, remote=remote):
        findings.append(finding)
        click.echo(json.dumps(finding.as_json()) if as_json else finding.as_line())
    if not findings:
        click.echo("everything adds up", err=True)
    if any(not finding.outcome for finding in findings):
        click.echo("To have an UNKNOWN one done, put it back into the inbox.", err=True)
    closable = sum(bool(finding.remedy) for finding in findings)
    fixed = fix(settings, findings) if to_fix and closable else 0
    if to_fix:
        click.echo(f"{fixed} of {len(findings)} closed", err=True)
    elif closable:
        click.echo(f"To close {closable} as named, run it with --fix.", err=True)
    ctx.exit(EXIT_FAILED if len(findings) > fixed else 0)
