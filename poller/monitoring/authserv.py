"""Say what is off while no mail server's verdict on senders is believed, and propose the one seen in the last mails."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, TransientError
from poller.imap import session as imap_session
from poller.mime import headers
from poller.triage.auth_results import server_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from poller.config.settings import Settings
    from poller.imap.session import ImapSession

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIELD = b"authentication-results"
LAST = 20  # mails that are looked at
OFF = "no colleague is believed, so what one forwards or answers counts as a stranger's"


def advice(settings: Settings, session: ImapSession, unreadable: Collection[int] = ()) -> list[str]:
    """Return what to say of `imap.authserv_id`: one sentence, none if the last mails bear the configured name.

    The session may be in another mailbox afterwards. `unreadable` are UIDs that the server does not give.
    """
    seen, given = _servers(_last_headers(settings, session, unreadable)), settings.imap.authserv_id.lower()
    total = sum(seen.values())
    if given:
        return [] if not total or seen[given] else [f"none of the last {total} mails bears imap.authserv_id: {OFF}"]
    name = proposed(seen)
    hint = f", perhaps to {name!r}, which {seen[name]} of the last {total} mails bear" if name else ""
    return [f"{OFF}; set imap.authserv_id{hint}"]


def warn(settings: Settings) -> None:
    """Log what is off, and the name to set where the mailbox is in reach."""
    seen: Counter[str] = Counter()
    # A mailbox that is out of reach is told of by the poll.
    with suppress(TransientError, ConfigurationError), closing(imap_session.connect(settings.imap)) as session:
        seen = _servers(_last_headers(settings, session))
    log.warning("senders_not_verified", off=OFF, setting="imap.authserv_id", proposed=proposed(seen))


def proposed(seen: Counter[str]) -> str:
    """Return the name that most of the mails bear, "" if none has more than half of them: senders write such fields."""
    name, count = max(seen.items(), key=lambda each: each[1], default=("", 0))
    return name if 2 * count > sum(seen.values()) else ""


def _servers(found: Iterable[bytes]) -> Counter[str]:
    """Count the mails by the server of their topmost field, "" for those without one."""
    return Counter(
        server_of(headers.text_of(_FIELD, value)) if (value := headers.take_apart(header).first(_FIELD)) else ""
        for header in found
    )


def _last_headers(settings: Settings, session: ImapSession, unreadable: Collection[int] = ()) -> Iterator[bytes]:
    """Yield the headers of the last mails, from the polled mailbox and from those that processed mail is filed in."""
    labels, left = settings.labels, LAST
    for name in ("", labels.support, labels.modelisation, labels.ignored):
        if left and (not name or session.select(name)):
            uids = [uid for uid in session.uids() if name or uid not in unreadable]
            for summary in session.fetch_summaries(uids[-left:], set()):
                left -= 1
                yield summary.header
