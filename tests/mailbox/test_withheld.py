"""Messages whose header the server gives, and whose content it does not: they are not taken for gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.cli.samples import samples
from poller.daemon import scheduler
from poller.errors import MessageGoneError, MessageWithheldError
from tests.support.imap_account import NAMES, a_mail
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from pathlib import Path

    from poller.mailbox.inbox import Inbox
    from tests.conftest import Office


REFUSED, BUG, BUSY = "NO Internal failure", "NO [SERVERBUG] Internal error occurred", "NO [UNAVAILABLE] Not now"


@pytest.mark.parametrize(
    "content", ["NIL", "", "BYE", REFUSED, BUG], ids=["NIL", "no item", "hangs up", "refused", "bug"]
)
def test_message_without_content_is_withheld_not_gone(
    server: Provider, inbox: Inbox, tmp_path: Path, content: str
) -> None:
    """It is unreadable from then on, a cut may be chance the first time, and it is fetched when the server gives it."""
    server.deliver(a_mail(1))
    (uid,) = server.boxes["INBOX"]
    server.withheld = {uid: content}
    (reference,) = inbox.scan()
    if content == "BYE":
        with pytest.raises(TransientError, match="cut"):
            inbox.fetch(reference, tmp_path / "mail.eml")
        assert inbox.unreadable == {}
    with pytest.raises(MessageWithheldError):
        inbox.fetch(reference, tmp_path / "mail.eml")
    assert inbox.unreadable.keys() == {uid}
    server.withheld.clear()
    inbox.fetch(reference, tmp_path / "mail.eml")
    assert inbox.unreadable == {}
    assert (tmp_path / "mail.eml").read_bytes() == a_mail(1)


def test_busy_server_withholds_no_message(server: Provider, inbox: Inbox, tmp_path: Path) -> None:
    """Its trouble is everybody's, and passes."""
    server.deliver(a_mail(1))
    (reference,) = inbox.scan()
    server.withheld = dict.fromkeys(server.boxes["INBOX"], BUSY)
    with pytest.raises(TransientError, match="UNAVAILABLE"):
        inbox.fetch(reference, tmp_path / "mail.eml")
    assert inbox.unreadable == {}


def test_message_without_content_that_is_taken_away_is_gone(server: Provider, inbox: Inbox, tmp_path: Path) -> None:
    """As before: whoever takes it wants no ticket."""
    server.deliver(a_mail(1))
    (reference,) = inbox.scan()
    server.boxes["INBOX"].clear()
    with pytest.raises(MessageGoneError):
        inbox.fetch(reference, tmp_path / "mail.eml")
    assert inbox.unreadable == {}


def test_once_leaves_withheld_message_waiting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once ends, says what the message waits for, and the others are done; no incident is told twice."""
    monkeypatch.setattr(scheduler, "SHORT_WAIT_S", 0.1)
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE") as server:
        for name in ("bug", "support"):
            server.deliver(samples()[name])
        server.withheld = {min(server.boxes["INBOX"]): "NIL"}
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        statuses = office.once()
    assert sorted(status.outcome for status in statuses.values()) == ["support", "waiting"]
    (waiting,) = (status for status in statuses.values() if status.outcome == "waiting")
    assert waiting.result.reason == "the mail server lists it and does not give it"
    assert (waiting.service, office.counts()["tickets"]) == ("", 1)
