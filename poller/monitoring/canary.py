"""Send a mail to the polled mailbox and await it, to notice when no mail arrives any more.

A mailbox that silently stopped receiving looks like a quiet day. So a marked mail goes the way that customers' mails
go. It must arrive, be recognised, and be filed as ignored, within a time. No other mail can be taken for it: its token
is random, and kept in the state store when it is sent.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.rendering.mail_page import Page, mail
from poller.triage.canary_mark import HEADER, arrival_key, fact_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from integrations.smtp import Smtp
    from poller.config.settings import Settings
    from poller.workflow.facts import FactStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

AGAIN = timedelta(minutes=5)  # at most, until a canary that could not be sent is tried again
AWAITED = 10  # late canaries that may still come
REMEMBERED = timedelta(days=30)  # for so long a verdict outlasts a restart

_VERDICT = "canary-verdict|"  # and the time of the verdict: since when the canary is missing, "" for all is well again


class CanarySender:
    """Sender of the canary mails, at an interval.

    After a restart a new canary is sent and awaited. A missing canary is remembered, so that a restart brings neither
    good nor bad news.
    """

    def __init__(self, settings: Settings, store: FactStore, send: Callable[[EmailMessage], None]) -> None:
        """Prepare the canary. Nothing is sent or read yet. `send` raises a ServiceError or a ConfigurationError."""
        self._interval = timedelta(minutes=settings.canary.interval_min)
        self._late = timedelta(minutes=settings.canary.late_min)
        self._sender, self._address = settings.sender, str(settings.canary.address or settings.imap.username)
        self._store, self._send = store, send
        self._sent: dict[str, datetime] = {}  # by token, those that have not arrived, the first sent first
        self._due: datetime | None = None
        self._deaf_until: datetime | None = None  # when new mail was last known not to be seen
        self._remembered = False  # whether the last verdict was asked for
        self.decided = (
            False  # whether it is known if mail arrives: False from a start until the first canary arrives or is late
        )
        self.missing_since: datetime | None = None  # when the first missing canary was sent; None: all is well

    def run(self, now: datetime, *, deaf: bool = False) -> None:
        """Check whether the canary has arrived, and send the next one when it is due. `now` is aware, UTC.

        `deaf` says that a mail which has arrived would not be seen now: the mailbox is out of reach, or there is more
        in it than can be worked on. Then no canary is late, and none is sent.
        """
        if not self._remembered:
            self._remember_the_last(now)
        if deaf:
            self._deaf_until = now
        self._listen(now)
        waiting = any(not self._is_late(at, now) for at in self._sent.values())
        if not deaf and not waiting and (self._due is None or now >= self._due):
            self._fly(now)

    def _remember_the_last(self, now: datetime) -> None:
        if latest := self._store.latest(_VERDICT, now - REMEMBERED, 1):
            since = latest[0][1]
            self.missing_since = datetime.fromisoformat(since) if since else None
            self.decided = self.missing_since is not None
        self._remembered = True

    def _is_late(self, at: datetime, now: datetime) -> bool:
        return now - max(at, self._deaf_until or at) >= self._late

    def _listen(self, now: datetime) -> None:
        arrived = [token for token in self._sent if self._store.recall([arrival_key(token)])]
        if arrived:
            took_s = (now - self._sent[arrived[-1]]).total_seconds()
            log.info("canary_arrived", took_s=round(took_s))
            # Canaries that were sent before it are no longer awaited. Later ones are.
            tokens = list(self._sent)
            self._sent = {token: self._sent[token] for token in tokens[tokens.index(arrived[-1]) + 1 :]}
        if late := [at for at in self._sent.values() if self._is_late(at, now)]:
            self._miss(late[0], "what is sent to the mailbox does not arrive", now)
        elif arrived:
            self._be_content(now)

    def _fly(self, now: datetime) -> None:
        token = secrets.token_hex(16)
        self._store.remember(fact_key(token), now.isoformat())
        problem = ""
        try:
            self._send(_letter(token, self._sender, self._address, now))
        except (ServiceError, ConfigurationError) as error:
            problem = str(error)
        if not problem:
            self._due = now + self._interval
            self._sent = dict([*self._sent.items(), (token, now)][-AWAITED:])
            return
        self._due = now + min(self._interval, AGAIN)
        self._miss(now, problem, now)

    def _miss(self, since: datetime, why: str, now: datetime) -> None:
        if not self.missing_since:
            self._store.remember(f"{_VERDICT}{now.isoformat()}", since.isoformat())
            log.error("canary_missing", sent_at=since.isoformat(), why=why)
            self.missing_since = since
        self.decided = True

    def _be_content(self, now: datetime) -> None:
        if self.missing_since:
            self._store.remember(f"{_VERDICT}{now.isoformat()}", "")
            log.warning("canary_recovered", missing_since=self.missing_since.isoformat())
            self.missing_since = None
        self.decided = True


def made(settings: Settings, store: FactStore, smtp: Smtp | None) -> CanarySender | None:
    """Create the canary as the settings want it. None where they want none, or where SMTP is off."""
    return CanarySender(settings, store, smtp.send) if settings.canary.interval_min and smtp else None


def _letter(token: str, sender: str, address: str, now: datetime) -> EmailMessage:
    page = Page(
        kicker="Contrôle automatique",
        title="La boîte aux lettres reçoit",
        box=("", ()),
        facts=(("Rien à faire", "Le service s’est envoyé ce message pour vérifier que les messages arrivent."),),
        buttons=(),
        files=(),
        reference=token,
    )
    letter = mail(page, "Contrôle de la boîte aux lettres", "canary", sender=sender, recipient=address, now=now)
    letter[HEADER] = token
    return letter
