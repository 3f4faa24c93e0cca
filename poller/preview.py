"""What a run would do with the messages that wait, without doing any of it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError
from poller import classification, confined, screening, senders
from poller.daemon import FIRST_START
from poller.inbox import Inbox
from poller.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.settings import Settings


def preview(settings: Settings, *, everything: bool = False) -> Iterator[dict[str, Any]]:
    """For each waiting message its reference and outcome, by the rules alone: Claude is not asked."""
    with closing(Inbox(settings)) as inbox, tempfile.TemporaryDirectory() as spool:
        if not everything:
            inbox.since = settings.imap.since or _first_start(settings)
        own = senders.own_domains(settings.imap)
        for reference in inbox.scan():
            path = Path(spool, "message.eml")
            fetched = inbox.fetch(reference, path)
            request = confined.parse(path, inbox.account, fetched.received_at)
            request = senders.identify(request, own, settings.imap.authserv_id)
            if reason := screening.screen(request, own=own, junk=fetched.junk):
                yield {"reference": reference, "outcome": "ignored", "reason": reason}
                continue
            found = classification.classify_request(request, None)
            sure = not found.needs_review
            reason = found.reason if sure else "the rules are unsure: Claude would be asked"
            yield {"reference": reference, "outcome": found.category.lower() if sure else "unsure", "reason": reason}


def _first_start(settings: Settings) -> date:
    try:
        with closing(Memory(settings)) as memory:
            first_start = memory.recall(FIRST_START)
    except ConfigurationError:
        first_start = ""
    return date.fromisoformat(first_start) if first_start else datetime.now(UTC).date()
