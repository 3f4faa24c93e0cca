"""The mailbox as the workers share it: which message is which, and what is left alone."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.inbox import Inbox
from poller.journal import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Office

OLD, NEW = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_mail(number: int, *headers: bytes) -> bytes:
    own = (
        b"From: ana@ruiz.example",
        b"Message-ID: <%d@ruiz.example>" % number,
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100",
    )
    return b"\r\n".join((*own, *headers, b"", b"Bonjour\r\n"))


def put(office: Office, raw: bytes, at: datetime = NEW, mailbox: str = "INBOX") -> None:
    with office.sandbox.imap.session() as client:
        client.append(mailbox, raw, msg_time=at)


@pytest.fixture
def inbox(office: Office) -> Iterator[Inbox]:
    with closing(Inbox(office.settings)) as inbox:
        yield inbox


def test_a_message_waits_behind_older_ones_alone(office: Office, inbox: Inbox) -> None:
    """Of two that name each other the first goes on, or both would wait for ever."""
    put(office, a_mail(1, b"References: <2@ruiz.example>"))
    put(office, a_mail(2, b"References: <1@ruiz.example>"))
    first, second = inbox.scan()
    assert not inbox.holds_older(first, ["<2@ruiz.example>"])
    assert inbox.holds_older(second, ["<1@ruiz.example>"])
    assert not inbox.holds_older(second, ["<3@ruiz.example>"])


def test_what_came_before_the_first_day_is_left_alone_unless_it_was_taken_up(office: Office, inbox: Inbox) -> None:
    """And nobody waits behind what is left alone."""
    for number in (1, 2):
        put(office, a_mail(number), OLD)
    put(office, a_mail(3))
    first, second, third = inbox.scan()
    inbox.since = date(2026, 11, 22)
    assert inbox.scan() == [third]
    inbox.reach = lambda: None
    inbox.taken_up = {second}.intersection
    assert inbox.scan() == [second, third]
    assert inbox.holds_older(third, ["<2@ruiz.example>"])
    assert not inbox.holds_older(third, ["<1@ruiz.example>"])
    assert inbox._copies(first), "another machine may have been told to take all"


def test_what_the_mailbox_held_before_it_was_made_anew_is_not_mistaken_for_what_it_holds(
    office: Office, tmp_path: Path
) -> None:
    """The UID is the same and the message is not: nothing is fetched, moved or taken for present; a new look helps."""
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
def test_who_brought_a_failed_message_back(
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
