"""Tests of the `retry` command."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.daemon.daemon import Daemon
from poller.workflow import lock
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office


def test_retry_moves_failed_message_to_inbox(office: Office) -> None:
    """It moves the message as a person would in a mail client. The next run goes on from the failed step."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    (reference,) = office.once(samples()["modelisation_with_files"])
    assert "poller list --failed" in run("status", environment=office.environment).stdout
    office.sandbox.hubspot.heal()
    assert run("retry", reference, environment=office.environment).exit_code == 0
    assert office.mailboxes() == {"INBOX": 1}
    again = run("retry", reference, environment=office.environment)
    assert run("retry", "--failed", environment=office.environment).stdout == again.stdout
    assert (again.exit_code, "already in INBOX" in again.stdout) == (0, True)
    assert [status.outcome for status in office.once().values()] == ["modelisation"]
    assert office.counts()["tickets"] == 1
    assert run("retry", reference, environment=office.environment).exit_code == 1
    assert run("retry", "--failed", environment=office.environment).stderr == "nothing to do\n"
    assert run("retry", environment=office.environment).exit_code == 2


def test_retry_all_leaves_mail_filed_by_a_person(office: Office) -> None:
    """Two that we filed go back in one go; the third was never ours."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))
    references = office.once(samples()["support"], samples()["bug"])
    with office.sandbox.imap.session() as client:
        client.append("Échecs", samples()["modelisation"])
    result = run("retry", "--failed", environment=office.environment)
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        [reference, "is", "back"] for reference in sorted(references)
    ]
    assert office.mailboxes() == {"INBOX": 2, "Échecs": 1}


LATER = Fault("status", status=429, headers={"Retry-After": "3000"}, times=None)


def test_retry_of_waiting_message_says_what_happens(office: Office) -> None:
    """Without a daemon nothing is left behind: the next one tries at once, though it was asked to wait for an hour."""
    office.fail("hubspot", LATER)
    (reference,) = office.once(samples()["support"])
    for named, them in ((reference, "it"), ("--waiting", "them")):
        alone = run("retry", named, environment=office.environment)
        assert alone.exit_code == 0
        next_one = f"no daemon runs on this state, the next `poller run` or `poller once` tries {them} at once"
        assert next_one in alone.stdout
        with lock.lock(office.state):
            assert f"the daemon tries {them} now" in run("retry", named, environment=office.environment).stdout
    assert {path.name for path in office.state.glob("retry-*")} == {f"retry-{reference}", "retry-waiting"}
    office.sandbox.hubspot.heal()
    assert [status.outcome for status in office.once().values()] == ["support"]
    assert run("retry", "--waiting", environment=office.environment).stderr == "nothing to do\n"
    assert list(office.state.glob("retry-*")) == []


def test_retry_has_the_daemon_try_a_waiting_message(office: Office) -> None:
    """Its service asked for an hour, and answers by now."""
    office.fail("hubspot", LATER)
    office.sandbox.imap.deliver(samples()["support"])
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        daemon.poll()
        (reference,) = ended(daemon)
        assert not ended(daemon, within_s=0.2)
        office.sandbox.hubspot.heal()
        assert "the daemon tries it now" in run("retry", reference, environment=office.environment).stdout
        assert ended(daemon) == {reference: "support"}
    finally:
        daemon.stop()


def ended(daemon: Daemon, within_s: float = 30) -> dict[str, str]:
    """Tick until a message stops, and return what became of it."""
    tick, deadline = threading.Event(), time.monotonic() + within_s
    while not (stopped := daemon.tick()) and time.monotonic() < deadline:
        tick.wait(0.02)
    return {reference: status.outcome for reference, status in stopped.items()}


def test_retry_leaves_alone_who_waits_for_a_turn(office: Office) -> None:
    """It says so, and until when."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
    raw = samples()["support"]
    statuses = office.once(*(raw.replace(b"Message-ID: <", b"Message-ID: <%d" % number) for number in range(2)))
    (reference,) = (ref for ref, status in statuses.items() if status.outcome == "waiting")
    one = run("retry", reference, environment=office.environment)
    assert one.exit_code == 75
    assert re.search(r"waits for its turn until [\d: -]+ CES?T: its sender writes too often", one.stderr)
    both = run("retry", "--waiting", environment=office.environment)
    assert both.stdout == "1 message waits for its turn behind a rate limit; retry does not change that.\n"
