"""What lies where outcomes go: found again, counted, brought back.

Each call has a session of its own, for it stands in another mailbox than those that the workers share.
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
    from poller.imap.session import Mailbox

OURS = {keyword.lower() for keyword in KEYWORDS.values()}
_RECEIPT = re.compile(rb"^x-figurative-poller:\s*receipt\s*$", re.IGNORECASE | re.MULTILINE)


def fetch(settings: Settings, reference: str, outcome: str, received_at: datetime, path: Path) -> Fetched:
    """Write a message that was filed under its outcome to the path; it came at that time.

    Raises:
        MessageGoneError: it does not lie there.
    """
    refused: set[int] = set()
    imap = settings.imap
    with closing(imap_session.connect(imap)) as session, path.open("wb") as file:
        if session.enter(getattr(settings.labels, outcome)):
            # SINCE compares days in the server's own time zone. What was filed last lies at the end.
            uids = session.uids(received_at.date() - timedelta(days=1))
            for arrival in session.arrivals(uids[::-1], refused):
                with suppress(MessageGoneError):
                    if fetch_reference(session, arrival, imap) == reference:
                        return Fetched(arrival.received_at, write(session, arrival, file, imap), arrival.junk)
    if refused:
        raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
    raise MessageGoneError(reference)


def everything(settings: Settings) -> dict[str, dict[str, bool]]:
    """`lying` of each outcome."""
    with closing(imap_session.connect(settings.imap)) as session:
        return {outcome: _lying(session, settings, outcome) for outcome in KEYWORDS}


def lying(settings: Settings, outcome: str) -> dict[str, bool]:
    """The references of all messages that lie where an outcome goes; nothing is created for it.

    Beside each whether we put it there: it bears a keyword of ours, or the server keeps none.

    Raises:
        TransientError: the mailbox is out of reach, or a message in it cannot be read.
    """
    with closing(imap_session.connect(settings.imap)) as session:
        return _lying(session, settings, outcome)


def _lying(session: Mailbox, settings: Settings, outcome: str) -> dict[str, bool]:
    found: dict[str, bool] = {}
    if not session.enter(getattr(settings.labels, outcome)):
        return found
    for arrival in session.arrivals(session.uids()):
        with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
            reference = fetch_reference(session, arrival, settings.imap)
            # A receipt was not filed: it bears a keyword only where a person had us file it.
            kept = session.keeps(KEYWORDS[outcome]) or bool(_RECEIPT.search(arrival.header))
            ours = not kept or not arrival.keywords.isdisjoint(OURS)
            found[reference] = ours or found.get(reference, False)
    return found


def bring_back(settings: Settings, references: Collection[str]) -> set[str]:
    """Put failed messages back into the polled mailbox, to be tried again; those that were where failures go.

    Raises:
        TransientError: the mailbox is out of reach, or what cannot be read in it may be one of them.
    """
    with closing(imap_session.connect(settings.imap)) as session:
        if not session.enter(settings.labels.failed):
            return set()
        found: dict[int, str] = {}
        refused: set[int] = set()
        for arrival in session.arrivals(session.uids(), refused):
            with suppress(MessageGoneError):
                reference = fetch_reference(session, arrival, settings.imap)
                if reference in references:
                    found[arrival.uid] = reference
        if refused and not found:
            raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
        if found:
            session.move(list(found), settings.imap.mailbox)
    return set(found.values())
