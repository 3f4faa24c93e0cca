"""Local stand-ins for every service, on real sockets of 127.0.0.1, for the demo, trial mails and the tests."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from integrations.sandbox.anthropic import Anthropic
from integrations.sandbox.clickup import ClickUp
from integrations.sandbox.dovecot import Dovecot, DovecotError
from integrations.sandbox.hubspot import HubSpot
from integrations.sandbox.imap import Pymap, imap_server
from integrations.sandbox.s3 import S3
from integrations.sandbox.smtp import Refusal, Smtp
from integrations.sandbox.stand_in import Fault, RateLimit, StandIn

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Fault", "RateLimit", "Refusal", "Sandbox"]


class Sandbox:
    """A context manager that runs an empty stand-in for every service we use. It starts in about two seconds."""

    def __init__(self) -> None:
        self.hubspot = HubSpot()
        self.clickup = ClickUp()
        self.anthropic = Anthropic()
        self.s3 = S3()
        self.smtp = Smtp()
        self.imap: Dovecot | Pymap = imap_server()  # the one that runs, once it is entered
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as started, ThreadPoolExecutor() as pool:
            # In parallel: S3 alone takes a second, and IMAP waits for another process.
            imap = pool.submit(self._start_imap)
            others = [(each, pool.submit(each.start)) for each in self._http_and_smtp]
            imap.result()
            started.callback(self.imap.stop)
            for service, starting in others:
                started.callback(service.stop)
                starting.result()
            self._running = started.pop_all()
        return self

    def _start_imap(self) -> None:
        """Start Dovecot. Where it does not start, say why in one line and start the server in Python in its place."""
        try:
            self.imap.start()
        except DovecotError as error:
            print(f"{error}. A smaller IMAP server in Python takes its place.", file=sys.stderr)  # noqa: T201
            self.imap = Pymap()
            self.imap.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    @property
    def _http_and_smtp(self) -> tuple[StandIn | Smtp, ...]:
        return (self.hubspot, self.clickup, self.anthropic, self.s3, self.smtp)

    def reset(self) -> None:
        """Empty every service, the mailboxes too, and end every fault."""
        for each in (*self._http_and_smtp, self.imap):
            each.reset()

    def environment(self) -> dict[str, str]:
        """Return the settings that point the daemon at these services, by environment variable."""
        return {
            "ANTHROPIC_API_KEY": self.anthropic.api_key,
            "ANTHROPIC_BASE_URL": self.anthropic.url,
            "HUBSPOT_API_KEY": self.hubspot.token,
            "HUBSPOT_BASE_URL": self.hubspot.url,
            "HUBSPOT_HUB_ID": self.hubspot.hub_id,
            "HUBSPOT_PIPELINE_ID": "0",
            "HUBSPOT_STAGE_NEW": "1",
            "CLICKUP_API_KEY": self.clickup.token,
            "CLICKUP_BASE_URL": self.clickup.base_url,
            "CLICKUP_PARENT_TASK_ID": self.clickup.parent_id,
            "R2_ACCESS_KEY_ID": self.s3.access_key_id,
            "R2_SECRET_ACCESS_KEY": self.s3.secret_access_key,
            "R2_BUCKET_NAME": self.s3.bucket,
            "R2_ENDPOINT_URL": self.s3.url,
            "R2_PUBLIC_URL": self.s3.public_url,
            "NOTIFICATION_EMAIL": "admin@figurative.example",
            "SMTP_HOST": self.smtp.host,
            "SMTP_PORT": str(self.smtp.port),
            "SMTP_SECURITY": "none",
            "SMTP_SENDER": "poller@figurative.example",
            "IMAP_HOST": self.imap.host,
            "IMAP_PORT": str(self.imap.port),
            "IMAP_SECURITY": self.imap.security,
            "IMAP_USERNAME": self.imap.username,
            "IMAP_PASSWORD": self.imap.password,
        }
