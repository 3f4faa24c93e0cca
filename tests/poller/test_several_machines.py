"""Three machines, one mailbox, one memory: one dies, one freezes and thaws, and every mail is dispatched once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from poller.samples import samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.conftest import Office

MAILS = samples()
TAKEOVER_S = 6
WORKERS = 3
DEADLINE_S = 100


class Fleet:
    """Daemons on machines of their own: each has its state directory, and all have one database."""

    def __init__(self, office: Office, database: str, directory: Path) -> None:
        self._office, self._database, self._directory = office, database, directory
        self.daemons: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """One more."""
        number = len(self.daemons)
        settings = {
            "STATE_URL": self._database,
            "STATE_TAKEOVER_S": str(TAKEOVER_S),
            "STATE_WORKERS": str(WORKERS),
            "IMAP_POLL_INTERVAL_S": "0.5",
            "XDG_STATE_HOME": str(self._directory / f"machine-{number}"),
        }
        with self._log(number).open("wb") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "poller", "run"],
                env=os.environ | self._office.environment | settings,
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        self.daemons.append(daemon)

    def log(self, number: int) -> str:
        """What a daemon has said so far."""
        return self._log(number).read_text()

    def send(self, number: int, sent: signal.Signals) -> None:
        """A signal to one of them."""
        self.daemons[number].send_signal(sent)

    def _log(self, number: int) -> Path:
        return self._directory / f"{number}.log"


@pytest.fixture
def fleet(office: Office, database: str, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(office, database, tmp_path)
    yield fleet
    for daemon in fleet.daemons:
        daemon.kill()
        daemon.wait()


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.05)


def deliver(office: Office, number: int, series: str) -> None:
    """So many mails, of both kinds, each under an id of its own."""
    for each in range(number):
        raw = MAILS["modelisation_with_files" if each % 2 else "support"]
        office.sandbox.imap.deliver(raw.replace(b"@samples", f".{series}{each}@samples".encode()))


def references(texts: Iterable[str]) -> Counter[str]:
    return Counter(reference for text in texts for reference in re.findall(r"\[ref: ([0-9a-f]{16})\]", text))


@pytest.mark.timeout(300)
def test_one_machine_dies_and_one_freezes_and_thaws(fleet: Fleet, office: Office) -> None:
    """One of everything for every mail; a notification that was on its way at that moment may come twice, as itself."""
    deliver(office, 40, "first")
    for _ in range(3):
        fleet.begin()
    until(lambda: all(fleet.log(number).count("step_done") >= 5 for number in range(3)))
    fleet.send(0, signal.SIGKILL)
    fleet.send(1, signal.SIGSTOP)
    until(lambda: "INBOX" not in office.mailboxes())
    assert "machines_taken_over" in fleet.log(2)
    fleet.send(1, signal.SIGCONT)
    deliver(office, 10, "second")
    until(lambda: "INBOX" not in office.mailboxes())
    for number in (1, 2):
        fleet.send(number, signal.SIGTERM)
        assert fleet.daemons[number].wait(timeout=DEADLINE_S) == 0, fleet.log(number)

    assert office.mailboxes() == {"Support": 25, "Modélisation": 25}
    box = office.sandbox
    assert len(box.hubspot.contacts) == 2
    assert Counter(references(ticket.properties["content"] for ticket in box.hubspot.tickets).values()) == {1: 50}
    assert Counter(references(note.properties["hs_note_body"] for note in box.hubspot.notes).values()) == {1: 25}
    assert Counter(references(task.markdown for task in box.clickup.subtasks).values()) == {1: 25}
    assert len(box.s3.objects) == 50
    letters = Counter(letter.message["Message-ID"] for letter in box.smtp.messages)
    assert len(letters) == 50
    assert max(letters.values()) <= 2
    assert letters.total() <= 50 + 2 * WORKERS
