"""A mail that the daemon sends to the mailbox it reads: who else would notice that nothing arrives any more?

A mailbox that silently stopped receiving looks like a quiet day. So a marked mail goes the way that customers' mails
go, and must arrive, be known for what it is, and be filed as ignored, within a time. Nobody else's mail is taken for
it: its token is random, and kept in the memory when it is sent.
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
    from poller.workflow.facts import Memory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

AGAIN = timedelta(minutes=5)  # at most, before one that could not be sent is sent anew
AWAITED = 10  # late ones that may still come
REMEMBERED = timedelta(days=30)  # for which a verdict holds over a restart

_VERDICT = "canary-verdict|"  # before the moment of one: since when it is missing, "" for all is well again


class Canary:
    """Sends its mail at an interval and waits for it; a restart sends anew, and waits for that one.

    That one is missing is remembered, so that a restart is no news: neither good nor bad.
    """

    def __init__(self, settings: Settings, memory: Memory, send: Callable[[EmailMessage], None]) -> None:
        """Nothing is sent or read yet; `send` raises a ServiceError or a ConfigurationError."""
        self._interval = timedelta(minutes=settings.canary.interval_min)
        self._late = timedelta(minutes=settings.canary.late_min)
        self._sender, self._address = settings.sender, str(settings.canary.address or settings.imap.username)
        self._memory, self._send = memory, send
        self._sent: dict[str, datetime] = {}  # by token, those that have not arrived, the first sent first
        self._due: datetime | None = None
        self._deaf_until: datetime | None = None  # when it was last known that nobody listens
        self._remembered = False  # whether the last verdict was asked for
        self.decided = (
            False  # whether it is known if mail arrives: not from a start until the first one has, or has not
        )
        self.missing_since: datetime | None = None  # when the first was sent that did not arrive; None: all is well

    def look(self, now: datetime, *, deaf: bool = False) -> None:
        """See whether it has arrived, and send the next one when that is due; `now` is aware, UTC.

        `deaf` says that what has arrived would not be seen now: the mailbox is out of reach, or there is more in it
        than can be worked on. Then nothing is late, and nothing is sent.
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
        if latest := self._memory.latest(_VERDICT, now - REMEMBERED, 1):
            since = latest[0][1]
            self.missing_since = datetime.fromisoformat(since) if since else None
            self.decided = self.missing_since is not None
        self._remembered = True

    def _is_late(self, at: datetime, now: datetime) -> bool:
        return now - max(at, self._deaf_until or at) >= self._late

    def _listen(self, now: datetime) -> None:
        arrived = [token for token in self._sent if self._memory.recall([arrival_key(token)])]
        if arrived:
            took_s = (now - self._sent[arrived[-1]]).total_seconds()
            log.info("canary_arrived", took_s=round(took_s))
            # Those that were sent before it are not waited for any more; those behind it are.
            tokens = list(self._sent)
            self._sent = {token: self._sent[token] for token in tokens[tokens.index(arrived[-1]) + 1 :]}
        if late := [at for at in self._sent.values() if self._is_late(at, now)]:
            self._miss(late[0], "what is sent to the mailbox does not arrive", now)
        elif arrived:
            self._be_content(now)

    def _fly(self, now: datetime) -> None:
        token = secrets.token_hex(16)
        self._memory.remember(fact_key(token), now.isoformat())
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
            self._memory.remember(f"{_VERDICT}{now.isoformat()}", since.isoformat())
            log.error("canary_missing", sent_at=since.isoformat(), why=why)
            self.missing_since = since
        self.decided = True

    def _be_content(self, now: datetime) -> None:
        if self.missing_since:
            self._memory.remember(f"{_VERDICT}{now.isoformat()}", "")
            log.warning("canary_back", missing_since=self.missing_since.isoformat())
            self.missing_since = None
        self.decided = True


def made(settings: Settings, memory: Memory, smtp: Smtp | None) -> Canary | None:
    """One as the settings want it, None where they want none."""
    return Canary(settings, memory, smtp.send) if settings.canary.interval_min and smtp else None


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
