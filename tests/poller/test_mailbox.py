"""One IMAP session on real servers: what it sees, what it takes, and where it files."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.dovecot import Dovecot
from poller.accounts import Imap
from poller.attempts import MessageGoneError
from poller.mailbox import Mailbox, connect
from tests.integrations.test_deadline import dripping
from tests.needs import needs_dovecot
from tests.relay import Break, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox import Sandbox

RAW = b"From: a@b.example\r\nSubject: Bonjour\r\nMessage-ID: <1@b.example>\r\n\r\nTexte\r\n"
KEYWORD, OTHERS = "Figurative-Support", ["Figurative-Failed"]


def settings(server: object, **changes: object) -> Imap:
    names = ("host", "port", "security", "username", "password")
    return Imap.model_validate({name: getattr(server, name) for name in names} | changes)


@pytest.fixture
def mailbox(sandbox: Sandbox) -> Iterator[Mailbox]:
    session = connect(settings(sandbox.imap))
    yield session
    session.close()


def test_arrivals_come_oldest_first_with_header_size_and_date(sandbox: Sandbox, mailbox: Mailbox) -> None:
    """What is needed to know a message, without fetching it."""
    for number in range(3):
        sandbox.imap.deliver(RAW.replace(b"<1@", b"<%d@" % number))
    mailbox.refresh()
    arrivals = list(mailbox.arrivals(mailbox.uids()))
    assert [b"<%d@b.example>" % number in arrival.header for number, arrival in enumerate(arrivals)] == [True] * 3
    assert {arrival.size_bytes for arrival in arrivals} == {len(RAW)}
    assert all(arrival.received_at.utcoffset().total_seconds() == 0 for arrival in arrivals)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("flags", "junk"),
    [
        ((), None),
        (("\\Seen", "$Forwarded"), None),
        (("$Junk",), True),
        (("Junk",), True),
        (("$NotJunk",), False),
        (("NonJunk",), False),
        (("$Junk", "$NotJunk"), None),
    ],
)
def test_what_the_mailbox_says_of_spam_comes_with_a_message(
    sandbox: Sandbox, mailbox: Mailbox, flags: tuple[str, ...], junk: bool | None
) -> None:
    """The server's or a person's verdict; two that contradict each other are none (RFC 9051 section 2.3.2)."""
    sandbox.imap.deliver(RAW, flags=flags)
    mailbox.refresh()
    assert [arrival.junk for arrival in mailbox.arrivals(mailbox.uids())] == [junk]


def test_a_message_is_taken_in_pieces_and_not_marked_as_read(sandbox: Sandbox, mailbox: Mailbox) -> None:
    """Three megabytes come in four pieces, byte for byte, and the message stays unread."""
    raw = RAW + b"0123456789abcde\n" * 200_000
    sandbox.imap.deliver(raw)
    mailbox.refresh()
    pieces = list(mailbox.pieces(mailbox.uids()[0], 10_000_000))
    assert b"".join(pieces).replace(b"\r\n", b"\n") == raw.replace(b"\r\n", b"\n")
    assert len(pieces) == 4
    assert sandbox.imap.messages()[0].flags == set()


def test_no_more_is_taken_than_the_limit(sandbox: Sandbox, mailbox: Mailbox) -> None:
    """A message over the limit is cut there."""
    sandbox.imap.deliver(RAW + b"x" * 100_000)
    mailbox.refresh()
    assert sum(map(len, mailbox.pieces(mailbox.uids()[0], 50_000))) == 50_000


def test_a_message_that_is_gone_is_said_to_be(mailbox: Mailbox) -> None:
    """Somebody took it between the look and the fetch."""
    with pytest.raises(MessageGoneError):
        list(mailbox.pieces(4711, 1000))
    assert list(mailbox.arrivals([4711])) == []
    assert mailbox.present([4711]) == []


@pytest.mark.parametrize("name", ["Support", "Modélisation", "Réclamations & été 📦", 'Dit "oui"'])
def test_a_label_makes_the_mailbox_it_needs(sandbox: Sandbox, mailbox: Mailbox, name: str) -> None:
    """Whatever its name, it is created, subscribed, and the message is in it with its keyword."""
    sandbox.imap.deliver(RAW)
    mailbox.refresh()
    mailbox.label(mailbox.uids(), name, KEYWORD, OTHERS)
    assert sandbox.imap.messages() == []
    assert [message.flags for message in sandbox.imap.messages(name)] == [{KEYWORD}]
    with sandbox.imap.session() as client:
        assert name in [found for _, _, found in client.list_sub_folders()]


def test_a_new_label_takes_the_old_keyword_off(sandbox: Sandbox, mailbox: Mailbox) -> None:
    """A message that failed once and succeeded later says only the latter."""
    sandbox.imap.deliver(RAW, flags=["Figurative-Failed", "Important"])
    mailbox.refresh()
    mailbox.label(mailbox.uids(), "Support", KEYWORD, OTHERS)
    assert sandbox.imap.messages("Support")[0].flags == {KEYWORD, "Important"}


@needs_dovecot
@pytest.mark.parametrize(
    ("without", "left_in_inbox"),
    [(("MOVE",), []), (("MOVE", "UIDPLUS"), [{"\\Deleted"}])],
)
def test_servers_that_cannot_move(without: tuple[str, ...], left_in_inbox: list[set[str]]) -> None:
    """COPY, then this message alone is expunged; where that is impossible it stays marked. Nobody else's goes."""
    with Dovecot(without=without) as server:
        server.deliver(RAW)
        server.deliver(RAW, flags=["\\Deleted"])
        session = connect(settings(server))
        session.label(session.uids(), "Support", KEYWORD, OTHERS)
        assert session.uids() == []
        session.close()
        assert [message.flags for message in server.messages("Support")] == [{KEYWORD}]
        left = [set(message.flags) for message in server.messages()]
        assert {"\\Deleted"} in left
        assert len(left) == 1 + len(left_in_inbox)


