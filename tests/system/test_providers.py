"""Gmail, Exchange and lesser servers: what each can do is believed, and what it was told to do is looked after."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.dovecot import CAPABILITIES, Dovecot
from poller.config import loader
from poller.config.settings import ImapSettings
from poller.imap.session import ImapSession, connect
from poller.mailbox.inbox import Inbox
from poller.model import Outcome
from poller.monitoring import checks
from tests.support.faulty_relay import Break, Relay
from tests.support.imap_account import a_mail
from tests.support.imap_provider import EXCHANGE, GMAIL, SYSTEM, Provider
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.config.settings import Settings

RAW = b"From: a@b.example\r\nSubject: Bonjour\r\nMessage-ID: <1@b.example>\r\n\r\nTexte\r\n"
KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]
ALL_MAIL = "[Gmail]/Tous les messages"
BASIC = "IMAP4rev1 AUTH=PLAIN"  # what the least of servers has
EVERYTHING = f"{GMAIL} UIDPLUS MOVE"


def settings(server: object, **changes: object) -> ImapSettings:
    names = ("host", "port", "security", "username", "password")
    return ImapSettings.model_validate({name: getattr(server, name) for name in names} | changes)


def label(session: ImapSession, name: str = "Support", labels: tuple[str, ...] = ("Failed",)) -> None:
    session.label(session.uids(), name, KEYWORD, OTHERS, labels)


@pytest.fixture
def gmail() -> Iterator[Provider]:
    with Provider(f"{GMAIL} AUTH=PLAIN", EVERYTHING) as server:
        yield server


@pytest.fixture
def exchange() -> Iterator[Provider]:
    with Provider(EXCHANGE, f"{EXCHANGE} MOVE IMAP4rev2", permanent=f"{SYSTEM} $MDNSent") as server:
        yield server


@pytest.mark.parametrize("after", [EVERYTHING, GMAIL, f"{GMAIL} UIDPLUS"], ids=["all", "no MOVE", "UIDPLUS alone"])
def test_gmail_label_moves_mail_out_of_inbox_without_expunge(after: str) -> None:
    """It stays in "All Mail", nothing is expunged (which may delete), and what else it is labelled with stays."""
    with Provider(f"{GMAIL} AUTH=PLAIN", after) as server:
        mail, other = server.deliver(RAW), server.deliver(RAW.replace(b"<1@", b"<2@"))
        server.boxes |= {"Clients": {}}
        server.put(mail, "Clients")
        with closing(connect(settings(server))) as session:
            session.label(session.uids()[:1], "Support", KEYWORD, OTHERS)
        assert server.where(mail) == {ALL_MAIL, "Clients", "Support"}
        assert server.where(other) == {ALL_MAIL, "INBOX"}
        assert mail.flags == {KEYWORD}
        assert not [command for command in server.commands if "EXPUNGE" in command or r"\Deleted" in command]


def test_gmail_label_of_earlier_outcome_is_removed(gmail: Provider) -> None:
    """Put back into the inbox by a person, a failed mail keeps that label there, and is then done."""
    mail = gmail.deliver(RAW)
    gmail.boxes |= {"Failed": {}}
    gmail.put(mail, "Failed")
    with closing(connect(settings(gmail))) as session:
        label(session)
    assert gmail.where(mail) == {ALL_MAIL, "Support"}


def test_gmail_labels_are_case_insensitive(gmail: Provider) -> None:
    """A label that a person made in other letters is the one that is meant."""
    mail = gmail.deliver(RAW)
    gmail.boxes |= {"SUPPORT": {}}
    with closing(connect(settings(gmail))) as session:
        label(session)
    assert gmail.where(mail) == {ALL_MAIL, "SUPPORT"}


def test_exchange_gets_only_supported_commands(exchange: Provider) -> None:
    """MOVE, announced after login only; no keyword, no charset, and never IMAP4rev2."""
    mail = exchange.deliver(RAW)
    with closing(connect(settings(exchange))) as session:
        assert not session.keeps(KEYWORD)
        label(session)
    assert exchange.where(mail) == {"Support"}
    sent = "\n".join(exchange.commands)
    assert "UID MOVE" in sent
    assert not [word for word in ("ENABLE", "CHARSET", "KEYWORD", "STORE", "COPY") if word in sent]


@pytest.mark.parametrize(
    ("after", "permanent", "lies", "message"),
    [
        (EVERYTHING, SYSTEM, ("X-GM-LABELS",), "did not keep the label"),
        (EVERYTHING, SYSTEM, ("MOVE",), "still there"),
        (f"{EXCHANGE} MOVE", SYSTEM, ("MOVE",), "still there"),
        ("IMAP4rev1 MOVE", SYSTEM, ("MOVE",), "still there"),
        (BASIC, SYSTEM, ("COPY",), "has not copied"),
        (f"{BASIC} UIDPLUS", SYSTEM, ("COPY",), "has not copied"),
        (BASIC, SYSTEM, ("FLAGS",), "still there"),
    ],
)
def test_label_not_applied_by_server_is_an_error(
    after: str, permanent: str, lies: tuple[str, ...], message: str
) -> None:
    """It says OK and does nothing: the mail waits in the inbox, and is filed once when the server does its work."""
    with Provider(BASIC, after, permanent, lies=lies) as server:
        mail = server.deliver(RAW)
        with closing(connect(settings(server))) as session, pytest.raises(TransientError, match=message):
            label(session)
        assert "INBOX" in server.where(mail)
        server.lies = ()
        with closing(connect(settings(server))) as session:
            label(session)
            assert session.uids() == []
        assert [found.raw for found in server.boxes["Support"].values()] == [RAW]


def test_uidvalidity_change_stops_deleted_flag() -> None:
    """The UIDs that we know are other messages' there (RFC 9051 section 2.3.1.1)."""
    with Provider(BASIC, BASIC, SYSTEM, remade_by="Support") as server:
        mail = server.deliver(RAW)
        with closing(connect(settings(server))) as session, pytest.raises(TransientError, match="made anew"):
            label(session)
        assert mail.flags == set()


