"""Delete old finished messages and their facts from the state store."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from poller.cli.options import json_option, settings_of
from poller.mailbox import outcome_mailboxes, variants
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.model import Outcome
from poller.triage import bounce
from poller.workflow import database
from poller.workflow.corrections import FAILED, message_of
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from poller.config.settings import Settings
    from poller.workflow.status import MessageRecord
    from poller.workflow.store import StateStore

FINISHED = {Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED, Outcome.GONE, Outcome.FAILED}
# Prefixes of facts that expire. Facts under other keys, such as the day of the first start, are kept for ever.
OF_A_MOMENT = ("sender-", "acknowledged-", "image-", "claude-", "alert-", "canary-", "digest-", "unanswered-")
THREADS = "thread-"
SHARED = variants.FACT
AT_ONCE = 500  # messages that are looked up in one go


def forget(settings: Settings, before: datetime, *, dry_run: bool = False) -> Counter[str]:
    """Delete the messages that finished before a moment, and return the numbers deleted by outcome.

    The number of deleted facts is under "facts". `dry_run` only counts. Messages that are still in the inbox are kept,
    because they would be dispatched again. Failed messages are kept until a person has removed them from the failed
    mailbox. A thread is kept as long as any message of it is. An answer to a ticket whose thread was deleted opens a
    new ticket.

    Raises:
        ConfigurationError: nothing has run yet, or the settings cannot work.
        TransientError: the mailbox or the database is out of reach.
    """
    counts: Counter[str] = Counter()
    with closing(open_store(settings)) as store:
        rule = _rule(settings, store, before)
        # Facts first: a fact that names a deleted message would keep an answer waiting.
        for keys in _old_facts(store, rule):
            counts["facts"] += len(keys)
            if not dry_run:
                store.forget(keys)
        for some in store.messages_in_parts():
            doomed = [each for each in some if rule.dooms(each)]
            counts.update(each.status.outcome for each in doomed)
            if not dry_run:
                store.forget(each.reference for each in doomed)
    if not dry_run:
        database.vacuum(settings.state_url)
    return counts


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule of what is deleted. It holds references of few messages, however many there are."""

    before: datetime
    needed: AbstractSet[str]  # the references of messages that are kept, though they may have finished before
    corrections: Mapping[str, list[str]]  # the ids of the corrections of each message that has any

    def dooms(self, message: MessageRecord) -> bool:
        """Return whether the record of a message, or of a correction, is to be deleted."""
        return _is_old(message, self.before) and message_of(message.reference) not in self.needed


def _rule(settings: Settings, store: StateStore, before: datetime) -> _Rule:
    corrections: dict[str, list[str]] = {}
    for name in store.corrections():
        corrections.setdefault(message_of(name), []).append(name)
    needed: set[str] = set()
    for message in store.messages():
        if not _is_old(message, before):
            needed.update(_needed_by(store, message, corrections))
    # The mailbox is scanned after the state store is read: a message that comes back meanwhile is kept.
    lying = _lying(settings, store)
    for some in _in_parts(lying):
        for message in _records(store, some, corrections):
            needed.update(_needed_by(store, message, corrections))
    return _Rule(before, needed | lying, corrections)


def _lying(settings: Settings, store: StateStore) -> set[str]:
    """Return the messages in the inbox, in the failed mailbox and in the reclassify mailboxes."""
    with closing(Inbox(settings)) as inbox:
        inbox.variants = variants.Variants(store)
        unread: set[int] = set()
        failed = outcome_mailboxes.list_filed(settings, Outcome.FAILED, inbox.variants, unread)
        if unread:  # Any failed message may be one of them.
            failed |= dict.fromkeys((each.reference for each in store.with_outcomes([Outcome.FAILED])), True)
        lying = {*inbox.scan(all_or_none=True), *failed}
        with closing(ReclassifyMailboxes(settings, inbox)) as reclassify_mailboxes:
            return lying | {reference for reference, _ in reclassify_mailboxes.list_waiting()}


def _is_old(message: MessageRecord, before: datetime) -> bool:
    return message.status.outcome in FINISHED and message.changed_at < before


def _needed_by(store: StateStore, message: MessageRecord, corrections: Container[str]) -> Iterator[str]:
    """Yield the messages other than itself that are kept with a kept message."""
    reference = message_of(message.reference)
    # Of a kept thread only the first message is needed: the others are found through it.
    yield from (root for root in _threads(store, message) if root != reference)
    # A message and its corrections are kept together: the last correction holds its category.
    if reference in corrections:
        yield reference


def _threads(store: StateStore, message: MessageRecord) -> Iterator[str]:
    """Yield the first messages of the threads that a message belongs to, or may belong to."""
    if thread := message.status.result.thread:
        yield thread
    elif message.status.outcome not in FINISHED:
        for entry in store.journal(message.reference):
            if entry.step == "find_thread" and isinstance(found := entry.content.get("ok"), list):
                yield from (each["reference"] for each in found)


def _old_facts(store: StateStore, rule: _Rule) -> Iterator[list[str]]:
    """Yield the keys of the facts to delete, a few hundred at a time."""
    for prefix in OF_A_MOMENT:
        yield from map(list, store.facts_in_parts(prefix, rule.before))
    for facts in store.facts_in_parts(THREADS):
        roots = _records(store, facts.values(), rule.corrections)
        gone = {message_of(each.reference) for each in roots if rule.dooms(each)}
        yield [key for key, root in facts.items() if root in gone]
    for prefix in (FAILED, SHARED, bounce.FACT):
        for facts in store.facts_in_parts(prefix, rule.before):
            named = {key: message_of(key.removeprefix(prefix)) for key in facts}
            found = _records(store, named.values(), rule.corrections)
            kept = {message_of(each.reference) for each in found if not rule.dooms(each)}
            yield [key for key, reference in named.items() if reference not in kept]


def _records(store: StateStore, references: Iterable[str], corrections: Mapping[str, list[str]]) -> list[MessageRecord]:
    """Return the records of messages, and of their corrections."""
    return store.named({each for reference in references for each in (reference, *corrections.get(reference, ()))})


def _in_parts(references: Iterable[str]) -> Iterator[list[str]]:
    rest = list(references)
    for start in range(0, len(rest), AT_ONCE):
        yield rest[start : start + AT_ONCE]


# A sender's turns are counted over 25 hours, so nothing that is so young may be forgotten.
_OLD_DAYS = 2


@click.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=_OLD_DAYS),
    metavar="DAYS",
    required=True,
    help=f"Only what ended so many days ago, {_OLD_DAYS} at least.",
)
@click.option("--dry-run", is_flag=True, help="Say how many there are, and forget none.")
@json_option("As one JSON object.")
@click.pass_context
def purge(ctx: click.Context, *, days: int, dry_run: bool, as_json: bool) -> None:
    """Forget messages that ended long ago.

    Their rows and all that was recorded for them are deleted, and nothing of it is left in the state's file. What
    HubSpot, ClickUp, R2 and the mailbox hold is not touched. Messages that lie in the inbox or among the failed are
    kept, and so is a thread of which any message is kept. Exit code 75 when the mailbox or the state is out of reach.
    """
    counts = forget(settings_of(ctx), datetime.now(UTC) - timedelta(days=days), dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(counts))
        return
    for name, count in sorted((+counts).items()):
        click.echo(f"{count:>7}  {name if name == 'facts' else name.upper()}")
    forgotten = f"{'would be' if dry_run else 'are'} forgotten"
    click.echo(forgotten if counts.total() else "nothing is old enough", err=True)
