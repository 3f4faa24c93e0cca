"""Messages that were filed under their outcomes: listed, fetched and moved back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.mailbox import outcome_mailboxes
from poller.mailbox.variants import Variants
from tests.support.imap_account import a_mail, all_settings

if TYPE_CHECKING:
    from poller.mailbox.inbox import Inbox
    from tests.support.imap_provider import Provider

REFUSED = "NO Internal failure reading the message"
BUSY = (
    "NO [UNAVAILABLE] Temporary storage failure",
    "NO [SERVERBUG] Internal error occurred",
    "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
)


@pytest.mark.parametrize("answer", [REFUSED, *BUSY])
def test_listing_filed_mail_raises_when_fetch_is_refused(server: Provider, inbox: Inbox, answer: str) -> None:
    """Else it would be forgotten, or taken for a message that a person has brought back."""
    server.deliver(a_mail(1))
    (reference,) = inbox.scan()
    given, server.permanent = all_settings(server), ""
    inbox.label(reference, "failed")
    server.refused = dict.fromkeys(server.boxes["Failed"], answer)
    for call in (
        lambda: outcome_mailboxes.list_all_filed(given, Variants()),
        lambda: inbox.was_brought_back(reference),
        lambda: outcome_mailboxes.move_back_to_inbox(given, [reference], Variants()),
    ):
        with pytest.raises(TransientError, match="FETCH"):
            call()
    server.refused = {}
    assert not inbox.was_brought_back(reference)
