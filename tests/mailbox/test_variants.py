"""Different requests under one Message-ID, From, Date and Subject, each with a ticket of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from poller.cli import audit
from poller.mailbox.variants import FACT, Variants
from poller.mime.reference import content_digest, variant_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.imap.session import ImapSession
    from poller.workflow.store import StateStore
    from tests.conftest import Office

HEADER = (
    b"Message-ID: <20261122100000@site.example>\r\nFrom: Site <site@boutique.example>\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nSubject: Demande\r\n"
)


def request(reply_to: bytes, text: bytes, above: bytes = b"") -> bytes:
    return above + HEADER + b"Reply-To: " + reply_to + b"\r\n\r\n" + text + b"\r\n"


ANA = request(b"ana@ruiz.example", b"Ma facture est fausse, merci de la corriger.")
LEO = request(b"leo@client.example", b"Mon paiement a echoue deux fois.")
COPY = request(
    b"leo@client.example", b"Mon paiement a echoue deux fois.", b"Delivered-To: contact@figurative.example\r\n"
)


@pytest.mark.parametrize("together", [True, False])
def test_two_requests_of_one_header_have_two_tickets(office: Office, *, together: bool) -> None:
    """Whether they come together or later; a real copy has none. A person can have either done anew, or audit them."""
    for mails in [(ANA, LEO)] if together else [(ANA,), (LEO,)]:
        office.once(*mails)
    hubspot = office.sandbox.hubspot
    assert {each.properties["email"] for each in hubspot.contacts} == {"ana@ruiz.example", "leo@client.example"}
    office.once(COPY)
    assert (len(hubspot.tickets), office.mailboxes()) == (2, {"Support": 3})
    assert list(audit.find_problems(office.settings)) == []


def test_variant_in_reclassify_mailbox_changes_own_ticket(office: Office) -> None:
    office.once(ANA, LEO)
    with office.sandbox.imap.session() as client:
        client.select_folder("Support")
        client.move(client.search(["TEXT", "leo@client.example"]), "Reclasser/Modélisation")
    office.once()
    assert len(office.sandbox.hubspot.tickets) == 2
    (subtask,) = office.sandbox.clickup.subtasks
    assert "leo@client.example" in subtask.markdown


class OneMail:
    """A session on a mailbox in which every message is the same."""

    def pieces(self, uid: int, limit_bytes: int) -> Iterator[bytes]:
        del uid
        yield LEO[:limit_bytes]


class Remembered:
    """A store that knows the digest of one message, or none."""

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self.facts: dict[str, str] = {}

    def digest(self, reference: str) -> str:
        del reference
        return self._digest

    def remember(self, key: str, value: str) -> str:
        return self.facts.setdefault(key, value)


@pytest.mark.parametrize(
    ("recorded", "is_other"), [("", False), (content_digest(LEO), False), (content_digest(ANA), True)]
)
def test_message_is_compared_with_recorded_digest(recorded: str, *, is_other: bool) -> None:
    """An earlier release recorded none: then it counts as a copy, as it did there."""
    store = Remembered(recorded)
    variants = Variants(cast("StateStore", store))
    found = variants.tell_apart(cast("ImapSession", OneMail()), "0123456789abcdef", [7])
    own = variant_reference("0123456789abcdef", content_digest(LEO))
    assert found == ({7: own} if is_other else {})
    assert store.facts == ({FACT + "0123456789abcdef": recorded} if is_other else {})


def test_content_digest_is_of_reply_to_and_body() -> None:
    """What servers on the way add to the header, or behind the body, makes no other message."""
    assert content_digest(LEO) == content_digest(COPY) == content_digest(LEO + b"\r\n")
    assert content_digest(LEO) != content_digest(LEO.replace(b"leo@", b"max@"))
    assert content_digest(LEO) != content_digest(LEO.replace(b"deux", b"trois"))
