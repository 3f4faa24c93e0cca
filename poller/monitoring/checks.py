"""Check the database and every service with the configured credentials, without leaving a trace."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from errno import EISDIR
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from integrations.errors import ConfigurationError, PermanentError, ServiceError
from integrations.net.failures import is_broken
from poller.dispatch.clients import services
from poller.imap import session as imap_session
from poller.imap.responses import advice
from poller.inspection import process as inspection
from poller.inspection.f3d import client
from poller.learning import embedding, learned_model
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import stranded
from poller.mailbox.source import KEYWORDS
from poller.model import Outcome
from poller.monitoring import authserv, prometheus
from poller.monitoring.heartbeat import Heartbeat
from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
from poller.workflow import database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.config.settings import Settings


RECENT = timedelta(days=7)  # the age of messages that are read where `imap.since` names no day


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of one check."""

    service: str
    verdict: str  # "ok", "off", "refused", "unreachable"
    seen: str  # what was seen, or what to do about it

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Return what was seen, without the name of the service, which stands before it."""
        return re.sub(rf"^{self.service}:? ", "", self.seen)

    def as_line(self) -> str:
        """Format the result as a line for a person."""
        return f"{self.verdict:<12} {self.service:<10} {self.words}"


def check(settings: Settings) -> Iterator[Checked]:
    """Yield a result for each check, as they come.

    Checked are the state store's database, each service, the letters to customers, f3d, the learnt model, and the port
    and file of the metrics.
    """
    live = services(settings)
    yield tried("State", lambda: database.check(settings.state_url))
    yield tried("IMAP", lambda: _open_mailbox(settings))
    hubspot = partial(live.hubspot.check, settings.hubspot.ticket_properties.by_category()) if live.hubspot else None
    for name, test, hint in (
        ("Anthropic", live.claude and live.claude.check, "the rules decide alone; set ANTHROPIC_API_KEY"),
        ("R2", live.r2 and live.r2.check, "files stay in the mail; set R2_ACCESS_KEY_ID and the other R2_ settings"),
        ("HubSpot", hubspot, "no ticket is opened; set HUBSPOT_API_KEY and HUBSPOT_HUB_ID"),
        (
            "ClickUp",
            live.clickup and live.clickup.check,
            "no subtask is created; set CLICKUP_API_KEY and CLICKUP_PARENT_TASK_ID",
        ),
        ("SMTP", live.smtp and live.smtp.check, "nobody is told; set SMTP_HOST and NOTIFICATION_EMAIL"),
    ):
        yield tried(name, test) if test else Checked(name, "off", hint)
    if settings.acknowledgement.enabled:
        yield tried("Letters", lambda: _try_templates(settings))
    if settings.models.enabled and not inspection.is_installed():
        yield Checked("Models", "off", "no pictures and facts of 3D files; install requirements-models.lock")
    if f3d := settings.models.f3d:
        yield tried("f3d", lambda: _draw(f3d))
    if (mode := settings.learning.mode) == "decide" or (mode == "shadow" and embedding.is_installed()):
        yield tried("Learning", lambda: _embed(settings.directory, mode))
    if listen := settings.metrics.listen:
        yield tried("Metrics", lambda: _listen(listen))
    if textfile := settings.metrics.textfile:
        yield tried("Metrics", lambda: _write(Path(textfile)))


def check_beside(settings: Settings) -> Iterator[Checked]:
    """Check what gives the daemon itself no answer.

    That is whether customers can read the files, and whether the heartbeat service is in reach.
    """
    if r2 := services(settings).r2:
        yield tried("Links", r2.check_public)
    if url := settings.heartbeat.url:
        yield tried("Heartbeat", lambda: _ask_keeper(str(url)))


def tried(name: str, call: Callable[[], str]) -> Checked:
    """Return what a check came to; `call` returns what is said where it is well."""
    try:
        return Checked(name, "ok", call())
    except ConfigurationError as error:
        return Checked(name, "refused", str(error))
    except ServiceError as error:
        # No mail was sent, so the service's own words quote none.
        words = [str(error), error.detail, advice(error.detail)]
        seen = ": ".join(word.rstrip(".") for word in words if word)
        hint = " (is the address right, and the service up?)" if is_broken(str(error)) else ""
        # A service that gives a permanent error is in reach.
        return Checked(name, "refused" if isinstance(error, PermanentError) else "unreachable", seen + hint)


def _ask_keeper(url: str) -> str:
    with closing(Heartbeat(url)) as heartbeat:
        return heartbeat.check()


def _try_templates(settings: Settings) -> str:
    AcknowledgementWriter(settings)
    to = "customers get one" if settings.imap.authserv_id else "visitors of forms alone get one; see imap.authserv_id"
    return f"acknowledgement: {to}"


def _draw(f3d: Path) -> str:
    if not client.is_ready(f3d):
        raise ConfigurationError(
            f"{f3d} gives no picture; is its unit installed (systemd/README.md)? "
            "If so, look at `journalctl -u 'figurative-poller-f3d*'`"
        )
    return "a triangle was drawn"


def _embed(directory: Path, mode: str) -> str:
    embedding.require_installed()
    try:
        embedding.embed(["Bonjour"])
        model = learned_model.current(directory)
    except (embedding.EmbeddingFailedError, learned_model.UnusableModelError) as error:
        raise ConfigurationError(str(error)) from error
    return f"{mode}; learnt from {model.examples} requests, {model.accuracy:.0%} right by cross-validation"


def _listen(listen: str) -> str:
    try:
        prometheus.served(listen, CollectorRegistry()).server_close()
    except OSError as error:
        # The port belongs to a running daemon, beside `poller check` or at its own reload.
        if prometheus.is_served(listen):
            return f"{listen}, where a poller serves them already"
        raise ConfigurationError(f"{listen}: {error.strerror or error}; look at [metrics] listen") from error
    return f"{listen} is free"


def _write(textfile: Path) -> str:
    try:
        if textfile.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        with tempfile.TemporaryFile(dir=textfile.parent):
            pass
    except OSError as error:
        raise ConfigurationError(f"{textfile}: {error.strerror}; look at [metrics] textfile") from error
    return f"{textfile} can be written"


def _open_mailbox(settings: Settings) -> str:
    with closing(Inbox(settings)) as inbox:
        inbox.since = settings.imap.since or datetime.now(UTC).date() - RECENT
        inbox.scan()
        unreadable = sorted(inbox.unreadable)
    with closing(imap_session.connect(settings.imap)) as session:
        number = len(session.uids())
        seen = f"{settings.imap.mailbox}: {number} message{'' if number == 1 else 's'}"
        withheld = [f"the server does not give the message with UID {uid}" for uid in unreadable]
        lying = stranded(settings.labels, session.count)
        left = [f"{count} in {name!r}, which is turned off: nobody looks there" for name, count in lying.items()]
        if lacking := session.missing_rights([getattr(settings.labels, outcome) for outcome in KEYWORDS]):
            raise ConfigurationError(f"IMAP: nothing can be filed: {'; '.join(lacking)}")
        shortcomings = session.shortcomings(KEYWORDS[Outcome.SUPPORT])
        return "; ".join([seen, *withheld, *left, *shortcomings, *authserv.advice(settings, session, unreadable)])
