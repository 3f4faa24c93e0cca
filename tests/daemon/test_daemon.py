"""Work of a daemon on its mailbox, over restarts too."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault, Refusal
from poller import child_process
from poller.cli.samples import samples
from poller.daemon.daemon import Daemon
from poller.daemon.scheduler import Scheduler
from poller.imap.fetch import MessageSummary
from poller.mailbox.scanner import MailboxSnapshot
from poller.monitoring.poll_health import PollHealth
from poller.workflow import dbos_runtime
from poller.workflow.retry import RetryPolicy
from tests.support.command import run
from tests.support.faulty_relay import Break, Relay
from tests.support.imap_provider import Provider
from tests.support.running_daemon import waiting_at
from tests.test_child_process import sleep

if TYPE_CHECKING:
    from poller.workflow.status import MessageStatus
    from tests.conftest import Office

MAILS = samples()
DEADLINE_S = 10.0
NEVER_S = 3600.0


def outcomes(statuses: dict[str, MessageStatus]) -> list[str]:
    return sorted(status.outcome for status in statuses.values())


def drag_back(office: Office) -> None:
    """Move all failed messages back into the inbox, as a person does."""
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        client.move(client.search(), "INBOX")


def refuse_tickets(office: Office) -> None:
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))


def test_second_copy_of_failed_mail_is_filed_without_retry(office: Office) -> None:
    """It is filed beside the first; no service hears of it, and nobody is told once more."""
    refuse_tickets(office)
    assert outcomes(office.once(MAILS["support"])) == ["failed"]
    office.sandbox.hubspot.requests.clear()
    assert office.once(b"X-Alias: 2\n" + MAILS["support"]) == {}
    assert office.sandbox.hubspot.requests == []
    assert office.counts()["notifications"] == 1
    assert office.mailboxes() == {"Échecs": 2}


@pytest.mark.parametrize("outcome", ["failed", "waiting"])
def test_old_mail_once_admitted_is_not_skipped_again(office: Office, outcome: str) -> None:
    """Asked for by `once --all`, it failed and was dragged back, or waits; one that nobody asked for stays."""
    old = datetime.now(UTC) - timedelta(days=5)
    with office.sandbox.imap.session() as client:
        client.append("INBOX", MAILS["support"], msg_time=old)
    later = {"Retry-After": "3600"}
    fault = Fault("status", "POST", status=400 if outcome == "failed" else 429, headers=later, times=None)
    office.fail("hubspot", fault)
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    assert outcomes(daemon.once(lambda *_: None, everything=True)) == [outcome]
    with office.sandbox.imap.session() as client:
        client.append("INBOX", MAILS["bug"], msg_time=old)
    if outcome == "waiting":
        assert outcomes(office.once()) == ["waiting"]
        return
    office.sandbox.hubspot.heal()
    drag_back(office)
    assert outcomes(office.once()) == ["support"]
    assert office.mailboxes() == {"INBOX": 1, "Support": 1}


def test_poll_finds_message_queued_without_confirmation(office: Office) -> None:
    """As when the database's answer to the queueing was lost: an idle daemon does not read its queue."""
    reference = "f" * 16
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        daemon.tick()
        daemon._engine.submit(reference)
        daemon.poll()
        deadline = time.monotonic() + DEADLINE_S
        while (
            daemon._engine.store.statuses([reference])[reference].outcome == "working" and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        assert outcomes(daemon._engine.store.statuses([reference])) == ["gone"]
    finally:
        daemon.stop()


def test_service_answer_clears_earlier_refusal(office: Office) -> None:
    """A short outage, weeks after, is no reason to change a key."""
    daemon, now = Daemon(office.settings), datetime.now(UTC)
    breaker = daemon._engine.breaker("hubspot")
    breaker.answered()
    breaker.failed(now, now)
    daemon.handle_refusal("hubspot", ConfigurationError("HTTP 401"))
    assert daemon.status().refused == {"hubspot": "HTTP 401"}
    breaker.answered()
    assert daemon.status().refused == {}
    breaker.failed(now, now)
    assert daemon.status().refused == {}


def test_restart_asks_once_a_service_that_asked_for_time(office: Office) -> None:
    """It may answer by now. If not, its word holds for every message again."""
    office.fail("hubspot", Fault("status", status=429, headers={"Retry-After": "3000"}, times=None))
    office.environment["STATE_WORKERS"] = "1"
    mails = (MAILS["support"], MAILS["bug"], MAILS["modelisation"])
    assert outcomes(office.once(*mails)) == ["waiting"] * 3
    office.sandbox.hubspot.requests.clear()
    assert outcomes(office.once()) == ["waiting"] * 3
    assert len(office.sandbox.hubspot.requests) == 1
    office.sandbox.hubspot.heal()
    assert outcomes(office.once()) == ["modelisation", "support", "support"]


def test_login_refused_after_good_poll_does_not_end_daemon(office: Office) -> None:
    """Though no mail has come yet: a password that is refused from then on is waited out, and ends nothing."""
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        daemon.poll()
        daemon.inbox.close()
        wrong = office.settings.imap.model_copy(update={"password": SecretStr("wrong")})
        daemon.inbox._sessions._imap = wrong
        with pytest.raises(ConfigurationError) as refused:
            daemon.poll()
        daemon.handle_refusal("imap", refused.value)
    finally:
        daemon.stop()


def test_once_tells_a_refusal_that_comes_in_its_last_tick(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick has looked for refusals already when the message begins to wait, for longer than `once` does."""
    tick = Scheduler.tick

    def late(scheduler: Scheduler) -> dict[str, MessageStatus]:
        for reference in scheduler.working:
            dbos_runtime.database().await_workflow_result(reference, 0.01)
        return tick(scheduler)

    monkeypatch.setattr(Scheduler, "tick", late)
    office.fail("clickup", Fault("status", "POST", "/api/v2/list/", status=401, times=None))
    with pytest.raises(ConfigurationError, match="CLICKUP_API_KEY"):
        office.once(MAILS["modelisation"])


def test_lagging_clickup_list_makes_no_duplicate_subtask(office: Office) -> None:
    """The subtask is there and its answer lost. ClickUp's list shows it a second later, and the check waits."""
    office.sandbox.clickup.list_lag_s = 0.7
    office.fail("clickup", Fault("cut_after_commit", "POST", re.compile("/task$")))
    office.retry_policy = RetryPolicy(delays_s=(0.05,), settle_s=0.8)
    assert outcomes(office.once(MAILS["modelisation"])) == ["modelisation"]
    assert office.counts()["subtasks"] == 1


def test_mailbox_failure_before_send_is_not_a_send_attempt(office: Office) -> None:
    """The mail is read anew for the letter, twice in vain: nothing was sent, so it is sent, once."""
    with Relay(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        # Taken at first, so that the letter has to be written anew in the step that hands it over.
        office.sandbox.smtp.fail(Refusal("data", "421 4.3.2 later"))
        relay.breaks += [Break("reset", b"BODY.PEEK[]<", after=False, skip=1) for _ in range(2)]
        assert outcomes(office.once(MAILS["support"])) == ["support"]
        assert relay.breaks == []
    assert office.counts()["notifications"] == 1


def test_mail_filed_with_lost_answer_is_finished_after_restart(office: Office) -> None:
    """The answer to the label was lost, and the mailbox does not show the mail any more: the next start has it."""
    office.retry_policy = RetryPolicy(delays_s=(3600.0,), settle_s=0)
    with Relay(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        relay.breaks += [Break("close", b" UID MOVE ", after=True)]
        waiting = office.once(MAILS["support"])
    assert outcomes(waiting) == ["waiting"]
    assert office.mailboxes() == {"Support": 1}
    office.environment["IMAP_PORT"] = str(office.sandbox.imap.port)
    daemon = Daemon(office.settings)
    try:
        daemon.start()
        assert daemon.waiting.keys() == waiting.keys()
    finally:
        daemon.stop()


def test_no_message_starts_before_first_scan(office: Office) -> None:
    """Not one that was in hand when the process last ended either; and then as many as there are workers."""
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    assert not daemon._places.acquire(blocking=False)
    daemon.start()
    workers = office.settings.state.workers
    assert [daemon._places.acquire(blocking=False) for _ in range(workers + 1)] == [True] * workers + [False]
    daemon.stop()


def test_rate_limited_mail_is_not_late(office: Office) -> None:
    """It waits as it should, and the admin has been told of it; what waits for a service counts since it came."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
    office.fail("hubspot", Fault("status", path="/crm", status=503, times=None))
    at = datetime.now(UTC).replace(microsecond=0)
    with office.sandbox.imap.session() as client:
        for number in range(2):
            raw = samples()["support"].replace(b"Message-ID: <", b"Message-ID: <%d" % number)
            client.append("INBOX", raw, msg_time=at)
    daemon = Daemon(office.settings, retry_policy=RetryPolicy(delays_s=(NEVER_S,)))
    daemon.once(lambda *_: None)
    assert len(daemon.waiting) == 2
    ((came, service, reason),) = daemon.status().waits
    assert (came, service) == (at, "hubspot")
    assert "503" in reason


def test_once_ends_when_messages_are_moved_back_each_time(office: Office) -> None:
    """As by a rule of another client: it is tried twice, and not for ever."""
    refuse_tickets(office)
    office.sandbox.imap.deliver(MAILS["support"])
    ended: list[str] = []

    def move_back(reference: str, _: MessageStatus) -> None:
        ended.append(reference)
        assert len(ended) < 5
        drag_back(office)

    Daemon(office.settings, retry_policy=office.retry_policy).once(move_back)
    assert len(ended) == 2


def test_late_messages_are_found_in_one_scan(office: Office) -> None:
    """However many wait: the workers are kept from the mailbox meanwhile."""

    class Counted(dict[int, tuple[str, MessageSummary]]):
        rounds = 0

        def items(self) -> Any:
            self.rounds += 1
            return super().items()

        def values(self) -> Any:
            self.rounds += 1
            return super().values()

    daemon = Daemon(office.settings)
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    found = Counted(
        {number: (f"{number // 2:016x}", MessageSummary(number, 9, at + timedelta(number), b"")) for number in range(6)}
    )
    daemon.inbox._scanner.seen = MailboxSnapshot(waiting=found)
    result = {"step": "create_ticket", "reason": "HTTP 503", "gate": ""}
    daemon.waiting.update({f"{number:016x}": waiting_at(at, result) for number in range(5)})
    assert [(when - at).days for when, *_ in daemon.status().waits] == [0, 2, 4]
    assert found.rounds == 1


def test_refused_label_stops_no_ticket_of_other_mail(office: Office) -> None:
    """Over quota, the mailbox still gives its mail: each has its ticket, and waits for its label in its words."""
    basic = "IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE"
    with Provider(basic, basic, denied={"UID MOVE": "NO [OVERQUOTA] Over quota"}) as server:
        office.environment |= {"IMAP_PORT": str(server.port), "STATE_WORKERS": "1"}
        office.retry_policy = RetryPolicy(delays_s=(NEVER_S,), settle_s=0)
        for name in ("support", "bug"):
            server.deliver(MAILS[name].replace(b"\n", b"\r\n"))
        first, second = sorted(office.once().values(), key=lambda status: status.result.breaker)
        assert office.counts()["tickets"] == 2
        assert (first.service, second.service) == ("labels", "labels")
        assert first.result.reason == "IMAP LABEL: the server says no: [OVERQUOTA] Over quota"
        assert second.result.reason == "IMAP (labels) is out of reach"


def test_label_that_was_never_taken_does_not_end_daemon(office: Office) -> None:
    """A mailbox that cannot be made is a setting to mend, of which the admin is told: tickets go on."""
    daemon = Daemon(office.settings)
    daemon.handle_refusal("labels", ConfigurationError("mailbox 'Support' cannot be created: Permission denied"))
    status = daemon.status()
    assert (list(status.refused), status.misconfigured) == (["labels"], {"labels"})


def test_wrong_property_of_one_category_holds_back_its_mail_alone(office: Office) -> None:
    """The alert names the category and the property; with the setting corrected, each mail has one ticket."""
    office.environment["HUBSPOT_TICKET_PROPERTIES"] = '{ modelisation = { studio = "3D" } }'
    for name in ("modelisation", "support"):
        office.sandbox.imap.deliver(MAILS[name])
    daemon = Daemon(office.settings)
    statuses = daemon.once(lambda *_: None)
    assert outcomes(statuses) == ["support", "waiting"]
    (told,) = office.reporter(daemon, PollHealth(DEADLINE_S)).incidents(datetime.now(UTC), daemon.status())
    assert told.title == "La création des tickets MODELISATION\xa0: un réglage est à corriger"
    assert "studio" in told.origin
    del office.environment["HUBSPOT_TICKET_PROPERTIES"]
    assert outcomes(office.once(MAILS["bug"])) == ["modelisation", "support"]
    assert office.counts()["tickets"] == 3


def test_renamed_host_continues_what_waits(office: Office) -> None:
    """The provider has renamed it: the mail in hand is the same, and has one ticket in the end."""
    office.fail("clickup", Fault("status", status=401, times=1))
    with pytest.raises(ConfigurationError):
        office.once(MAILS["modelisation"])
    office.environment["IMAP_HOST"] = "localhost"
    assert outcomes(office.once()) == ["modelisation"]
    assert office.counts()["tickets"] == 1


def test_other_mailbox_ends_start_and_touches_nothing(office: Office) -> None:
    """Until a person says that it is the same: then the state goes on under its name."""
    office.once()
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with pytest.raises(ConfigurationError, match="belongs to the mailbox"):
        office.once()
    with office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
    said = run("state", "adopt", environment=office.environment)
    assert said.exit_code == 0
    assert "under the name support@figurative.example@127.0.0.1/INBOX" in said.stdout
    assert office.once() == {}


def test_stop_ends_what_is_being_read_and_reload_waits_for_it(office: Office) -> None:
    """A service manager need not signal our processes, and a file may take minutes. The next start reads it anew."""
    daemon = Daemon(office.settings)
    with child_process.run(sleep, limit_s=30) as (answer, child, late):
        daemon.stop(None)
        assert child.is_alive()
        daemon.stop()
        with pytest.raises(EOFError):
            child_process.received(answer, 10)
        assert not late.is_set()
