"""What is long done is forgotten: the rows of finished messages, and what was remembered for them."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import Trays
from poller.workflow import database
from poller.workflow.corrections import FAILED, message_of
from poller.workflow.store import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from poller.config.settings import Settings
    from poller.workflow.status import Remembered

FINISHED = {"support", "modelisation", "ignored", "gone", "failed"}
# Facts that are of one moment; what is under the other keys is of all times, as the day of the first start is.
OF_A_MOMENT = ("sender-", "image-", "claude-", "alert-", "canary-", "digest-")
THREADS = "thread-"
BACK = 500  # messages that are looked at once more, and deleted, at a time


def purge(settings: Settings, before: datetime, *, dry_run: bool = False) -> Counter[str]:
    """Forget each message that finished before that moment; how many, by outcome, and under "facts" the rest.

    What still lies in the inbox is kept, for it would be dispatched again, and so are failed ones until a person has
    taken them away from where failures go. A thread is kept as long as any message of it is. Whoever answers a ticket
    whose thread is forgotten opens a new one.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or the database is out of reach.
    """
    with closing(Memory(settings)) as memory:
        messages = memory.messages()
        # The mailbox is looked at after the memory: what comes back meanwhile is kept.
        with closing(Inbox(settings)) as inbox:
            open_ = {*inbox.scan(all_or_none=True), *outcome_mailboxes.lying(settings, "failed")}
            with closing(Trays(settings, inbox)) as trays:
                open_ |= {reference for reference, _ in trays.lying()}
        old = {
            each.reference: each
            for each in messages
            if _is_old(each, before) and message_of(each.reference) not in open_
        }
        needed = {root for each in messages if each.reference not in old for root in _threads(memory, each)}
        # A message and its corrections are kept together: the last of them says what it is.
        needed |= {message_of(each.reference) for each in messages if each.reference not in old}
        # A thread that is kept keeps its first message alone: the others are found by it.
        doomed = {reference: each for reference, each in old.items() if message_of(reference) not in needed}
        gone = set(map(message_of, doomed))
        facts = [key for prefix in OF_A_MOMENT for key in memory.facts(prefix, before)]
        facts += [key for key, root in memory.facts(THREADS).items() if root in gone]
        kept = set(map(message_of, {each.reference for each in messages} - doomed.keys()))
        facts += [key for key in memory.facts(FAILED, before) if message_of(key.removeprefix(FAILED)) not in kept]
        counts = Counter({"facts": len(facts)})
        if dry_run:
            return counts + Counter(each.standing.outcome for each in doomed.values())
        # Facts first: one that led to a message that is no more would keep an answer waiting.
        memory.forget(facts)
        for some in _in_parts(doomed):
            # What has gone on in the meantime is not old any more.
            still = [each for each in memory.named(some) if doomed[each.reference] == each]
            memory.forget(each.reference for each in still)
            counts.update(each.standing.outcome for each in still)
    database.vacuum(settings.state_url)
    return counts


def _is_old(message: Remembered, before: datetime) -> bool:
    return message.standing.outcome in FINISHED and message.changed_at < before


def _threads(memory: Memory, message: Remembered) -> Iterator[str]:
    """The first messages of the threads that a message belongs to, or may turn out to."""
    if thread := (message.standing.result or {}).get("thread"):
        yield thread
    elif message.standing.outcome not in FINISHED:
        for entry in memory.journal(message.reference):
            if entry.step == "find_thread" and isinstance(found := entry.content.get("ok"), list):
                yield from (each["reference"] for each in found)


def _in_parts(references: Iterable[str]) -> Iterator[list[str]]:
    rest = list(references)
    for start in range(0, len(rest), BACK):
        yield rest[start : start + BACK]