@needs_dovecot
@pytest.mark.parametrize(("separator", "prefix"), [(".", "INBOX."), ("/", ""), (".", "")])
def test_other_namespaces(separator: str, prefix: str) -> None:
    """A "/" in a label is the server's separator, and the personal namespace's prefix is put in front."""
    with Dovecot(separator=separator, namespace_prefix=prefix) as server:
        server.deliver(RAW)
        session = connect(settings(server))
        session.label(session.uids(), "Traités/Support", KEYWORD, OTHERS)
        session.close()
        assert len(server.messages(f"{prefix}Traités{separator}Support")) == 1


@needs_dovecot
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(security: str) -> None:
    """The password is not sent to whoever answers."""
    with Dovecot(security=security) as server, pytest.raises(ConfigurationError, match="certificate is refused"):
        connect(settings(server))


@needs_dovecot
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_is_vouched_for_is_accepted(security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS from the first byte or by STARTTLS, verified."""
    with Dovecot(security=security) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate_path))
        connect(settings(server)).close()


def test_a_server_without_starttls_gets_no_password(sandbox: Sandbox) -> None:
    """STARTTLS is required where it is configured, not tried."""
    with pytest.raises(ConfigurationError, match="STARTTLS"):
        connect(settings(sandbox.imap, security="starttls"))


def test_a_mailbox_that_is_missing_is_not_made_by_looking_into_it(sandbox: Sandbox, mailbox: Mailbox) -> None:
    """Only a message that goes there needs it."""
    assert not mailbox.enter("Échecs")
    assert sandbox.imap.mailboxes() == ["INBOX"]
    sandbox.imap.deliver(RAW)
    mailbox.refresh()
    mailbox.label(mailbox.uids(), "Échecs", KEYWORD, OTHERS)
    assert mailbox.enter("Échecs")
    (arrival,) = mailbox.arrivals(mailbox.uids())
    assert KEYWORD.lower() in arrival.keywords


@pytest.mark.parametrize("command", [b"AUTHENTICATE", b"SELECT", b" UID SEARCH "])
def test_an_answer_that_never_ends_is_given_up(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: bytes
) -> None:
    """A byte now and then meets no timeout: every call has a deadline besides."""
    monkeypatch.setattr("tests.relay.BYTE_EVERY_S", 0.2)
    with Relay(sandbox.imap.port) as relay, pytest.raises(TransientError, match="no answer in time"):  # noqa: PT012
        relay.breaks += [Break("trickle", command, after=True)]
        with closing(connect(settings(sandbox.imap, port=relay.port), deadline_s=0.3)) as session:
            session.uids()


def test_a_greeting_that_never_ends_is_given_up() -> None:
    """The client waits for it before anybody has hold of the connection."""
    with dripping(b"* OK ", asks_first=False) as port, pytest.raises(TransientError, match="no answer in time"):
        connect(Imap.model_validate({"host": "127.0.0.1", "port": port, "security": "none", "username": "u"}), 0.3)


def test_a_server_that_is_away_is_worth_another_try() -> None:
    """Nothing listens there now."""
    with pytest.raises(TransientError) as away:
        connect(Imap.model_validate({"host": "127.0.0.1", "port": 9, "security": "none", "username": "u"}))
    assert not away.value.outcome_unknown


def test_a_wrong_password_is_a_matter_of_settings(sandbox: Sandbox) -> None:
    """It names the settings to look at, and not the password."""
    with pytest.raises(ConfigurationError, match="IMAP_PASSWORD") as caught:
        connect(settings(sandbox.imap, password="wrong-secret"))
    assert "wrong-secret" not in str(caught.value)
