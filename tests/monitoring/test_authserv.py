"""What is said where no mail server's verdict on senders is believed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from poller.imap import session as imap_session
from poller.monitoring import authserv

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Office


def deliver(office: Office, field: str, mailbox: str = "INBOX") -> None:
    raw = f"{field}\r\nAuthentication-Results: mx.sender.example; none\r\nFrom: a@b.example\r\nSubject: x\r\n\r\nx\r\n"
    office.sandbox.imap.deliver(raw.lstrip().encode(), mailbox)


def advice(office: Office, authserv_id: str) -> str:
    office.environment["IMAP_AUTHSERV_ID"] = authserv_id
    with closing(imap_session.connect(office.settings.imap)) as session:
        return "; ".join(authserv.advice(office.settings, session))


def test_server_of_most_last_mails_is_proposed(office: Office) -> None:
    """Those are in the polled mailbox, and where processed mail is filed."""
    assert advice(office, "").endswith("; set imap.authserv_id")
    for mailbox in ("INBOX", "Support"):
        with office.sandbox.imap.session() as client:
            if not client.folder_exists(mailbox):
                client.create_folder(mailbox)
        deliver(office, "Authentication-Results: MX.Figurative.example 1; dmarc=pass", mailbox)
    deliver(office, "X-Nothing: 1")
    assert advice(office, "").endswith("perhaps to 'mx.figurative.example', which 2 of the last 3 mails bear")
    assert advice(office, "mx.Figurative.example") == ""
    assert advice(office, "mx.wrong.example").startswith(
        "none of the last 3 mails bears imap.authserv_id: no colleague"
    )


@pytest.mark.parametrize("name", ["mx.sender.example", ""])
def test_server_of_few_mails_is_not_proposed(name: str) -> None:
    """Senders write such fields too."""
    assert authserv.proposed(authserv.Counter({"mx.figurative.example": 2, name: 2})) == ""


def test_start_says_what_is_off_even_without_mailbox(office: Office, logged: Callable[[], str]) -> None:
    office.environment["IMAP_PORT"] = "9"
    authserv.warn(office.settings)
    assert "senders_not_verified" in logged()
