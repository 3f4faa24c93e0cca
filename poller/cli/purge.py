"""Delete old finished messages and their facts from the state store."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from poller.cli.options import json_option, settings_of
from poller.mailbox import outcome_mailboxes, variants
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.model import Outcome
from poller.workflow import database
from poller.workflow.corrections import FAILED, message_of
from poller.workflow.store import StateStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from poller.config.settings import Settings
    from poller.workflow.status import MessageRecord

FINISHED = {Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED, Outcome.GONE, Outcome.FAILED}
# Prefixes of facts that expire. Facts under other keys, such as the day of the first start, are kept for ever.
OF_A_MOMENT = ("sender-", "image-", "claude-", "alert-", "canary-", "digest-")
THREADS = "thread-"
SHARED = variants.FACT
BACK = 500  # messages that are checked again and deleted in one go


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
    with closing(open_store(settings)) as store:
        messages = store.messages()
        # The mailbox is scanned after the state store is read: a message that comes back meanwhile is kept.
        with closing(Inbox(settings)) as inbox:
            inbox.variants = variants.Variants(store)
            failed = outcome_mailboxes.list_filed(settings, Outcome.FAILED, inbox.variants)
            open_ = {*inbox.scan(all_or_none=True), *failed}
            with closing(ReclassifyMailboxes(settings, inbox)) as reclassify_mailboxes:
                open_ |= {reference for reference, _ in reclassify_mailboxes.list_waiting()}
        old = {
            each.reference: each
            for each in messages
            if _is_old(each, before) and message_of(each.reference) not in open_
        }
        needed = {root for each in messages if each.reference not in old for root in _threads(store, each)}
        # A message and its corrections are kept together: the last correction holds its category.
        needed |= {message_of(each.reference) for each in messages if each.reference not in old}
        # Of a kept thread only the first message is needed: the others are found through it.
        doomed = {reference: each for reference, each in old.items() if message_of(reference) not in needed}
        gone = set(map(message_of, doomed))
        facts = [key for prefix in OF_A_MOMENT for key in store.facts(prefix, before)]
        facts += [key for key, root in store.facts(THREADS).items() if root in gone]
        kept = set(map(message_of, {each.reference for each in messages} - doomed.keys()))
        facts += [key for key in store.facts(FAILED, before) if message_of(key.removeprefix(FAILED)) not in kept]
        facts += [key for key in store.facts(SHARED, before) if key.removeprefix(SHARED) not in kept]
        counts = Counter({"facts": len(facts)})
        if dry_run:
            return counts + Counter(each.status.outcome for each in doomed.values())
        # Facts first: a fact that names a deleted message would keep an answer waiting.
        store.forget(facts)
        for some in _in_parts(doomed):
            # A message that changed in the meantime is no longer old.
            still = [each for each in store.named(some) if doomed[each.reference] == each]
            store.forget(each.reference for each in still)
            counts.update(each.status.outcome for each in still)
    database.vacuum(settings.state_url)
    return counts


def _is_old(message: MessageRecord, before: datetime) -> bool:
    return message.status.outcome in FINISHED and message.changed_at < before


def _threads(store: StateStore, message: MessageRecord) -> Iterator[str]:
    """Yield the first messages of the threads that a message belongs to, or may belong to."""
    if thread := message.status.result.thread:
        yield thread
    elif message.status.outcome not in FINISHED:
        for entry in store.journal(message.reference):
            if entry.step == "find_thread" and isinstance(found := entry.content.get("ok"), list):
                yield from (each["reference"] for each in found)


def _in_parts(references: Iterable[str]) -> Iterator[list[str]]:
    rest = list(references)
    for start in range(0, len(rest), BACK):
        yield rest[start : start + BACK]


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
