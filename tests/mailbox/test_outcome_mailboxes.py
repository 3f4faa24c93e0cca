"""Messages that were filed under their outcomes: listed, fetched and moved back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.mailbox import outcome_mailboxes
from poller.mailbox.variants import Variants
from poller.model import Outcome
from tests.support.imap_account import a_mail, all_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
        lambda: outcome_mailboxes.list_filed(given, Outcome.FAILED, Variants()),
        lambda: inbox.was_brought_back(reference),
        lambda: outcome_mailboxes.move_back_to_inbox(given, [reference], Variants()),
    ):
        with pytest.raises(TransientError, match="FETCH"):
            call()
    server.refused = {}
    assert not inbox.was_brought_back(reference)


def test_message_at_which_server_hangs_up_hides_no_other(server: Provider, inbox: Inbox, tmp_path: Path) -> None:
    """Filed mail may be damaged as well: the others are fetched for their receipts, and moved back."""
    for number in range(3):
        server.deliver(a_mail(number))
    references, given = inbox.scan(), all_settings(server)
    received_at, path = inbox.seen.received_at(), tmp_path / "mail.eml"
    for reference in references:
        inbox.label(reference, "failed")
    server.hang_ups = {sorted(server.boxes["Failed"])[1]}
    found = []
    for reference in references:
        with suppress(TransientError):
            inbox.fetch_filed(reference, Outcome.FAILED, received_at[reference], path)
            found.append(reference)
    assert found == [references[0], references[2]]
    assert outcome_mailboxes.move_back_to_inbox(given, references, Variants()) == {*found}
    assert len(server.boxes["INBOX"]) == 2


@pytest.mark.parametrize("fault", ["hangs up", "refuses", "withholds"])
def test_filed_message_that_cannot_be_read_is_named(
    server: Provider, inbox: Inbox, logged: Callable[[], str], fault: str
) -> None:
    """The others are listed."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.deliver(b"From: ana@ruiz.example\r\n\r\nBonjour\r\n")  # is known by its content
    references = inbox.scan()
    for reference in references:
        inbox.label(reference, "failed")
    *_, bad = sorted(server.boxes["Failed"])
    server.hang_ups = {bad} if fault == "hangs up" else set()
    server.refused = {bad: REFUSED} if fault == "refuses" else {}
    server.withheld = {bad: "NIL"} if fault == "withholds" else {}
    refused: set[int] = set()
    logged()
    found = outcome_mailboxes.list_filed(all_settings(server), Outcome.FAILED, Variants(), refused)
    assert (set(found), refused) == ({*references[:2]}, {bad})
    assert f"uid={bad}" in logged()
