"""The database and every service tried with the configured credentials, without leaving a trace."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from errno import EISDIR
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError, PermanentError, ServiceError
from integrations.net.failures import is_broken
from poller.dispatch.clients import services
from poller.forms.auth import forms_of
from poller.forms.message import address_of
from poller.imap import session as imap_session
from poller.imap.responses import advice
from poller.mailbox.reclassify_mailboxes import stranded
from poller.mailbox.source import KEYWORDS
from poller.monitoring import prometheus
from poller.monitoring.heartbeat import Heartbeat
from poller.workflow import database

FORMS_PACKAGES = ("python_multipart", "starlette", "uvicorn")  # of the extra "forms"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """What a service said."""

    service: str
    verdict: str  # "ok", "off", "refused", "unreachable"
    seen: str  # what was seen, or what to do about it

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @property
    def words(self) -> str:
        """What was seen, without the name of the service, which stands before it."""
        return re.sub(rf"^{self.service}:? ", "", self.seen)

    def as_line(self) -> str:
        """For a person."""
        return f"{self.verdict:<12} {self.service:<10} {self.words}"


def check(settings: Settings) -> Iterator[Checked]:
    """A result for the memory's database, for each service, and for port and file of the metrics, as they come."""
    live = services(settings)
    yield _tried("State", lambda: database.check(settings.state_url))
    yield _tried("IMAP", lambda: _open_mailbox(settings))
    for name, service, hint in (
        ("Anthropic", live.claude, "the rules decide alone; set ANTHROPIC_API_KEY"),
        ("R2", live.r2, "files stay in the mail; set R2_ACCESS_KEY_ID and the other R2_ settings"),
        ("HubSpot", live.hubspot, "no ticket is opened; set HUBSPOT_API_KEY and HUBSPOT_HUB_ID"),
        ("ClickUp", live.clickup, "no subtask is created; set CLICKUP_API_KEY and CLICKUP_PARENT_TASK_ID"),
        ("SMTP", live.smtp, "nobody is told; set SMTP_HOST and NOTIFICATION_EMAIL"),
    ):
        yield _tried(name, service.check) if service else Checked(name, "off", hint)
    if listen := settings.metrics.listen:
        yield _tried("Metrics", lambda: _listen(listen))
    if textfile := settings.metrics.textfile:
        yield _tried("Metrics", lambda: _write(Path(textfile)))


def check_beside(settings: Settings) -> Iterator[Checked]:
    """What the daemon does not ask for an answer: whether customers can read the files, and who would miss it."""
    if r2 := services(settings).r2:
        yield _tried("Links", r2.check_public)
    if url := settings.heartbeat.url:
        yield _tried("Heartbeat", lambda: _ask_keeper(str(url)))


def check_forms(settings: Settings) -> Iterator[Checked]:
    """Whether `poller forms` could serve the forms; nothing where there are none. The daemon does without them."""

    def serve() -> str:
        if missing := next((package for package in FORMS_PACKAGES if find_spec(package) is None), ""):
            raise ConfigurationError(f"{missing} is not installed: pip install '.[forms]'")
        names = ", ".join(forms_of(settings.forms))
        return f"{names}; from {address_of(settings)}"

    if settings.forms.names:
        yield _tried("Forms", serve)


def _tried(name: str, call: Callable[[], str]) -> Checked:
    try:
        return Checked(name, "ok", call())
    except ConfigurationError as error:
        return Checked(name, "refused", str(error))
    except ServiceError as error:
        # What the service said itself quotes no mail: there was none.
        words = [str(error), error.detail, advice(error.detail)]
        seen = ": ".join(word.rstrip(".") for word in words if word)
        hint = " (is the address right, and the service up?)" if is_broken(str(error)) else ""
        # Who answers that it will never do it is within reach.
        return Checked(name, "refused" if isinstance(error, PermanentError) else "unreachable", seen + hint)


def _ask_keeper(url: str) -> str:
    with closing(Heartbeat(url)) as heartbeat:
        return heartbeat.check()


def _listen(listen: str) -> str:
    try:
        prometheus.served(listen, str).server_close()
    except OSError as error:
        # `poller check` beside a daemon, or a daemon's own at a reload.
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
    with closing(imap_session.connect(settings.imap)) as session:
        seen = f"{settings.imap.mailbox}: {len(session.uids())} messages"
        lying = stranded(settings.labels, session.count)
        left = [f"{count} in {name!r}, which is turned off: nobody looks there" for name, count in lying.items()]
        return "; ".join([seen, *left, *session.shortcomings(KEYWORDS["support"])])
