"""What the HubSpot client sends, leaves behind, and makes of every failure."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.hubspot.client import HubSpot
from integrations.sandbox.stand_in import Fault

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

REF = "0123456789abcdef"
OTHER_REF = "fedcba9876543210"
TICKETS = "/crm/v3/objects/tickets"
CONTACTS = "/crm/v3/objects/contacts"
SECRET = "Chaise-longue de Mme Durand"


def connect(sandbox: Sandbox, *, reference_property: bool = False, read_timeout_s: float = 5.0) -> HubSpot:
    server = sandbox.hubspot
    return HubSpot(
        server.token,
        server.hub_id,
        "0",
        "1",
        server.url,
        reference_property=reference_property,
        connect_timeout_s=2.0,
        read_timeout_s=read_timeout_s,
        calls_per_10s=1000,
    )


def test_new_contact_costs_one_get_and_one_post(sandbox: Sandbox) -> None:
    contact_id = connect(sandbox).find_or_create_contact("a+b/ü@example.com", "Zoé", "")
    assert [(each.method, each.path) for each in sandbox.hubspot.requests] == [
        ("GET", f"{CONTACTS}/a%2Bb%2F%C3%BC%40example.com"),
        ("POST", CONTACTS),
    ]
    assert sandbox.hubspot.requests[1].body["properties"] == {"email": "a+b/ü@example.com", "firstname": "Zoé"}
    assert [each.id for each in sandbox.hubspot.contacts] == [contact_id]


def test_known_contact_costs_one_get_and_keeps_its_name(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    first = hubspot.find_or_create_contact("zoe@example.com", "Zoé", "Durand")
    sandbox.hubspot.requests.clear()
    assert hubspot.find_or_create_contact("ZOE@example.com", "Somebody", "Else") == first
    assert [each.method for each in sandbox.hubspot.requests] == ["GET"]
    assert sandbox.hubspot.contacts[0].properties["firstname"] == "Zoé"


@pytest.mark.parametrize(
    ("body", "gets"),
    [
        ({"status": "error", "message": "Contact already exists. Existing ID: 77", "category": "CONFLICT"}, 1),
        ({"message": "Contact already exists", "identityProfile": {"vid": 77}, "error": "CONTACT_EXISTS"}, 1),
        ({"message": "Conflict"}, 2),
    ],
)
def test_create_contact_conflict_returns_existing_id_in_any_form(sandbox: Sandbox, body: object, gets: int) -> None:
    hubspot = connect(sandbox)
    existing = hubspot.find_or_create_contact("zoe@example.com", "", "")
    sandbox.hubspot.requests.clear()
    sandbox.hubspot.fail(Fault("status", "GET", CONTACTS, status=404))
    sandbox.hubspot.fail(Fault("status", "POST", CONTACTS, status=409, body=body))
    expected = existing if gets == 2 else "77"
    assert hubspot.find_or_create_contact("zoe@example.com", "", "") == expected
    assert len(sandbox.hubspot.calls("GET")) == gets


def test_find_contact_creates_nothing(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    assert hubspot.find_contact("ZOE@example.com") == contact_id
    assert [hubspot.find_contact(email) for email in ("max@example.com", "", "nobody")] == [None] * 3
    assert len(sandbox.hubspot.contacts) == 1


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c"])
def test_invalid_address_is_permanent_and_not_in_error_line(sandbox: Sandbox, email: str) -> None:
    with pytest.raises(PermanentError) as refused:
        connect(sandbox).find_or_create_contact(email, "Zoé", "Durand")
    assert not email or email not in str(refused.value)
    assert sandbox.hubspot.contacts == []


def test_create_ticket_associates_contact_in_one_call(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ticket = hubspot.create_ticket("Écran noir", f"Bonjour\n[ref: {REF}]", contact_id, REF)
    assert ticket.url == f"https://app.hubspot.com/contacts/{sandbox.hubspot.hub_id}/record/0-5/{ticket.id}"
    assert sandbox.hubspot.calls("POST", TICKETS)[0].body == {
        "properties": {
            "subject": "Écran noir",
            "content": f"Bonjour\n[ref: {REF}]",
            "hs_pipeline": "0",
            "hs_pipeline_stage": "1",
        },
        "associations": [
            {
                "to": {"id": contact_id},
                "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 16}],
            }
        ],
    }
    assert sandbox.hubspot.associated("tickets", ticket.id, "contacts") == [contact_id]


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


def test_find_tickets_and_notes_return_all_with_reference(sandbox: Sandbox) -> None:
    """By what stands in it, also where the account has the property that keeps a second ticket out."""
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    assert hubspot.find_tickets(contact_id, REF) == hubspot.find_notes(contact_id, None, REF) == []
    tickets = [hubspot.create_ticket("Facture", f"[ref: {ref}]", contact_id, ref) for ref in (REF, OTHER_REF, REF)]
    notes = [hubspot.create_note(f"[ref: {ref}]", datetime.now(UTC), contact_id, None) for ref in (OTHER_REF, REF, REF)]
    for client in (hubspot, connect(sandbox, reference_property=True)):
        assert client.find_tickets(contact_id, REF) == [tickets[0], tickets[2]]
    assert hubspot.find_notes(contact_id, None, REF) == notes[1:]


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


def test_create_ticket_is_idempotent_with_reference_property(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox, reference_property=True)
    with pytest.raises(ConfigurationError, match="setup-hubspot"):
        hubspot.check()
    assert hubspot.create_reference_property()
    assert not hubspot.create_reference_property(), "it was there already"
    assert hubspot.check()
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    assert hubspot.find_ticket(contact_id, REF) is None
    first = hubspot.create_ticket("Écran noir", "Bonjour", contact_id, REF)
    assert sandbox.hubspot.tickets[0].properties["figurative_reference"] == REF
    assert hubspot.create_ticket("Écran noir", "Bonjour", contact_id, REF) == first
    assert hubspot.find_ticket(contact_id, REF) == first
    assert len(sandbox.hubspot.tickets) == 1


def test_create_note_on_contact_and_ticket_at_mail_time(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ticket = hubspot.create_ticket("Écran noir", "Bonjour", contact_id, REF)
    at = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    assert hubspot.find_note(contact_id, ticket.id, REF) is None
    note_id = hubspot.create_note(f"<p>Fichiers [ref: {REF}]</p>", at, contact_id, ticket.id)
    assert (
        sandbox.hubspot.calls("POST", "/crm/v3/objects/notes")[0].body["properties"]["hs_timestamp"] == "1772366400250"
    )
    assert sandbox.hubspot.associated("notes", note_id, "contacts") == [contact_id]
    assert sandbox.hubspot.associated("notes", note_id, "tickets") == [ticket.id]
    assert hubspot.find_note(contact_id, ticket.id, REF) == note_id
    assert hubspot.find_note(contact_id, None, REF) == note_id
    assert hubspot.find_note(contact_id, None, OTHER_REF) is None


def test_create_note_without_ticket_is_on_contact_only(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    note_id = hubspot.create_note("<p>Bonjour</p>", datetime.now(UTC), contact_id, None)
    assert sandbox.hubspot.associated("notes", note_id, "contacts") == [contact_id]
    assert sandbox.hubspot.associated("notes", note_id, "tickets") == []


ROLLING = {"policyName": "TEN_SECONDLY_ROLLING", "errorType": "RATE_LIMIT", "message": SECRET}
NEWER = {"category": "RATE_LIMITS", "message": "You have reached your ten_secondly_rolling limit."}
DAILY = {"policyName": "DAILY", "errorType": "RATE_LIMIT"}
LATIN_1 = "<html>Passerelle indisponible, réessayez</html>".encode("latin-1")


@pytest.mark.parametrize(
    ("fault", "error", "outcome_unknown", "retry_after_s"),
    [
        (
            Fault("status", status=400, body={"message": SECRET, "category": "VALIDATION_ERROR"}),
            PermanentError,
            None,
            None,
        ),
        (Fault("status", status=401), ConfigurationError, None, None),
        (Fault("status", status=403), ConfigurationError, None, None),
        (Fault("status", status=404), PermanentError, None, None),
        (Fault("status", status=408), TransientError, True, None),
        (Fault("status", status=413), PermanentError, None, None),
        (Fault("status", status=423), TransientError, True, 2.0),
        (Fault("status", status=429, body=ROLLING), TransientError, True, 10.0),
        (Fault("status", status=429, body=NEWER), TransientError, True, 10.0),
        (Fault("status", status=429, body={"policyName": "SECONDLY"}), TransientError, True, 1.0),
        (Fault("status", status=429, body=DAILY), TransientError, True, 3600.0),
        (Fault("status", status=429, body=DAILY, headers={"Retry-After": "86400"}), TransientError, True, 86400.0),
        (Fault("status", status=429, body=b"slow down"), TransientError, True, None),
        (Fault("status", status=477, headers={"Retry-After": "7200"}), TransientError, True, 7200.0),
        (Fault("status", status=500), TransientError, True, None),
        (Fault("status", status=502, body=LATIN_1), TransientError, True, None),
        (Fault("status", status=503, headers={"Retry-After": "30"}), TransientError, True, 30.0),
        (Fault("status_after_commit", status=504), TransientError, True, None),
        (Fault("status", status=521), TransientError, True, None),
        (Fault("status", status=200, body={"status": "ok"}), TransientError, True, None),
        (Fault("status", status=200, body=[1]), TransientError, True, None),
        (Fault("garbage"), TransientError, True, None),
        (Fault("reset"), TransientError, True, None),
        (Fault("cut_after_commit"), TransientError, True, None),
        (Fault("timeout"), TransientError, True, None),
        (Fault("hang_after_commit"), TransientError, True, None),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_create_maps_every_failure_to_its_error(
    sandbox: Sandbox,
    fault: Fault,
    error: type[Exception],
    outcome_unknown: bool | None,
    retry_after_s: float | None,
) -> None:
    hubspot = connect(sandbox, read_timeout_s=0.3)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    sandbox.hubspot.fail(fault)
    with pytest.raises(error) as raised:
        hubspot.create_ticket(SECRET, SECRET, contact_id, REF)
    assert getattr(raised.value, "outcome_unknown", None) is outcome_unknown
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert str(raised.value).startswith("HubSpot create ticket: ")
    assert "\n" not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert sandbox.hubspot.token not in str(raised.value)
    assert len(sandbox.hubspot.calls("POST", TICKETS)) == 1, "never tried again by the library"


def test_hubspot_message_is_in_error_detail_only(sandbox: Sandbox) -> None:
    sandbox.hubspot.fail(Fault("status", "POST", body={"message": SECRET, "category": "VALIDATION_ERROR"}, status=400))
    with pytest.raises(PermanentError) as refused:
        connect(sandbox).create_ticket("s", "c", "1", REF)
    assert str(refused.value) == "HubSpot create ticket: HTTP 400 VALIDATION_ERROR"
    assert refused.value.detail == SECRET


@pytest.mark.parametrize("kind", ["timeout", "reset", "garbage"])
def test_failed_read_has_known_outcome_and_no_retry(sandbox: Sandbox, kind: str) -> None:
    sandbox.hubspot.fail(Fault(kind, "GET", times=None))
    with pytest.raises(TransientError) as failed:
        connect(sandbox, read_timeout_s=0.2).find_or_create_contact("zoe@example.com", "", "")
    assert not failed.value.outcome_unknown
    assert len(sandbox.hubspot.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_failed_connect_has_known_outcome(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    hubspot = HubSpot("pat", "1", "0", "1", f"{scheme}://127.0.0.1:{port}", connect_timeout_s=1.0, read_timeout_s=1.0)
    with pytest.raises(TransientError) as failed:
        hubspot.create_ticket("s", "c", "1", REF)
    assert not failed.value.outcome_unknown


def test_server_without_tls_raises_transient_error(sandbox: Sandbox) -> None:
    url = sandbox.hubspot.url.replace("http://", "https://")
    with pytest.raises(TransientError):
        HubSpot("pat", "1", "0", "1", url, connect_timeout_s=1.0, read_timeout_s=1.0).check()


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


def test_check_names_account_and_pipeline(sandbox: Sandbox) -> None:
    assert connect(sandbox).check() == f"HubSpot account {sandbox.hubspot.hub_id}, ticket pipeline 0, stage 1"
    assert {each.method for each in sandbox.hubspot.requests} == {"GET"}


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"api_key": "pat-dead"}, "HUBSPOT_API_KEY"),
        ({"hub_id": "1"}, "HUBSPOT_HUB_ID"),
        ({"pipeline_id": "77"}, "HUBSPOT_PIPELINE_ID"),
        ({"stage_new": "77"}, "HUBSPOT_STAGE_NEW"),
    ],
)
def test_check_names_the_wrong_setting(sandbox: Sandbox, wrong: dict[str, str], setting: str) -> None:
    server = sandbox.hubspot
    right = {"api_key": server.token, "hub_id": server.hub_id, "pipeline_id": "0", "stage_new": "1"}
    with pytest.raises(ConfigurationError, match=setting) as refused:
        HubSpot(**(right | wrong), base_url=server.url).check()
    assert "pat-" not in str(refused.value)
