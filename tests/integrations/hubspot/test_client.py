"""Tests of the HubSpot client: what it sends, and what is there afterwards."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, CredentialsError, PermanentError, TransientError
from integrations.hubspot.client import HubSpot
from integrations.sandbox.stand_in import Fault
from tests.support.hubspot_client import CONTACTS, OTHER_REF, REF, TICKETS, connect

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


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


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"message": 'Property values were not valid: [{"error":"INVALID_ALPHA","name":"lastname"}]'},
        {"message": "Bad name", "category": "VALIDATION_ERROR"},
    ],
)
def test_contact_whose_name_is_refused_has_the_address_alone(sandbox: Sandbox, body: object) -> None:
    """However HubSpot says so: the request is worth more than the name."""
    if body:
        sandbox.hubspot.fail(Fault("status", "POST", CONTACTS, status=400, body=body))
    contact_id = connect(sandbox).find_or_create_contact("zoe@example.com", "Gagnez", "sur https://win.example")
    (contact,) = sandbox.hubspot.contacts
    assert (contact.id, contact.properties) == (contact_id, {"email": "zoe@example.com"})
    assert len(sandbox.hubspot.calls("POST", CONTACTS)) == 2


@pytest.mark.parametrize(
    ("first_name", "last_name", "names"),
    [
        ("", "", {"lastname": "zoe durand"}),
        ("Zoé", "", {"firstname": "Zoé", "lastname": "zoe durand"}),
        ("Gagnez", "sur https://win.example", {"lastname": "zoe durand"}),
    ],
)
def test_name_that_the_account_requires_is_made_of_the_address(
    sandbox: Sandbox, first_name: str, last_name: str, names: dict[str, str]
) -> None:
    """Many mails name no one, and none of these may be lost."""
    sandbox.hubspot.crm.required_properties["contacts"].append("lastname")
    connect(sandbox).find_or_create_contact("zoe.durand@example.com", first_name, last_name)
    (contact,) = sandbox.hubspot.contacts
    assert contact.properties == {"email": "zoe.durand@example.com"} | names


def test_contact_whose_address_is_refused_is_tried_once(sandbox: Sandbox) -> None:
    with pytest.raises(PermanentError):
        connect(sandbox).find_or_create_contact("zoe@example", "Zoé", "Durand")
    assert len(sandbox.hubspot.calls("POST", CONTACTS)) == 1


def test_create_ticket_associates_contact_in_one_call(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ticket = hubspot.create_ticket("Écran noir", f"Bonjour\n[ref: {REF}]", contact_id, REF)
    assert ticket.url == f"https://app-eu1.hubspot.com/contacts/{sandbox.hubspot.hub_id}/record/0-5/{ticket.id}"
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


@pytest.mark.parametrize("shown", [{}, {"url": None}, {"url": "javascript:alert(1)"}])
def test_ticket_whose_answer_has_no_url_is_on_hubspots_own_host(sandbox: Sandbox, shown: dict[str, object]) -> None:
    sandbox.hubspot.fail(Fault("status", "POST", TICKETS, status=201, body={"id": "77"} | shown))
    ticket = connect(sandbox).create_ticket("Écran noir", "Bonjour", "1", REF)
    assert ticket.url == f"https://app.hubspot.com/contacts/{sandbox.hubspot.hub_id}/record/0-5/77"


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
        sandbox.hubspot.calls("POST", "/crm/objects/2026-09/notes")[0].body["properties"]["hs_timestamp"]
        == "1772366400250"
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


def test_check_names_account_and_pipeline(sandbox: Sandbox) -> None:
    assert connect(sandbox).check() == f"HubSpot account {sandbox.hubspot.hub_id}, ticket pipeline 0, stage 1"
    writes = [(each.method, each.path) for each in sandbox.hubspot.requests if each.method != "GET"]
    assert writes == [("PATCH", f"{CONTACTS}/0")], "of a contact that cannot be, for the scope"


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


FOLDER, NAME = "/figurative-poller/0123456789abcdef", "plan-2.pdf"


class Pieces(io.BytesIO):
    """A stream that keeps how much it was asked for at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read like any other."""
        self.most = max(self.most, 1 << 40 if size is None or size < 0 else size)
        return super().read(size)


def test_private_file_is_streamed_and_found_by_its_path(sandbox: Sandbox) -> None:
    """Whatever its bytes; of a large one little is held at a time."""
    hubspot, server = connect(sandbox), sandbox.hubspot
    content = bytes(range(256)) * 4_000 + b"\r\n--\r\n"
    body = Pieces(content)
    assert hubspot.find_file(FOLDER, NAME) is None
    file_id = hubspot.upload_file(FOLDER, NAME, body, len(content), "application/pdf")
    (file,) = server.files
    assert (file.id, file.path, file.access) == (file_id, f"{FOLDER}/{NAME}", "PRIVATE")
    assert (file.content_type, file.body) == ("application/pdf", content)
    assert body.most <= 64 * 1024
    assert hubspot.find_file(FOLDER, NAME) == file_id
    assert hubspot.find_file(FOLDER, "plan.pdf") is None


def test_note_attaches_private_files(sandbox: Sandbox) -> None:
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    hubspot.create_note("<p>x</p>", datetime(2026, 11, 22, tzinfo=UTC), contact_id, None, ["18", "19"])
    assert sandbox.hubspot.notes[0].properties["hs_attachment_ids"] == "18;19"


@pytest.mark.parametrize(
    ("fault", "error", "unknown"),
    [
        (Fault("status", "POST", "/files/", status=503), TransientError, True),
        (Fault("cut_after_commit", "POST", "/files/"), TransientError, True),
        (Fault("status", "POST", "/files/", status=400), PermanentError, None),
        (Fault("status", "POST", "/files/", status=403), ConfigurationError, None),
    ],
)
def test_upload_of_a_private_file_maps_failures(
    sandbox: Sandbox, fault: Fault, error: type[Exception], unknown: bool | None
) -> None:
    sandbox.hubspot.fail(fault)
    with pytest.raises(error) as caught:
        connect(sandbox).upload_file(FOLDER, NAME, io.BytesIO(b"%PDF"), 4, "application/pdf")
    assert getattr(caught.value, "outcome_unknown", None) is unknown


@pytest.mark.parametrize("scope", ["crm.objects.contacts.read", "crm.objects.contacts.write", "tickets"])
def test_check_names_a_missing_scope(sandbox: Sandbox, scope: str) -> None:
    sandbox.hubspot.scopes.discard(scope)
    with pytest.raises(ConfigurationError, match=f"lacks the scope {scope}: "):
        connect(sandbox).check()


def test_call_without_its_scope_names_it(sandbox: Sandbox) -> None:
    """In HubSpot's own words."""
    hubspot = connect(sandbox)
    sandbox.hubspot.scopes.discard("crm.objects.contacts.write")
    with pytest.raises(CredentialsError, match=r"lacks a scope: crm\.objects\.contacts\.write"):
        hubspot.find_or_create_contact("zoe@example.com", "", "")