@pytest.mark.parametrize("told", [("STATUS",), ()], ids=["by STATUS", "not at all"])
@pytest.mark.parametrize("after", [BASIC, f"{BASIC} MOVE"])
def test_mail_is_filed_where_select_tells_no_uidvalidity(told: tuple[str, ...], after: str, tmp_path: Path) -> None:
    """RFC 3501 lets servers leave it out. Each message is known by its header all the same."""
    with Provider(BASIC, after, uidvalidity_in=told) as server, closing(Inbox(configured(server))) as inbox:
        server.deliver(RAW)
        (reference,) = inbox.scan()
        assert inbox.scan() == [reference]
        inbox.fetch(reference, tmp_path / "mail.eml")
        inbox.label(reference, Outcome.SUPPORT)
        assert inbox.scan() == []
        assert [mail.raw for mail in server.boxes["Support"].values()] == [RAW]


def test_label_works_when_server_drops_keyword(caplog: pytest.LogCaptureFixture) -> None:
    """It says that it keeps any: the mail is filed all the same, and nobody looks for the keyword afterwards."""
    with Provider(BASIC, f"{EXCHANGE} MOVE", lies=("FLAGS",)) as server:
        mail = server.deliver(RAW)
        with closing(connect(settings(server))) as session:
            label(session)
            assert not session.keeps(KEYWORD)
        assert server.where(mail) == {"Support"}
    assert caplog.text.count("keyword_not_kept") <= 1


@needs_dovecot
@pytest.mark.parametrize("without", [("MOVE",), ("MOVE", "UIDPLUS")], ids=["UIDPLUS", "nothing"])
@pytest.mark.parametrize("step", [b"CREATE", b"COPY", b"STORE", b"EXPUNGE"])
@pytest.mark.parametrize("after", [True, False])
def test_interrupted_label_leaves_no_second_copy(without: tuple[str, ...], step: bytes, after: bool) -> None:
    """Whichever answer was lost on the way, the next try sees what is there."""
    with Dovecot(without=without) as server, Relay(server.port) as relay:
        server.deliver(RAW)
        server.deliver(RAW.replace(b"Texte", b"Autre"))  # of the same size, and all but the same
        relay.breaks += [Break("close", b" " + step, after=after, skip=step == b"STORE")]
        with suppress(TransientError), closing(connect(settings(server, port=relay.port))) as session:
            session.label(session.uids()[:1], "Support", KEYWORD, OTHERS)
        with closing(connect(settings(server))) as session:
            label(session)
            assert session.uids() == []
        assert sorted(message.raw[-7:] for message in server.messages("Support")) == [b"Autre\r\n", b"Texte\r\n"]


@needs_dovecot
@pytest.mark.parametrize("kept", ["IMAP4rev1", "IMAP4rev1 UIDPLUS", "IMAP4rev1 NAMESPACE", "IMAP4rev1 MOVE"])
@pytest.mark.parametrize(("separator", "prefix"), [(".", "INBOX."), ("/", "")])
def test_minimal_imap_server_is_sufficient(kept: str, separator: str, prefix: str) -> None:
    """Cut down to the bare protocol, below the inbox and with dots: filed once, found again, and brought back."""
    without = set(CAPABILITIES.split()) - set(kept.split())
    with Dovecot(separator=separator, namespace_prefix=prefix, without=without) as server:
        server.deliver(RAW)
        with closing(connect(settings(server))) as session:
            label(session, "Traités/Support")
            assert session.uids() == []
        name = f"{prefix}Traités{separator}Support"
        assert [message.flags for message in server.messages(name)] == [{KEYWORD}]
        with closing(connect(settings(server))) as session:
            assert session.select("Traités/Support")
            session.move(session.uids(), "INBOX")
            assert session.uids() == []
        assert [message.raw for message in server.messages() if r"\Deleted" not in message.flags] == [RAW]


