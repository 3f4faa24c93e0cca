"""Fetch, list and move back the messages that were filed under their outcomes, and find what we have sent.

Each call has a session of its own, because it selects another mailbox than those that the workers share.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.imap import session as imap_session
from poller.imap.connection import ConnectionCutError
from poller.imap.session import BATCH, DaySearchError
from poller.mailbox.download import write
from poller.mailbox.new_messages import NewMessages
from poller.mailbox.source import KEYWORDS, Fetched
from poller.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from datetime import date, datetime
    from pathlib import Path

    from poller.config.settings import ImapSettings, Settings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession
    from poller.mailbox.variants import Variants

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OURS = {keyword.lower() for keyword in KEYWORDS.values()}
_RECEIPT = re.compile(rb"^x-figurative-poller:\s*receipt\s*$", re.IGNORECASE | re.MULTILINE)


def fetch(
    settings: Settings, reference: str, outcome: Outcome, received_at: datetime, path: Path, variants: Variants
) -> Fetched:
    """Write a message that was filed under its outcome to the path. It was received at `received_at`.

    Raises:
        MessageGoneError: it does not lie there.
        TransientError: it was not found, and not every message there can be read.
    """
    refused: set[int] = set()
    # SINCE compares days in the server's own time zone.
    since = received_at.date() - timedelta(days=1)
    with closing(_read(settings, outcome, variants, refused, since)) as parts, path.open("wb") as file:
        for session, found in parts:
            named = variants.named(session, {uid: name for uid, (name, _) in found.items()})
            for arrival in (found[uid][1] for uid, name in named.items() if name == reference):
                with suppress(MessageGoneError):
                    return Fetched(arrival.received_at, write(session, arrival, file, settings.imap), arrival.junk)
    if refused:
        raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
    raise MessageGoneError(reference)


def _read(
    settings: Settings, outcome: Outcome, variants: Variants, refused: set[int], since: date | None = None
) -> Generator[tuple[ImapSession, dict[int, tuple[str, MessageSummary]]]]:
    """Yield the messages filed under an outcome in parts, the last ones first, each part with its session.

    They are those of `NewMessages.read`. Where the server hangs up at a message, it takes several connections.
    """
    imap, reader = settings.imap, NewMessages(settings.imap)
    done: set[int] = set()
    while True:
        try:
            with closing(imap_session.connect(imap)) as session:
                is_there = session.select(getattr(settings.labels, outcome))
                left = [uid for uid in session.uids(since)[::-1] if uid not in done] if is_there else []
                for part in (left[start : start + BATCH] for start in range(0, len(left), BATCH)):
                    found = reader.read(session, part, variants.account(imap), refused, lambda: None)
                    done.update(part)
                    yield session, found
                return
        except DaySearchError:
            since = None
        except ConnectionCutError:
            if not reader.goes_on():
                raise


def list_all_filed(settings: Settings, variants: Variants, refused: dict[str, set[int]]) -> dict[str, dict[str, bool]]:
    """Return the result of `list_filed` for each outcome. `refused` gets what cannot be read, by outcome."""
    return {name: list_filed(settings, name, variants, refused.setdefault(name, set())) for name in KEYWORDS}


def list_filed(
    settings: Settings, outcome: Outcome, variants: Variants, refused: set[int] | None = None
) -> dict[str, bool]:
    """Return the references of all messages filed under an outcome. No mailbox is created for it.

    Each value says whether we filed the message: it bears a keyword of ours, or the server keeps none. The UIDs of
    messages that the server does not give are logged, and added to `refused`. Without such a set one is an error.

    Raises:
        TransientError: the mailbox is out of reach, or a message in it cannot be read.
    """
    unread: set[int] = set()
    found: dict[str, bool] = {}
    with closing(_read(settings, outcome, variants, unread)) as parts:
        for session, part in parts:
            named = variants.named(session, {uid: name for uid, (name, _) in part.items()})
            unread |= part.keys() - named.keys()
            for uid, reference in named.items():
                _, arrival = part[uid]
                # A receipt counts as ours only with a keyword: then a person had us file it.
                kept = session.keeps(KEYWORDS[outcome]) or bool(_RECEIPT.search(arrival.header))
                is_ours = not kept or not arrival.keywords.isdisjoint(OURS)
                found[reference] = is_ours or found.get(reference, False)
    for uid in sorted(unread):
        log.warning("filed_message_unreadable", uid=uid, mailbox=getattr(settings.labels, outcome))
    if refused is None and unread:
        raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
    if refused is not None:
        refused |= unread
    return found


def supersede_receipts(settings: Settings, begins: str, mailbox: str, but: str) -> None:
    """Move our earlier receipts beside a later one, as read. See `ImapSession.supersede_receipts`."""
    labels = settings.labels
    with closing(imap_session.connect(settings.imap)) as session:
        for label in (labels.failed, labels.support, labels.modelisation):
            if session.select(label):
                session.supersede_receipts(begins, mailbox, but)


def was_sent(imap: ImapSettings, message_id: str) -> bool:
    """Return whether a letter lies in the account's mailbox of sent mail. See `MessageSource.was_sent`."""
    with closing(imap_session.connect(imap)) as session:
        return session.select_sent() and bool(session.with_message_id(message_id))


def move_back_to_inbox(settings: Settings, references: Collection[str], variants: Variants) -> set[str]:
    """Move failed messages back into the polled mailbox, to be tried again.

    Return the references of those that were in the failed mailbox.

    Raises:
        TransientError: the mailbox is out of reach, or a message that cannot be read may be one of them.
    """
    refused: set[int] = set()
    moved: set[str] = set()
    with closing(_read(settings, Outcome.FAILED, variants, refused)) as parts:
        for session, found in parts:
            named = variants.named(session, {uid: name for uid, (name, _) in found.items()})
            if wanted := {uid: name for uid, name in named.items() if name in references}:
                session.move(list(wanted), settings.imap.mailbox)
                moved.update(wanted.values())
    if refused and not moved:
        raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
    return moved
