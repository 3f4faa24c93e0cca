"""Three machines, one mailbox, one memory: one dies, one freezes and thaws, and every mail is dispatched once."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from poller.cli.samples import samples
from tests.support import stored_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.conftest import Office
    from tests.support.forked_cli import Fork

MAILS = samples()
TAKEOVER_S = 6
WORKERS = 3
DEADLINE_S = 100


class Fleet:
    """Daemons on machines of their own: each has its state directory, and all have one database."""

    def __init__(self, office: Office, database: str, directory: Path) -> None:
        self._office, self._database, self._directory = office, database, directory
        self._daemons: list[Fork] = []
        self._logs: list[list[str]] = []
        self._readers: list[threading.Thread] = []

    def begin(self) -> None:
        """One more."""
        daemon = self._office.begin(
            "run",
            STATE_URL=self._database,
            STATE_TAKEOVER_S=str(TAKEOVER_S),
            STATE_WORKERS=str(WORKERS),
            IMAP_POLL_INTERVAL_S="0.5",
            HUBSPOT_CALLS_PER_10S="1000",
            CLICKUP_CALLS_PER_MIN="1000",
            XDG_STATE_HOME=str(self._directory / f"machine-{len(self._daemons)}"),
        )
        log: list[str] = []
        reader = threading.Thread(target=lambda: log.extend(daemon.stderr))
        reader.start()
        self._daemons.append(daemon)
        self._logs.append(log)
        self._readers.append(reader)

    def log(self, number: int) -> str:
        """What a daemon has said so far."""
        return "".join(self._logs[number])

    def send(self, number: int, sent: signal.Signals) -> None:
        """A signal to one of them."""
        self._daemons[number].send_signal(sent)

    def returncode(self, number: int) -> int:
        """How one of them ended; waits until it has."""
        return self._daemons[number].returncode

    def end(self) -> None:
        """End all that still run."""
        for daemon, reader in zip(self._daemons, self._readers, strict=True):
            daemon.send_signal(signal.SIGKILL)
            reader.join()
            daemon.end()


@pytest.fixture
def fleet(office: Office, database: str, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(office, database, tmp_path)
    yield fleet
    fleet.end()


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("waited for too long")
        time.sleep(0.05)


def deliver(office: Office, number: int, series: str) -> None:
    """So many mails, of both kinds, each under an id of its own."""
    for each in range(number):
        raw = MAILS["modelisation_with_files" if each % 2 else "support"]
        office.sandbox.imap.deliver(raw.replace(b"@samples", f".{series}{each}@samples".encode()))


def references(texts: Iterable[str]) -> Counter[str]:
    return Counter(reference for text in texts for reference in re.findall(r"\[ref: ([0-9a-f]{16})\]", text))


@pytest.mark.timeout(300)
def test_dead_and_frozen_machines_make_no_duplicates(fleet: Fleet, office: Office) -> None:
    """One of everything for every mail; a notification that was on its way at that moment may come twice, as itself."""
    office.sandbox.hubspot.rate_limit = office.sandbox.clickup.rate_limit = None
    deliver(office, 24, "first")
    for _ in range(3):
        fleet.begin()
    until(lambda: all(fleet.log(number).count("step_done") >= 5 for number in range(3)))
    fleet.send(0, signal.SIGKILL)
    fleet.send(1, signal.SIGSTOP)
    until(lambda: "INBOX" not in office.mailboxes())
    assert "machines_taken_over" in fleet.log(2)
    fleet.send(1, signal.SIGCONT)
    deliver(office, 6, "second")
    until(lambda: "INBOX" not in office.mailboxes())
    for number in (1, 2):
        fleet.send(number, signal.SIGTERM)
        assert fleet.returncode(number) == 0, fleet.log(number)

    assert office.mailboxes() == {"Support": 15, "Modélisation": 15}
    box = office.sandbox
    assert len(box.hubspot.contacts) == 2
    assert Counter(references(ticket.properties["content"] for ticket in box.hubspot.tickets).values()) == {1: 30}
    assert Counter(references(note.properties["hs_note_body"] for note in box.hubspot.notes).values()) == {1: 15}
    assert Counter(references(task.markdown for task in box.clickup.subtasks).values()) == {1: 15}
    assert len(stored_files.sent(box)) == 30
    letters = Counter(letter.message["Message-ID"] for letter in box.smtp.messages)
    assert len(letters) == 30
    assert max(letters.values()) <= 2
    assert letters.total() <= 30 + 2 * WORKERS
