"""Tests of the `purge` command: old finished messages are forgotten, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from integrations.sandbox import Fault
from poller.cli import audit, purge
from poller.cli.purge import forget
from poller.cli.samples import samples
from poller.daemon.daemon import Daemon
from poller.workflow import store as store_module
from poller.workflow.database import open_store
from tests.support.command import run
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Office


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def an_answer(to: str, number: int) -> bytes:
    return (
        "From: elise@martin-mobilier.example\r\nTo: support@figurative.example\r\n"
        f"Message-ID: <answer-{number}@samples.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
        f"Subject: Re: Ondine\r\nIn-Reply-To: <{to}>\r\n\r\nEn noyer, finalement.\r\n"
    ).encode()


def remembered(office: Office) -> dict[str, str]:
    with closing(open_store(office.settings)) as store:
        return {message.reference: message.status.outcome for message in store.messages()}


def test_purge_leaves_nothing_of_message_in_sqlite_file(office: Office) -> None:
    """No reference, no id, no address of a file, neither in the database nor in its log; beside a daemon at work."""
    ended = office.once(samples()["modelisation_with_files"], samples()["support"], samples()["auto_reply"])
    made = [status.result for status in ended.values()]
    traces = [*ended, *(result.ticket.url for result in made if result.ticket)]
    traces += [url for result in made for url in result.files]
    traces += [result.contact_id for result in made if result.contact_id]
    assert len(traces) == 9

    def left() -> list[str]:
        held = b"".join(path.read_bytes() for path in office.state.glob("poller.sqlite*"))
        return [trace for trace in traces if trace.encode() in held]

    assert len(left()) == len(traces)
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        assert forget(office.settings, soon(), dry_run=True) == forget(office.settings, soon())
        assert left() == []
        assert daemon.poll() == 0
    finally:
        daemon.stop()
    office.sandbox.imap.deliver(samples()["bug"])
    assert [status.outcome for status in office.once().values()] == ["support"]


def test_purge_works_on_postgresql(office: Office, database: str) -> None:
    """On PostgreSQL, whose rows are freed."""
    office.environment["STATE_URL"] = database
    office.once(samples()["auto_reply"], samples()["support"])
    assert {name for name, count in forget(office.settings, soon()).items() if count} >= {"ignored", "support"}
    assert remembered(office) == {}


def test_purge_keeps_recent_and_unfinished_messages(office: Office) -> None:
    """A message that waits, one that failed until a person has taken it away, one that a person put back, a new one."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    (failed,) = office.once(samples()["support"])
    office.fail("hubspot", Fault("status", status=429, headers={"Retry-After": "3000"}, times=None))
    (waiting,) = office.once(samples()["bug"])
    (done,) = (ref for ref, status in office.once(samples()["auto_reply"]).items() if status.outcome == "ignored")
    assert forget(office.settings, datetime.now(UTC) - timedelta(days=2)).total() == 0
    with office.sandbox.imap.session() as client:
        client.select_folder("Ignorés")
        client.move(client.search(), "INBOX")
    forget(office.settings, soon())
    assert remembered(office) == {failed: "failed", waiting: "waiting", done: "ignored"}
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.move(client.search(["SUBJECT", "Absence"]) or client.search(["HEADER", "Auto-Submitted", ""]), "Ignorés")
        client.create_folder("Vu")
        client.select_folder("Échecs")
        client.move(client.search(), "Vu")
    assert forget(office.settings, soon())["failed"] == 1
    assert remembered(office) == {waiting: "waiting"}


def test_purge_keeps_failure_record_with_its_message(office: Office) -> None:
    """Else the receipt of its failure would stay unread where failures go when it is done in the end."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    (failed,) = office.once(samples()["support"])
    assert office.mailboxes() == {"Échecs": 2}
    forget(office.settings, soon())
    with closing(open_store(office.settings)) as store:
        assert store.facts("failed-").keys() == {f"failed-{failed}"}
    with office.sandbox.imap.session() as client:
        client.create_folder("Vu")
        client.select_folder("Échecs")
        client.move(client.search(), "Vu")
    forget(office.settings, soon())
    with closing(open_store(office.settings)) as store:
        assert store.facts("failed-") == {}


def test_failures_are_kept_while_one_of_them_cannot_be_read(office: Office) -> None:
    """Any of them may be the one. Neither does an audit call a message gone that may be there."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 UIDPLUS MOVE") as server:
        office.environment |= {"IMAP_PORT": str(server.port), "LABELS_FAILED": "Failed"}
        server.deliver(samples()["support"])
        office.once()
        server.refused = dict.fromkeys(server.boxes["Failed"], "NO Internal failure reading the message")
        assert forget(office.settings, soon())["failed"] == 0
        (finding,) = audit.find_problems(office.settings)
        assert (finding.problem, finding.remedy) == ("not found under 'Failed', but not every message can be read", "")
        server.refused.clear()
        server.boxes["Failed"].clear()
        assert forget(office.settings, soon())["failed"] == 1


