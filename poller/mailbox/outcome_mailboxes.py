"""Fetch, list and move back the messages that were filed under their outcomes.

Each call has a session of its own, because it selects another mailbox than those that the workers share.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.imap import session as imap_session
from poller.mailbox.download import fetch_reference, write
from poller.mailbox.source import KEYWORDS, Fetched

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.imap.session import ImapSession
    from poller.mailbox.variants import Variants
    from poller.model import Outcome

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
    imap = settings.imap
    with closing(imap_session.connect(imap)) as session, path.open("wb") as file:
        if session.select(getattr(settings.labels, outcome)):
            # SINCE compares days in the server's own time zone. The messages filed last are at the end.
            uids = session.uids(received_at.date() - timedelta(days=1))
            for arrival in session.fetch_summaries(uids[::-1], refused):
                with suppress(MessageGoneError):
                    named = {arrival.uid: fetch_reference(session, arrival, imap, variants.account(imap))}
                    if variants.named(session, named).get(arrival.uid) == reference:
                        return Fetched(arrival.received_at, write(session, arrival, file, imap), arrival.junk)
    if refused:
        raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
    raise MessageGoneError(reference)


def list_all_filed(settings: Settings, variants: Variants) -> dict[str, dict[str, bool]]:
    """Return the result of `list_filed` for each outcome."""
    with closing(imap_session.connect(settings.imap)) as session:
        return {outcome: _lying(session, settings, outcome, variants) for outcome in KEYWORDS}


def list_filed(settings: Settings, outcome: Outcome, variants: Variants) -> dict[str, bool]:
    """Return the references of all messages filed under an outcome. No mailbox is created for it.

    Each value says whether we filed the message: it bears a keyword of ours, or the server keeps none.

    Raises:
        TransientError: the mailbox is out of reach, or a message in it cannot be read.
    """
    with closing(imap_session.connect(settings.imap)) as session:
        return _lying(session, settings, outcome, variants)


def _lying(session: ImapSession, settings: Settings, outcome: Outcome, variants: Variants) -> dict[str, bool]:
    named: dict[int, str] = {}
    are_ours: dict[int, bool] = {}
    found: dict[str, bool] = {}
    if not session.select(getattr(settings.labels, outcome)):
        return found
    for arrival in session.fetch_summaries(session.uids()):
        with suppress(MessageGoneError):  # A person took it between the search and the fetch.
            named[arrival.uid] = fetch_reference(session, arrival, settings.imap, variants.account(settings.imap))
            # A receipt counts as ours only with a keyword: then a person had us file it.
            kept = session.keeps(KEYWORDS[outcome]) or bool(_RECEIPT.search(arrival.header))
            are_ours[arrival.uid] = not kept or not arrival.keywords.isdisjoint(OURS)
    for uid, reference in variants.named(session, named).items():
        found[reference] = are_ours[uid] or found.get(reference, False)
    return found


def move_back_to_inbox(settings: Settings, references: Collection[str], variants: Variants) -> set[str]:
    """Move failed messages back into the polled mailbox, to be tried again.

    Return the references of those that were in the failed mailbox.

    Raises:
        TransientError: the mailbox is out of reach, or a message that cannot be read may be one of them.
    """
    with closing(imap_session.connect(settings.imap)) as session:
        if not session.select(settings.labels.failed):
            return set()
        named: dict[int, str] = {}
        refused: set[int] = set()
        for arrival in session.fetch_summaries(session.uids(), refused):
            with suppress(MessageGoneError):
                named[arrival.uid] = fetch_reference(session, arrival, settings.imap, variants.account(settings.imap))
        named = variants.named(session, named)
        found = {uid: reference for uid, reference in named.items() if reference in references}
        if refused and not found:
            raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
        if found:
            session.move(list(found), settings.imap.mailbox)
    return set(found.values())