def test_refused_mailbox_name_raises_configuration_error() -> None:
    """It is nobody's fault but the name's, whatever the mail."""
    with Provider(BASIC, BASIC) as server:
        server.deliver(RAW)
        with (
            closing(connect(settings(server))) as session,
            pytest.raises(ConfigurationError, match=r"'Support\*' cannot be created: \[CANNOT\] .* check \[labels\]"),
        ):
            label(session, "Support*")


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ("NO [ALERT] Application-specific password required: https://support.google.com/x (Failure)", "app password"),
        ("NO [WEBALERT https://accounts.google.com/signin] Web login required. (Failure)", "app password"),
        ("NO [ALERT] Your account is not enabled for IMAP use. (Failure)", "Enable IMAP"),
        ("NO [ALERT] IMAP access is disabled for your domain. (Failure)", "Admin console"),
        ("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "IMAP_PASSWORD"),
        ("NO AUTHENTICATE failed.", "IMAP_AUTH to microsoft"),
        ("BAD sandbox is no password", "IMAP_PASSWORD"),
    ],
)
def test_login_refusal_quotes_server_and_gives_advice(refusal: str, advice: str) -> None:
    """In one line, without the password."""
    with (
        Provider(BASIC, BASIC, refusal=refusal, password="right") as server,
        pytest.raises(ConfigurationError) as caught,
    ):
        connect(settings(server, password="sandbox"))
    line = str(caught.value)
    assert refusal.partition(" ")[2].replace("sandbox", "***").rstrip(".") in line
    assert ".:" not in line
    assert advice in line
    assert "sandbox" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "refusal",
    [
        "NO [ALERT] Too many simultaneous connections. (Failure)",
        "NO Too many open connections from your host",
        "NO Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        "NO [UNAVAILABLE] Temporary authentication failure",
        "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
        "NO Server Unavailable. 15",
        "NO System I/O error",
        "NO [ALERT] Too many sessions from your address",
        "NO The service is down for maintenance",
    ],
)
def test_busy_imap_server_raises_transient_error(refusal: str) -> None:
    """The daemon waits, and does not stop."""
    with (
        Provider(BASIC, BASIC, refusal=refusal, password="right") as server,
        pytest.raises(TransientError, match="not available"),
    ):
        connect(settings(server, password="sandbox"))


def configured(server: Provider, **changes: str) -> Settings:
    names = {name: str(getattr(server, name)) for name in ("host", "port", "security", "username", "password")}
    given = {f"IMAP_{name.upper()}": value for name, value in (names | changes).items()}
    return loader.from_names(given | {"STATE_URL": "sqlite:////nonexistent/poller.sqlite"})


def checked(settings: Settings) -> checks.Checked:
    return next(each for each in checks.check(settings) if each.service == "IMAP")


def test_check_names_missing_server_capabilities() -> None:
    """And what is done instead."""
    with Provider(BASIC, BASIC, permanent=SYSTEM, uidvalidity_in=()) as server:
        result = checked(configured(server))
    assert result.verdict == "ok"
    for word in ("INBOX: 0 messages", "no MOVE", "no UIDPLUS", "no IDLE", "no keywords", "no UIDVALIDITY"):
        assert word in result.seen


def test_check_names_uid_of_message_that_server_does_not_give(exchange: Provider) -> None:
    """It is what to open, to answer and to file by hand; the others are no matter."""
    for number in range(3):
        exchange.deliver(a_mail(number))
    uid = list(exchange.boxes["INBOX"])[1]
    exchange.hang_ups = {uid}
    result = checked(configured(exchange))
    assert result.verdict == "ok"
    assert f"INBOX: 3 messages; the server does not give the message with UID {uid}; " in result.seen


def test_check_is_silent_about_complete_server(gmail: Provider) -> None:
    """There is nothing to say."""
    assert checked(configured(gmail, authserv_id="mx.google.com")).seen == "INBOX: 0 messages"


@pytest.mark.parametrize(
    ("closed", "verdict", "words"),
    [
        ("BAD User is authenticated but not connected.", "unreachable", "Get-MailboxPermission"),
        ("NO [NONEXISTENT] Unknown Mailbox: INBOX (Failure)", "refused", "Unknown Mailbox: INBOX (Failure)"),
    ],
)
def test_check_quotes_server_for_refused_mailbox(closed: str, verdict: str, words: str, exchange: Provider) -> None:
    """Exchange says the first when it is overloaded, too: that is to be waited out."""
    exchange.closed = closed
    result = checked(configured(exchange))
    assert result.verdict == verdict
    assert words in result.seen
    assert closed.partition(" ")[2].rstrip(".") in result.seen
    assert ".:" not in result.seen
    assert "is the address right" not in result.seen