def test_purge_keeps_thread_with_any_kept_message(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer to an answer finds its ticket; when all of it is forgotten, the next answer opens one of its own.

    The parts in which messages are deleted make no difference.
    """
    monkeypatch.setattr(store_module, "_AT_ONCE", 1)
    monkeypatch.setattr(purge, "AT_ONCE", 1)
    (root,) = office.once(samples()["modelisation_with_files"])
    (answer,) = office.once(an_answer("modelisation_with_files@samples.example", 1))
    with sqlite3.connect(office.state / "poller.sqlite") as state:
        state.execute("UPDATE workflow_status SET updated_at = 0 WHERE workflow_uuid = ?", (root,))
    state.close()
    forget(office.settings, datetime.now(UTC) - timedelta(hours=1))
    assert remembered(office).keys() == {root, answer}
    office.once(an_answer("answer-1@samples.example", 2))
    assert office.counts()["tickets"] == 1
    assert forget(office.settings, soon())["modelisation"] == 3
    assert remembered(office) == {}
    assert {each.outcome for each in office.once(an_answer("answer-2@samples.example", 3)).values()} <= {
        "support",
        "modelisation",
    }
    assert office.counts()["tickets"] == 2


def test_purge_keeps_thread_of_waiting_reply(office: Office) -> None:
    """It waits for HubSpot with the ticket in hand: what it remembers in the end must lead somewhere."""
    (root,) = office.once(samples()["modelisation_with_files"])
    later = {"Retry-After": "3000"}
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=429, headers=later))
    status = office.once(an_answer("modelisation_with_files@samples.example", 1))
    assert [each.outcome for each in status.values()] == ["waiting"]
    forget(office.settings, soon())
    assert root in remembered(office)


def test_reply_to_unknown_first_message_does_not_wait(office: Office) -> None:
    """The state was restored, or a purge was stopped half way: the answer is a request of its own."""
    (root,) = office.once(samples()["modelisation_with_files"])
    with closing(open_store(office.settings)) as store:
        store.forget([root])
    office.once(an_answer("modelisation_with_files@samples.example", 1))
    assert office.counts()["tickets"] == 2


def test_purge_keeps_permanent_facts(office: Office) -> None:
    """First start, account, the secret that file keys are made with, and accepted keys stay; what is counted goes."""
    office.once(samples()["modelisation_with_files"])
    with closing(open_store(office.settings)) as store:
        kept = store.recall(["first-start", "file-secret"])
        assert kept.keys() == {"first-start", "file-secret"}
        assert store.facts("sender-")
    forget(office.settings, soon())
    with closing(open_store(office.settings)) as store:
        assert store.recall(kept) == kept
        assert {key.split("-")[0] for key in store.facts("")} == {"first", "file", "since", "accepted", "account"}


def test_purge_prints_counts(office: Office) -> None:
    """Counts on standard output; DAYS is at least as long as a sender's turns are counted."""
    office.once(samples()["auto_reply"])
    young = run("purge", "--older-than", "2", environment=office.environment)
    assert (young.exit_code, young.stdout, young.stderr) == (0, "", "nothing is old enough\n")
    with sqlite3.connect(office.state / "poller.sqlite") as store:
        store.execute("UPDATE workflow_status SET updated_at = 0 WHERE name = 'message'")
    store.close()
    counted = run("purge", "--older-than", "2", "--dry-run", "--json", environment=office.environment)
    assert json.loads(counted.stdout)["ignored"] == 1
    assert run("purge", "--older-than", "2", environment=office.environment).stdout.split() == ["1", "IGNORED"]
    assert run("list", environment=office.environment).stdout == ""
    assert run("purge", "--older-than", "1", environment=office.environment).exit_code == 2