def test_check_names_the_scope_that_private_files_need(sandbox: Sandbox) -> None:
    """It is asked for only if they are used."""
    server = sandbox.hubspot
    server.scopes.discard("files")
    connect(sandbox).check()
    hubspot = HubSpot(server.token, server.hub_id, "0", "1", server.url, private_files=True)
    with pytest.raises(ConfigurationError, match='scope "files"'):
        hubspot.check()
    server.scopes.add("files")
    assert "HubSpot account" in hubspot.check()


def test_untouched_tickets_are_read_a_hundred_at_a_time(sandbox: Sandbox) -> None:
    """One that was deleted, moved or answered is none of them."""
    hubspot = connect(sandbox)
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    ids = [hubspot.create_ticket(f"{number}", "", contact_id, "").id for number in range(3)]
    sandbox.hubspot.tickets[1].properties["hs_pipeline_stage"] = "2"
    sandbox.hubspot.tickets[2].properties["first_agent_reply_date"] = "2026-11-23T10:00:00Z"
    sandbox.hubspot.requests.clear()
    assert hubspot.untouched([*ids, *(f"{number}" for number in range(98))]) == {ids[0]}
    assert [len(each.body["inputs"]) for each in sandbox.hubspot.requests] == [100, 1]
    assert hubspot.untouched([]) == set()
