"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Sandbox
from poller import configuration
from poller.daemon import Daemon
from poller.engine import Engine
from poller.journal import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integrations.sandbox.stand_in import Fault
    from poller.memory import Standing
    from poller.settings import Settings


class Office:
    """A support mailbox with every service behind it, and the daemon that works on it."""

    def __init__(self, sandbox: Sandbox, state: Path) -> None:
        self.sandbox = sandbox
        self.state = state
        self.environment = sandbox.environment() | {"STATE_URL": f"sqlite:///{state / 'poller.sqlite'}"}
        self.patience = Patience(delays_s=(0.05,))

    @property
    def settings(self) -> Settings:
        return configuration.from_names({name: value for name, value in self.environment.items() if value})

    def once(self, *mails: bytes) -> dict[str, Standing]:
        """Deliver mails, and let the daemon drain the mailbox."""
        for raw in mails:
            self.sandbox.imap.deliver(raw)
        return Daemon(self.settings, patience=self.patience).once(lambda *_: None)

    def mailboxes(self) -> dict[str, int]:
        """How many messages lie in each mailbox that has any."""
        counts = {name: len(self.sandbox.imap.messages(name)) for name in self.sandbox.imap.mailboxes()}
        return {name: count for name, count in counts.items() if count}

    def counts(self) -> dict[str, int]:
        """How many of everything there is at the services."""
        box = self.sandbox
        return {
            "contacts": len(box.hubspot.contacts),
            "tickets": len(box.hubspot.tickets),
            "notes": len(box.hubspot.notes),
            "subtasks": len(box.clickup.subtasks),
            "files": len(box.s3.objects),
            "notifications": len(box.smtp.messages),
        }

    def fail(self, service: str, fault: Fault) -> None:
        """Put a fault into one of the HTTP services."""
        getattr(self.sandbox, service).fail(fault)


@pytest.fixture(scope="session")
def _sandbox_session() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(_sandbox_session: Sandbox) -> Sandbox:
    """Every service on loopback, empty and in good health."""
    _sandbox_session.reset()
    return _sandbox_session


@pytest.fixture(scope="session")
def _empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that has been used before: making the tables anew would cost each test a second."""
    path = tmp_path_factory.mktemp("empty")
    engine = Engine(f"sqlite:///{path / 'poller.sqlite'}", path, lambda _: {})
    engine.start()
    engine.stop()
    return path


@pytest.fixture
def office(sandbox: Sandbox, _empty_state: Path, tmp_path: Path) -> Office:
    """An empty mailbox, empty services, and no memory."""
    shutil.copytree(_empty_state, tmp_path / "state")
    return Office(sandbox, tmp_path / "state")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that is skipped is a test that nobody runs."""
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
