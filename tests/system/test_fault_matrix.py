"""Every service fails in every way: in the end there is one of everything, and no mail waits without need."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest

from integrations.claude import Claude
from integrations.clickup.client import ClickUp
from integrations.errors import ConfigurationError, TransientError
from integrations.hubspot.client import HubSpot
from integrations.r2 import R2
from integrations.sandbox import Fault, Refusal
from integrations.smtp import Smtp
from poller.cli.samples import samples
from poller.daemon.daemon import Daemon
from poller.workflow.retry import RetryPolicy
from tests.support.faulty_relay import Break, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.workflow.status import MessageStatus
    from tests.conftest import Office
    from tests.support.faulty_relay import Kind

MAILS = samples()
NOTHING = {"contacts": 0, "tickets": 0, "notes": 0, "subtasks": 0, "files": 0, "notifications": 0}
ONE_SUPPORT = NOTHING | {"contacts": 1, "tickets": 1, "notifications": 1}
ONE_MODELISATION = {"contacts": 1, "tickets": 1, "notes": 1, "subtasks": 1, "files": 1, "notifications": 1}
TIMEOUT_S = 0.5  # less than a trickle takes for a byte

# The call of each step: service, method, and what its path is.
CALLS = {
    "classify": ("anthropic", "POST", re.compile("/messages$")),
    "upload_files": ("s3", "PUT", re.compile("")),
    "find_or_create_contact": ("hubspot", "POST", re.compile("/contacts$")),
    "create_ticket": ("hubspot", "POST", re.compile("/tickets$")),
    "create_note": ("hubspot", "POST", re.compile("/notes$")),
    "create_subtask": ("clickup", "POST", re.compile("/list/[0-9]+/task$")),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, office: Office) -> None:
    """No client waits for long."""
    short = {"connect_timeout_s": TIMEOUT_S, "read_timeout_s": TIMEOUT_S}
    monkeypatch.setattr("poller.dispatch.clients.R2", partial(R2, **short))
    monkeypatch.setattr("poller.dispatch.clients.HubSpot", partial(HubSpot, **short))
    monkeypatch.setattr("poller.dispatch.clients.ClickUp", partial(ClickUp, **short))
    monkeypatch.setattr("poller.dispatch.clients.Smtp", partial(Smtp, timeout_s=TIMEOUT_S))
    monkeypatch.setattr("integrations.claude.Claude", partial(Claude, timeout_s=TIMEOUT_S))
    office.environment["IMAP_TIMEOUT_S"] = str(TIMEOUT_S)


@pytest.fixture
def imap(office: Office) -> Iterator[Relay]:
    """What stands between the daemon and the mailbox."""
    with Relay(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        yield relay


@pytest.fixture
def smtp(office: Office) -> Iterator[Relay]:
    """What stands between the daemon and its mail server."""
    with Relay(office.sandbox.smtp.port) as relay:
        office.environment["SMTP_PORT"] = str(relay.port)
        yield relay


@dataclass(frozen=True, slots=True)
class Mending(RetryPolicy):
    """Mends what is broken at the first failure."""

    mend: Callable[[], object] = lambda: None

    def until(self, now: datetime, failures: int, retry_after_s: float | None) -> datetime:
        self.mend()
        return RetryPolicy.until(self, now, failures, retry_after_s)


@dataclass(frozen=True, slots=True)
class Eager(RetryPolicy):
    """Lets a message come back soon, though its service is to be left alone for the delays."""

    def until(self, now: datetime, *_: object) -> datetime:
        return now + timedelta(seconds=0.05)


def modelling(office: Office) -> bytes:
    """A mail that the rules are unsure about and that Claude takes for a modelling request, with one file."""
    office.sandbox.anthropic.decide = lambda _: {"category": "MODELISATION", "confidence": 0.9, "reason": "Un plan."}
    return MAILS["ambiguous"]


def calls(office: Office, step: str) -> int:
    """How often the call of a step arrived."""
    service, method, path = CALLS[step]
    fault = Fault("status", method, path)
    return sum(fault.matches(request) for request in getattr(office.sandbox, service).requests)


def outcomes(statuses: dict[str, MessageStatus]) -> list[str]:
    return sorted(status.outcome for status in statuses.values())


SOON, LATER = {"Retry-After": "0.3"}, {"Retry-After": "600"}


@pytest.mark.parametrize(
    ("kind", "options", "carried_out"),
    [
        ("reset", {}, False),
        ("timeout", {}, False),
        ("status", {"status": 429, "body": {}}, False),
        ("status", {"status": 429, "body": {}, "headers": SOON}, False),
        ("status", {"status": 500}, False),
        ("status", {"status": 503}, False),
        ("garbage", {}, False),
        ("status_after_commit", {"status": 504}, True),
        ("status_after_commit", {"status": 429, "body": {}}, True),
        ("cut_after_commit", {}, True),
        ("hang_after_commit", {}, True),
        ("trickle", {}, True),
    ],
    ids=lambda value: str(value).translate({ord(each): None for each in "{}' "}),
)
def test_one_failure_of_any_call_makes_no_duplicates(
    office: Office, kind: Any, options: dict[str, Any], carried_out: bool
) -> None:
    """What was carried out is found and not done again; what was not is done."""
    for service, method, path in CALLS.values():
        office.fail(service, Fault(kind, method, path, **options))
    assert outcomes(office.once(modelling(office))) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION
    assert office.mailboxes() == {"Modélisation": 1}
    # Claude may be asked again, and R2 refuses a second writing: for the others there is a look.
    looked_for = ("find_or_create_contact", "create_ticket", "create_note", "create_subtask")
    assert [calls(office, step) for step in looked_for] == [1 if carried_out else 2] * 4


def test_retry_after_pauses_only_that_service(office: Office) -> None:
    """Retry-After counts for every message that needs the service, and for no other service."""
    office.environment["STATE_WORKERS"] = "1"  # nobody else is on the way when it says so
    office.fail("hubspot", Fault("status", status=429, headers=LATER))
    before = datetime.now(UTC)
    ended = office.once(MAILS["support"], MAILS["modelisation"], modelling(office))
    after = datetime.now(UTC)
    assert outcomes(ended) == ["waiting"] * 3
    assert len(office.sandbox.hubspot.requests) == 1
    asked = timedelta(seconds=int(LATER["Retry-After"]))
    untils = [status.result.until for status in ended.values() if status.result.until]
    assert len(untils) == 3
    assert all(before + asked <= until <= after + asked for until in untils)
    assert len(office.sandbox.anthropic.requests) == 2  # about those that came after
    assert office.counts() == NOTHING | {"files": 1}


@pytest.mark.parametrize("service", ["anthropic", "s3", "hubspot", "clickup", "smtp"])
def test_service_down_at_first_is_used_once_up(office: Office, service: str) -> None:
    """Its port is closed when it is first needed, and open from then on."""
    down = getattr(office.sandbox, service)
    down.stop()
    start = cache(down.start)
    office.retry_policy = Mending(delays_s=(0.05,), mend=start)
    try:
        assert outcomes(office.once(modelling(office))) == ["modelisation"]
    finally:
        start()
    assert office.counts() == ONE_MODELISATION


@pytest.mark.parametrize("after", [False, True], ids=["not carried out", "carried out"])
@pytest.mark.parametrize("kind", ["close", "reset", "silence", "garbage", "trickle"])
def test_one_failure_of_fetch_and_label_repeats_nothing(office: Office, imap: Relay, kind: Kind, after: bool) -> None:
    """Nothing is done twice, and the mail is under its label."""
    imap.breaks += [Break(kind, b"BODY.PEEK[]<", after), Break(kind, b" UID MOVE ", after)]
    office.once(modelling(office))
    assert imap.breaks == []
    assert office.counts() == ONE_MODELISATION
    assert office.mailboxes() == {"Modélisation": 1}


@pytest.mark.parametrize("kind", ["reset", "silence", "garbage"])
def test_failed_fetch_of_waiting_message_is_retried(office: Office, imap: Relay, kind: Kind) -> None:
    """What was done is known, and the message is fetched once more for the rest: that is tried again as anything is."""
    office.fail("clickup", Fault("status"))
    imap.breaks += [Break(kind, b"BODY.PEEK[]<", after=False, skip=1)]
    assert outcomes(office.once(modelling(office))) == ["modelisation"]
    assert imap.breaks == []
    assert office.counts() == ONE_MODELISATION


@pytest.mark.parametrize("kind", ["close", "reset", "silence", "garbage", "trickle"])
@pytest.mark.parametrize("command", [b"AUTHENTICATE", b"SELECT", b"SEARCH", b"RFC822.SIZE"])
def test_once_with_unreachable_mailbox_works_at_next_run(
    office: Office, imap: Relay, command: bytes, kind: Kind
) -> None:
    """`once` says that it is out of reach; the next time everything is done."""
    # It goes on by itself after the first cut, and by day it searches twice before it does without.
    times = {b"SEARCH": 3, b"RFC822.SIZE": 2}.get(command, 1)
    imap.breaks += [Break(kind, command, after=True)] * times
    with pytest.raises(TransientError, match="IMAP"):
        office.once(MAILS["support"])
    assert office.counts() == NOTHING
    office.environment["IMAP_TIMEOUT_S"] = "20"
    assert outcomes(office.once()) == ["support"]
    assert office.counts() == ONE_SUPPORT


@pytest.mark.parametrize("kind", ["close", "reset", "silence", "garbage", "trickle"])
@pytest.mark.parametrize(
    ("command", "after", "letters"), [(b"mail FROM", False, 1), (b"\r\n.\r\n", False, 1), (b"\r\n.\r\n", True, 2)]
)
def test_one_smtp_failure_sends_at_most_one_copy(
    office: Office, smtp: Relay, kind: Kind, command: bytes, after: bool, letters: int
) -> None:
    """Only a letter whose fate is unknown is sent once more, under the same Message-ID."""
    smtp.breaks += [Break(kind, command, after)]
    assert outcomes(office.once(MAILS["support"])) == ["support"]
    assert smtp.breaks == []
    assert office.counts() == ONE_SUPPORT | {"notifications": letters}
    assert len({letter.message["Message-ID"] for letter in office.sandbox.smtp.messages}) == 1


@pytest.mark.parametrize("kind", ["reset", "silence", "garbage"])
def test_unconfirmed_notification_is_sent_at_most_twice(office: Office, smtp: Relay, kind: Kind) -> None:
    """Two letters of unknown fate are enough: the mail is finished."""
    smtp.breaks += [Break(kind, b"\r\n.\r\n", after=True) for _ in range(5)]
    assert outcomes(office.once(MAILS["support"])) == ["support"]
    assert office.counts() == ONE_SUPPORT | {"notifications": 2}


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "421 4.3.2 later"])
def test_failed_mail_is_filed_after_delayed_failure_notice(office: Office, reply: str) -> None:
    """The mail is filed under Échecs, where a person sees it: after the letter, or without one that is refused."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))
    refused = reply.startswith("5")
    office.sandbox.smtp.fail(Refusal("rcpt", reply, times=None if refused else 1))
    assert outcomes(office.once(MAILS["support"])) == ["failed"]
    assert office.mailboxes() == {"Échecs": 1}
    assert office.counts() == NOTHING | {"contacts": 1, "notifications": 0 if refused else 1}


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (Refusal("rcpt", "550 5.1.1 no such user", times=None), "support"),
        (Refusal("data", "552 5.2.2 mailbox full", times=None), "support"),
        (Refusal("data", "554 5.6.0 this content", times=None), "failed"),
    ],
    ids=["no such admin", "full mailbox", "content"],
)
def test_notification_that_reaches_nobody_fails_no_request(office: Office, refusal: Refusal, outcome: str) -> None:
    """It is filed under its outcome, and an unread receipt says why. A refusal of this letter alone is its failure."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.sandbox.smtp.fail(refusal)
    assert outcomes(office.once(MAILS["support"])) == [outcome]
    mailbox = "Support" if outcome == "support" else "Échecs"
    assert office.mailboxes() == {mailbox: 2}
    assert office.counts() == ONE_SUPPORT | {"notifications": 0}
    with office.sandbox.imap.session() as client:
        client.select_folder(mailbox)
        (uid,) = client.search(["HEADER", "X-Figurative-Poller", "receipt"])
        found = client.fetch(uid, ["FLAGS", "BODY.PEEK[]"])[uid]
    assert b"\\Seen" not in found[b"FLAGS"]
    receipt = message_from_bytes(found[b"BODY[]"], policy=default).get_body(("plain",)).get_content()
    assert ("NOTIFICATION_EMAIL" in receipt) == (outcome == "support")


@pytest.mark.parametrize("step", [*CALLS, "send_notification"])
def test_refused_key_loses_no_mail(office: Office, step: str) -> None:
    """The run ends, or the mail waits where the service was good before; with the right key it goes on from there."""
    if step == "send_notification":
        office.sandbox.smtp.fail(Refusal("mail", "530 5.7.0 Authentication required", times=None))
    else:
        service, method, path = CALLS[step]
        office.fail(service, Fault("status", method, path, status=401, times=None))
    try:
        assert outcomes(office.once(modelling(office))) == ["waiting"]
    except ConfigurationError as error:
        assert re.search(r"HubSpot|ClickUp|R2|Claude|SMTP", str(error))  # noqa: PT017  either is right
    assert office.mailboxes() == {"INBOX": 1}
    alerts = office.counts()["notifications"]
    for mended in (office.sandbox.anthropic, office.sandbox.s3, office.sandbox.hubspot, office.sandbox.clickup):
        mended.heal()
    office.sandbox.smtp.heal()
    assert outcomes(office.once()) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION | {"notifications": alerts + 1}
    assert office.mailboxes() == {"Modélisation": 1}


def break_down(office: Office, service: str) -> None:
    """Let a service refuse everything, until it is healed."""
    fault = Refusal("mail", "421 4.3.2 later", times=None) if service == "smtp" else Fault("status", times=None)
    getattr(office.sandbox, service).fail(fault)


@pytest.mark.parametrize("service", ["s3", "hubspot", "clickup", "smtp"])
def test_waiting_mail_stays_in_inbox_and_waits_after_restart(office: Office, service: str) -> None:
    """A restart tries once what waits for that service, and nothing more is made."""
    office.retry_policy = RetryPolicy(delays_s=(0.05, 0.05, 3600.0))  # longer than `once` waits
    break_down(office, service)
    (status,) = office.once(modelling(office)).values()
    assert (status.outcome, status.result.until is not None) == ("waiting", True)
    made = office.counts()
    assert all(count <= ONE_MODELISATION[what] for what, count in made.items())
    servers = {name: getattr(office.sandbox, name) for name in ("s3", "hubspot", "clickup")}
    for server in servers.values():
        server.requests.clear()
    assert outcomes(office.once()) == ["waiting"]
    assert {name: len(server.requests) for name, server in servers.items()} == dict.fromkeys(servers, 0) | (
        {service: 1} if service in servers else {}
    )
    assert office.counts() == made
    assert office.mailboxes() == {"INBOX": 1}


@pytest.mark.parametrize(
    ("service", "support_needs_it"), [("s3", False), ("clickup", False), ("hubspot", True), ("smtp", True)]
)
def test_outage_delays_only_mails_needing_that_service(office: Office, service: str, support_needs_it: bool) -> None:
    """The others are done meanwhile, and these when it is over: by themselves, and once."""
    tries, done = itertools.count(1), []

    def mend() -> None:
        if next(tries) >= 4 and (support_needs_it or "support" in done):
            getattr(office.sandbox, service).heal()

    break_down(office, service)
    for raw in (modelling(office), MAILS["support"]):
        office.sandbox.imap.deliver(raw)
    daemon = Daemon(office.settings, retry_policy=Mending(delays_s=(0.2,), mend=mend))
    daemon.once(lambda _, status: done.append(status.outcome))
    assert sorted(done) == ["modelisation", "support"]
    assert next(tries) > 4
    assert office.counts() == {what: ONE_SUPPORT[what] + count for what, count in ONE_MODELISATION.items()}
    assert office.mailboxes() == {"Modélisation": 1, "Support": 1}


def test_gateway_losing_every_answer_makes_no_duplicates(office: Office) -> None:
    """Every POST is carried out and ends in 504: the look finds what it made, and nothing waits."""
    for service in ("hubspot", "clickup"):
        office.fail(service, Fault("status_after_commit", "POST", re.compile("(objects/[a-z]+|/task)$"), None, 504))
    assert outcomes(office.once(modelling(office))) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION


def test_clickup_outage_does_not_delay_other_mails(office: Office) -> None:
    """Twenty mails: what needs no ClickUp is done meanwhile, ClickUp is hardly asked, and then the rest follows."""
    office.sandbox.hubspot.rate_limit = office.sandbox.clickup.rate_limit = None
    office.environment |= {"HUBSPOT_CALLS_PER_10S": "1000", "CLICKUP_CALLS_PER_MIN": "1000"}
    office.fail("clickup", Fault("status", times=None))
    clickup, numbers = office.sandbox.clickup, itertools.count()
    for name in ("modelisation", "modelisation", "support", "modelisation") * 5:
        number = str(next(numbers)).encode()
        office.sandbox.imap.deliver(MAILS[name].replace(b"@samples.example>", b"@%b.example>" % number))
    done: list[str] = []
    asked: list[int] = []
    daemon = Daemon(office.settings, retry_policy=Eager(delays_s=(600,)))

    def finished(_: str, status: MessageStatus) -> None:
        done.append(status.outcome)
        if done.count("support") == 5 and not asked:
            asked.append(len(clickup.requests))
            assert "modelisation" not in done
            clickup.heal()
            daemon._engine.breaker("clickup").answered()

    daemon.once(finished)
    assert sorted(done) == ["modelisation"] * 15 + ["support"] * 5
    assert office.mailboxes() == {"Modélisation": 15, "Support": 5}
    assert office.counts() == ONE_SUPPORT | {
        "contacts": 2,
        "notes": 15,
        "subtasks": 15,
        "tickets": 20,
        "notifications": 20,
    }
    # Once by each worker that was on its way, however soon the messages come back.
    assert 1 <= asked[0] <= 4
