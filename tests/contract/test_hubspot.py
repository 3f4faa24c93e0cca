"""The calls to HubSpot, held against its API's documents."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.hubspot import HubSpot
from integrations.sandbox.stand_in import RateLimit
from tests.contract.exchanges import breaches, recorded
from tests.support.hubspot_client import REF, connect

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def contacts(sandbox: Sandbox) -> None:
    """Create contacts, one whose name is refused, find one by either of its addresses, and be refused an address."""
    hubspot, crm = connect(sandbox), sandbox.hubspot.crm
    contact_id = hubspot.find_or_create_contact("ana@ruiz.example", "Ana", "")
    crm.find("contacts", contact_id).properties["hs_additional_emails"] = "ana@home.example"
    for crm.conflict_category in ("CONFLICT", "OBJECT_ALREADY_EXISTS"):
        assert hubspot.find_or_create_contact("ana@home.example", "Ana", "Ruiz") == contact_id
    assert hubspot.find_contact("ana@ruiz.example") == contact_id
    assert hubspot.find_or_create_contact("bot@ruiz.example", "https://ruiz.example", "")
    with pytest.raises(PermanentError):
        hubspot.find_or_create_contact("ana@@ruiz", "", "")


def tickets(sandbox: Sandbox) -> None:
    """Open tickets, with and without the unique property, change one, and look for them on several pages."""
    plain, unique = connect(sandbox), connect(sandbox, reference_property=True)
    assert not plain.has_reference_property()
    assert [plain.create_reference_property() for _ in range(2)] == [True, False]
    assert plain.has_reference_property()
    contact_id = plain.find_or_create_contact("ana@ruiz.example", "", "")
    assert plain.find_tickets(contact_id, REF) == []
    opened = unique.create_ticket("Écran noir", f"[ref: {REF}]", contact_id, REF)
    assert unique.create_ticket("Écran noir", f"[ref: {REF}]", contact_id, REF) == opened
    deleted = plain.create_ticket("Autre", "", contact_id, "", {"hs_ticket_priority": "HIGH"})
    with pytest.raises(PermanentError):
        plain.create_ticket("Écran noir", "", "404", "")
    assert plain.untouched([opened.id, "404"]) == {opened.id}
    assert plain.update_ticket(opened.id, f"Bonjour [ref: {REF}]")
    assert plain.ticket_content(opened.id)
    sandbox.hubspot.page_size = 1
    del sandbox.hubspot.crm._records["tickets"][deleted.id]
    assert plain.find_tickets(contact_id, REF) == [opened]
    assert not plain.has_ticket(deleted.id)
    assert plain.ticket_content(deleted.id) is None
    assert not plain.update_ticket(deleted.id, "")


def notes(sandbox: Sandbox) -> None:
    """Store a file, put a note with it on a ticket and one on a contact alone, and find them."""
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("ana@ruiz.example", "", "")
    ticket = hubspot.create_ticket("Écran noir", "", contact_id, "")
    folder, name, body = "/figurative/0f", "facture.pdf", b"%PDF-1.7"
    assert hubspot.find_file(folder, name) is None
    file_id = hubspot.upload_file(folder, name, BytesIO(body), len(body), "application/pdf")
    assert hubspot.find_file(folder, name) == file_id
    for ticket_id, file_ids in ((ticket.id, [file_id]), (None, [])):
        note_id = hubspot.create_note(f"<p>[ref: {REF}]</p>", AT, contact_id, ticket_id, file_ids)
        assert note_id in hubspot.find_notes(contact_id, ticket_id, REF)


def checks(sandbox: Sandbox) -> None:
    """Check the account: with all that it needs, without each scope, with a wrong key, and too often."""
    server = sandbox.hubspot

    def check(token: str = server.token) -> str:
        hubspot = HubSpot(token, server.hub_id, "0", "1", server.url, private_files=True)
        return hubspot.check({"support": {"hs_ticket_priority": "HIGH"}})

    assert check()
    for scope in tuple(server.scopes):
        server.scopes.discard(scope)
        with pytest.raises(ConfigurationError):
            check()
        server.scopes.add(scope)
    with pytest.raises(ConfigurationError):
        check("pat-wrong")
    server.rate_limit = RateLimit(0, 10.0)
    with pytest.raises(TransientError):
        check()


def test_hubspot_calls_and_answers_are_as_documented(sandbox: Sandbox) -> None:
    """All branches of the client, and nothing in the document that we do not use."""
    with recorded(sandbox.hubspot) as exchanges:
        for calls in (contacts, tickets, notes, checks):
            sandbox.hubspot.reset()
            calls(sandbox)
    assert breaches("hubspot", exchanges) == []
