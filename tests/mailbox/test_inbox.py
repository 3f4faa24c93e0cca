"""Messages of the polled mailbox, by their references."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.mailbox.inbox import Inbox
from tests.support.imap_account import a_mail
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.imap.session import ImapSession
    from tests.conftest import Office

NEW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def put(office: Office, raw: bytes, at: datetime = NEW, mailbox: str = "INBOX") -> None:
    with office.sandbox.imap.session() as client:
        client.append(mailbox, raw, msg_time=at)


@pytest.fixture
def inbox(office: Office) -> Iterator[Inbox]:
    with closing(Inbox(office.settings)) as inbox:
        yield inbox


def test_message_waits_only_for_older_messages(office: Office, inbox: Inbox) -> None:
    """Of two that name each other the first goes on, or both would wait for ever."""
    put(office, a_mail(1, b"References: <2@ruiz.example>"))
    put(office, a_mail(2, b"References: <1@ruiz.example>"))
    first, second = inbox.scan()
    assert not inbox.older(first, ["<2@ruiz.example>"])
    assert inbox.older(second, ["<1@ruiz.example>"]) == first
    assert not inbox.older(second, ["<3@ruiz.example>"])


@needs_dovecot
def test_letter_was_sent_if_it_lies_in_the_mailbox_of_sent_mail(office: Office, inbox: Inbox) -> None:
    """Which the server names, whatever people call it; there need not be any."""
    assert not inbox.was_sent("<1@ruiz.example>")
    with office.sandbox.imap.session() as client:
        client.create_folder("Sent")
    put(office, a_mail(1), mailbox="Sent")
    put(office, a_mail(2))
    assert [inbox.was_sent(f"<{number}@ruiz.example>") for number in (1, 2)] == [True, False]


@pytest.fixture
def made_anew(office: Office) -> Iterator[tuple[Inbox, ImapSession]]:
    """A mailbox with one message in it, and a session on what had its name before, which Dovecot lets go on there."""
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with closing(Inbox(office.settings)) as inbox, office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
        assert inbox.scan() == []
        (stale,) = inbox._sessions._free
        client.delete_folder("Demandes")
        client.create_folder("Demandes")
        client.append("Demandes", a_mail(1), msg_time=NEW)
        yield inbox, stale


def test_scan_detects_recreated_mailbox(made_anew: tuple[Inbox, ImapSession]) -> None:
    """Or it would see an empty one for ever, and call that good."""
    inbox, stale = made_anew
    assert inbox._sessions._free == [stale]
    with pytest.raises(TransientError, match="made anew"):
        inbox.scan()
    assert len(inbox.scan()) == 1


def test_session_is_dropped_after_uidvalidity_change(
    made_anew: tuple[Inbox, ImapSession],
) -> None:
    """Or each message that was given one would wait, though the mailbox is there."""
    inbox, stale = made_anew
    inbox._sessions._free.clear()
    (reference,) = inbox.scan()
    inbox._sessions._free.append(stale)
    assert inbox.confirm(reference)
    assert stale not in inbox._sessions._free


def test_scan_discards_uids_after_uidvalidity_change(office: Office, tmp_path: Path) -> None:
    """The UID is the same and the message is not: nothing is fetched, moved or taken for present; a new scan helps."""
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
    put(office, a_mail(1), mailbox="Demandes")
    with closing(Inbox(office.settings)) as inbox:
        (before,) = inbox.scan()
        inbox.close()
        with office.sandbox.imap.session() as client:
            client.delete_folder("Demandes")
            client.create_folder("Demandes")
        put(office, a_mail(2), mailbox="Demandes")
        for call in (
            lambda: inbox.fetch(before, tmp_path / "mail.eml"),
            lambda: inbox.label(before, "support"),
            lambda: inbox.confirm(before),
        ):
            with pytest.raises(TransientError, match="made anew"):
                call()
        assert office.mailboxes() == {"Demandes": 1}
        (after,) = inbox.scan()
        assert after != before
        with pytest.raises(MessageGoneError):
            inbox.fetch(before, tmp_path / "mail.eml")


@pytest.mark.parametrize(
    ("keyword", "copied", "brought_back"),
    [(True, False, True), (False, False, True), (True, True, True), (False, True, False)],
)
def test_failed_message_in_inbox_is_retry_or_second_copy(
    office: Office, inbox: Inbox, *, keyword: bool, copied: bool, brought_back: bool
) -> None:
    """A person, if it bears our keyword or lies no longer where failures go; else the same mail came once more."""
    put(office, a_mail(1))
    (reference,) = inbox.scan()
    inbox.label(reference, "failed")
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        uids = client.search()
        if not keyword:
            client.remove_flags(uids, ["Figurative-Failed"])
        (client.copy if copied else client.move)(uids, "INBOX")
    assert inbox.scan() == [reference]
    assert inbox.was_brought_back(reference) is brought_back
