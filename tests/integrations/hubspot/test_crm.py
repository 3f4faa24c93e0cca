"""Tests of HubSpot's objects: paging, deleted objects, and one client in several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from integrations.hubspot.client import HubSpot
from integrations.sandbox.stand_in import Fault
from tests.support.hubspot_client import OTHER_REF, REF, TICKETS, connect

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


def test_find_ticket_reads_all_pages_of_contact_tickets(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    sandbox.hubspot.rate_limit = None
    sandbox.hubspot.page_size = 7
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    for number in range(110):
        hubspot.create_ticket(f"Autre {number}", f"[ref: {OTHER_REF}{number}]", contact_id, OTHER_REF)
    assert hubspot.find_ticket(contact_id, REF) is None
    sandbox.hubspot.fail(Fault("cut_after_commit", "POST", TICKETS))
    with pytest.raises(TransientError) as lost:
        hubspot.create_ticket("Écran noir", f"Bonjour [ref: {REF}]", contact_id, REF)
    assert lost.value.outcome_unknown
    found = hubspot.find_ticket(contact_id, REF)
    assert found is not None
    assert found.id == sandbox.hubspot.tickets[-1].id
    assert len(sandbox.hubspot.calls("POST", TICKETS + "/search")) == 0


def test_paging_without_an_end_is_given_up(sandbox: Sandbox) -> None:
    """It is the service's fault, which may pass; "none" would open a second ticket."""
    page = {"from": {"id": "1"}, "to": [], "paging": {"next": {"after": "7"}}}
    sandbox.hubspot.fail(Fault("status", "POST", status=200, body={"results": [page]}, times=None))
    with pytest.raises(TransientError, match="more than 100 pages"):
        connect(sandbox).find_ticket("1", REF)
    assert len(sandbox.hubspot.requests) == 100


@pytest.mark.parametrize("path", ["/crm/associations/", f"{TICKETS}/batch/read"])
def test_batch_that_was_not_read_whole_is_not_none(sandbox: Sandbox, path: str) -> None:
    """HubSpot answers 207 and no row, too, where it could not look: "none" would open a second ticket."""
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ticket = hubspot.create_ticket("Facture", f"[ref: {REF}]", contact_id, REF)
    error = {"status": "error", "category": "RATE_LIMITS", "message": "later", "context": {}, "errors": [], "links": {}}
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [error]}
    sandbox.hubspot.fail(Fault("status", "POST", path, status=207, body=body))
    with pytest.raises(TransientError, match="not all was read"):
        hubspot.find_ticket(contact_id, REF)
    assert hubspot.find_ticket(contact_id, REF) == ticket


def test_page_whose_next_is_null_is_the_last(sandbox: Sandbox) -> None:
    body = {"results": [{"from": {"id": "1"}, "to": [], "paging": None}]}
    sandbox.hubspot.fail(Fault("status", "POST", status=200, body=body))
    assert connect(sandbox).find_ticket("1", REF) is None


def test_calls_go_to_the_configured_date(sandbox: Sandbox) -> None:
    """The account is read under the same one, and nothing under the paths that HubSpot ends."""
    server = sandbox.hubspot
    hubspot = HubSpot(server.token, server.hub_id, "0", "1", server.url, api_version="2026-03")
    hubspot.check()
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ticket = hubspot.create_ticket("Facture", f"[ref: {REF}]", contact_id, REF)
    hubspot.create_note(f"[ref: {REF}]", datetime.now(UTC), contact_id, ticket.id)
    assert hubspot.find_ticket(contact_id, REF) == ticket
    assert hubspot.find_note(contact_id, ticket.id, REF)
    assert hubspot.update_ticket(ticket.id, "")
    assert hubspot.create_reference_property()
    assert hubspot.has_reference_property()
    assert all("/2026-03/" in each.path for each in server.requests)


def test_has_ticket_is_false_for_deleted_ticket(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    ticket = hubspot.create_ticket("Facture", "", hubspot.find_or_create_contact("zoe@example.com", "", ""), "a")
    assert hubspot.has_ticket(ticket.id)
    assert "idProperty" not in sandbox.hubspot.requests[-1].query
    del sandbox.hubspot.crm._records["tickets"][ticket.id]
    assert not hubspot.has_ticket(ticket.id)


def test_update_ticket_changes_only_content(sandbox: Sandbox) -> None:
    """One GET, one PATCH; of one that was deleted, the answer is no."""
    hubspot = connect(sandbox)
    ticket = hubspot.create_ticket("Facture", "", hubspot.find_or_create_contact("zoe@example.com", "", ""), "a")
    assert hubspot.ticket_content(ticket.id) == ""
    sandbox.hubspot.tickets[0].properties["hs_pipeline_stage"] = "3"
    assert hubspot.update_ticket(ticket.id, "Demande: modélisation")
    call = sandbox.hubspot.requests[-1]
    assert (call.method, call.path) == ("PATCH", f"{TICKETS}/{ticket.id}")
    assert call.body == {"properties": {"content": "Demande: modélisation"}}
    assert sandbox.hubspot.tickets[0].properties["hs_pipeline_stage"] == "3"
    assert hubspot.ticket_content(ticket.id) == "Demande: modélisation"
    assert sandbox.hubspot.requests[-1].query == {"properties": ["content"]}
    sandbox.hubspot.fail(Fault("cut_after_commit", "PATCH"))
    with pytest.raises(TransientError) as caught:
        hubspot.update_ticket(ticket.id, "")
    assert not caught.value.outcome_unknown, "whoever does it again does the same"
    del sandbox.hubspot.crm._records["tickets"][ticket.id]
    assert not hubspot.update_ticket(ticket.id, "")
    assert hubspot.ticket_content(ticket.id) is None


def test_threads_sharing_client_get_their_own_answers(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    sandbox.hubspot.rate_limit = None
    together = threading.Barrier(4)

    def work(worker: int) -> list[bool]:
        together.wait()
        emails = [f"client{worker}.{number}@example.com" for number in range(10)]
        ids = [hubspot.find_or_create_contact(email, "", "") for email in emails]
        return [ids[at] == hubspot.find_or_create_contact(emails[at], "", "") for at in range(10)]

    with ThreadPoolExecutor(4) as workers:
        assert all(all(right) for right in workers.map(work, range(4)))
    by_id = {each.id: each.properties["email"] for each in sandbox.hubspot.contacts}
    assert len(set(by_id.values())) == 40
