"""The stand-ins do what the services do, refuse what they refuse, and break when they are told to."""

from __future__ import annotations

import re
import shutil
import smtplib
import socket
import ssl
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx2 as httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from imapclient.exceptions import LoginError

from integrations.sandbox import Fault, RateLimit, Refusal, Sandbox
from integrations.sandbox.certificate import self_signed
from integrations.sandbox.hubspot import HubSpot
from integrations.sandbox.imap import Dovecot, Pymap
from integrations.sandbox.s3 import S3
from integrations.sandbox.smtp import Smtp
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox.imap_account import ImapServer

CONTACTS = "/crm/objects/2026-09/contacts"
TICKETS = "/crm/objects/2026-09/tickets"
NOTES = "/crm/objects/2026-09/notes"
TICKETS_OF_CONTACTS = "/crm/associations/2026-09/contacts/tickets/batch/read"
UNIQUE = {
    "groupName": "ticketinformation",
    "name": "figurative_reference",
    "label": "Reference",
    "type": "string",
    "fieldType": "text",
    "hasUniqueValue": True,
}


@pytest.fixture
def hubspot(sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.hubspot.token}"}
    with httpx.Client(base_url=sandbox.hubspot.url, headers=headers, timeout=5.0) as client:
        yield client


@pytest.fixture
def clickup(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=sandbox.clickup.base_url, headers={"Authorization": sandbox.clickup.token}, timeout=5.0
    ) as client:
        yield client


def contact(client: httpx.Client, email: str = "zoe@example.com") -> str:
    return str(client.post(CONTACTS, json={"properties": {"email": email}}).json()["id"])


def linked(to_id: str, *types: int) -> list[dict[str, Any]]:
    return [
        {
            "to": {"id": to_id},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": each} for each in types],
        }
    ]


def ticket(client: httpx.Client, contact_id: str, **properties: str) -> httpx.Response:
    body = {"subject": "Bonjour", "hs_pipeline": "0", "hs_pipeline_stage": "1"} | properties
    return client.post(TICKETS, json={"properties": body, "associations": linked(contact_id, 16)})


# The ground of the HTTP stand-ins


@pytest.mark.parametrize(
    ("fault", "seen", "done"),
    [
        (Fault("status", status=503, headers={"Retry-After": "86400"}), 503, False),
        (Fault("garbage"), 200, False),
        (Fault("reset"), httpx.ReadError, False),
        (Fault("timeout"), httpx.ReadTimeout, False),
        (Fault("timeout", seconds=0.0), httpx.RemoteProtocolError, False),
        (Fault("cut_after_commit"), httpx.RemoteProtocolError, True),
        (Fault("status_after_commit", status=504), 504, True),
        (Fault("hang_after_commit"), httpx.ReadTimeout, True),
        (Fault("trickle"), httpx.ReadTimeout, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_fault_has_its_effect_and_commits_or_not(
    sandbox: Sandbox, hubspot: httpx.Client, fault: Fault, seen: Any, done: bool
) -> None:
    sandbox.hubspot.fail(fault)
    # Only a silence that would last needs a client without patience.
    patience_s = 0.2 if seen is httpx.ReadTimeout else 10.0
    if isinstance(seen, int):
        answer = hubspot.post(CONTACTS, json={"properties": {"email": "zoe@example.com"}}, timeout=patience_s)
        assert answer.status_code == seen
        assert answer.headers.get("retry-after") == fault.headers.get("Retry-After")
    else:
        with pytest.raises(seen):
            hubspot.post(CONTACTS, json={"properties": {"email": "zoe@example.com"}}, timeout=patience_s)
    deadline = time.monotonic() + 10.0
    while len(sandbox.hubspot.contacts) < done and time.monotonic() < deadline:
        pass  # on a busy machine the client gives up before the server has begun
    assert len(sandbox.hubspot.contacts) == done
    assert len(sandbox.hubspot.calls("POST", CONTACTS)) == 1


def test_fault_applies_to_matching_requests_given_times(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    sandbox.hubspot.fail(Fault("status", "POST", TICKETS, times=2, status=502))
    sandbox.hubspot.fail(Fault("status", "GET", re.compile(r"/contacts/\d+$"), times=None, status=500))
    id_ = contact(hubspot)
    assert [ticket(hubspot, id_).status_code for _ in range(3)] == [502, 502, 201]
    assert [hubspot.get(f"{CONTACTS}/{id_}").status_code for _ in range(3)] == [500, 500, 500]
    sandbox.hubspot.heal()
    assert hubspot.get(f"{CONTACTS}/{id_}").status_code == 200


@pytest.mark.parametrize("end", ["heal", "reset", "stop"])
def test_heal_ends_hang(end: str) -> None:
    with HubSpot() as server, socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as client:
        server.fail(Fault("timeout", seconds=600.0))
        client.sendall(b"GET /crm/objects/2026-09/contacts HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
        getattr(server, end)()
        client.settimeout(5.0)
        assert client.recv(1) == b""


def test_restart_keeps_port_and_data(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    id_, port = contact(hubspot), sandbox.hubspot.port
    sandbox.hubspot.stop()
    try:
        with pytest.raises(httpx.TransportError):
            hubspot.get(f"{CONTACTS}/{id_}")
    finally:
        sandbox.hubspot.start()
    assert sandbox.hubspot.port == port
    assert hubspot.get(f"{CONTACTS}/{id_}").status_code == 200


def test_request_is_recorded_as_sent(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    hubspot.get(f"{CONTACTS}/a%2Bb%2F%C3%BC%40x.com", params={"idProperty": "email"}, headers={"X-Odd": "é".encode()})
    (request,) = sandbox.hubspot.requests
    assert (request.method, request.path) == ("GET", f"{CONTACTS}/a%2Bb%2F%C3%BC%40x.com")
    assert request.segments[-1] == "a+b/ü@x.com"
    assert request.query == {"idProperty": ["email"]}
    assert request.headers["authorization"] == f"Bearer {sandbox.hubspot.token}"


def test_rate_limit_window_slides_and_skips_refused_requests() -> None:
    now = 0.0
    limit = RateLimit(2, 10.0, clock=lambda: now)
    assert [limit.admit(), limit.admit(), limit.admit()] == [True, True, False]
    assert (limit.remaining, limit.reset_in_s) == (0, 10.0)
    now = 10.0
    assert limit.admit()


# HubSpot


@pytest.mark.parametrize(
    ("path", "properties", "code"),
    [
        (CONTACTS, {"email": "not an address"}, "INVALID_EMAIL"),
        (CONTACTS, {"email": "a@b.co", "colour": "red"}, "PROPERTY_DOESNT_EXIST"),
        (CONTACTS, {"email": "a@b.co", "hs_object_id": "1"}, "READ_ONLY_VALUE"),
        (CONTACTS, {"email": "a@b.co", "firstname": "Voir https://x.example"}, "INVALID_NAME"),
        (CONTACTS, {"email": "a@b.co", "lastname": "<b>Durand</b>"}, "INVALID_NAME"),
        (CONTACTS, {"phone": "1"}, "REQUIRED_PROPERTIES_MISSING"),
        (TICKETS, {"hs_pipeline_stage": "1"}, "REQUIRED_PROPERTIES_MISSING"),
        (TICKETS, {"subject": "x"}, "REQUIRED_PROPERTIES_MISSING"),
        (TICKETS, {"subject": "x", "hs_pipeline": "7", "hs_pipeline_stage": "1"}, "INVALID_OPTION"),
        (TICKETS, {"subject": "x", "hs_pipeline_stage": "7"}, "INVALID_OPTION"),
        (TICKETS, {"subject": "x", "hs_pipeline_stage": "1", "hs_ticket_priority": "high"}, "INVALID_OPTION"),
        (TICKETS, {"subject": "x", "hs_pipeline_stage": "1", "content": "é" * 65_537}, "VALUE_TOO_LONG"),
        (NOTES, {"hs_note_body": "x"}, "REQUIRED_PROPERTIES_MISSING"),
        (NOTES, {"hs_timestamp": "yesterday"}, "INVALID_DATE"),
    ],
)
def test_hubspot_refuses_invalid_input_and_stores_nothing(
    sandbox: Sandbox, hubspot: httpx.Client, path: str, properties: dict[str, str], code: str
) -> None:
    answer = hubspot.post(path, json={"properties": properties})
    assert answer.status_code == 400
    assert answer.json()["category"] == "VALIDATION_ERROR"
    assert answer.json()["errors"][0]["code"] == code
    assert sandbox.hubspot.contacts + sandbox.hubspot.tickets + sandbox.hubspot.notes == []


def test_contact_is_found_by_address_in_any_case(hubspot: httpx.Client) -> None:
    id_ = contact(hubspot, "Zoe+a/b@Example.com")
    answer = hubspot.get(f"{CONTACTS}/ZOE%2Ba%2Fb%40example.com", params={"idProperty": "email"})
    assert (answer.json()["id"], answer.json()["properties"]["email"]) == (id_, "zoe+a/b@example.com")
    assert hubspot.get(f"{CONTACTS}/nobody%40example.com", params={"idProperty": "email"}).status_code == 404


@pytest.mark.parametrize("category", ["CONFLICT", "OBJECT_ALREADY_EXISTS"])
def test_known_address_conflict_names_contact(sandbox: Sandbox, hubspot: httpx.Client, category: str) -> None:
    sandbox.hubspot.crm.conflict_category = category
    id_ = contact(hubspot)
    answer = hubspot.post(CONTACTS, json={"properties": {"email": "ZOE@example.com"}})
    assert answer.status_code == 409
    assert answer.json()["category"] == category
    assert answer.json()["message"].endswith(f"Existing ID: {id_}")
    assert ("identityProfile" in answer.json()) == (category == "OBJECT_ALREADY_EXISTS")


def test_secondary_address_conflicts_and_get_finds_it_if_set(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    id_ = contact(hubspot)
    hubspot.patch(f"{CONTACTS}/{id_}", json={"properties": {"hs_additional_emails": "z@example.com"}})
    path = f"{CONTACTS}/z%40example.com?idProperty=email"
    assert hubspot.post(CONTACTS, json={"properties": {"email": "z@example.com"}}).status_code == 409
    assert hubspot.get(path).status_code == 404
    sandbox.hubspot.crm.finds_additional_emails = True
    assert hubspot.get(path).json()["id"] == id_


def test_ticket_and_note_are_created_with_associations(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    contact_id = contact(hubspot)
    ticket_id = ticket(hubspot, contact_id, content="Texte").json()["id"]
    note = {"hs_timestamp": "1795340000000", "hs_note_body": "<b>x</b>"}
    associations = linked(contact_id, 202) + linked(ticket_id, 228)
    note_id = hubspot.post(NOTES, json={"properties": note, "associations": associations}).json()["id"]

    seen = hubspot.get(f"{TICKETS}/{ticket_id}?associations=notes,contacts&properties=content").json()
    assert seen["properties"].keys() == {"content", "createdate", "hs_lastmodifieddate", "hs_object_id"}
    assert {kind: [each["id"] for each in listed["results"]] for kind, listed in seen["associations"].items()} == {
        "notes": [note_id],
        "contacts": [contact_id],
    }
    listed = hubspot.post(TICKETS_OF_CONTACTS, json={"inputs": [{"id": contact_id}]}).json()["results"][0]["to"]
    assert [(each["toObjectId"], each["associationTypes"][0]["typeId"]) for each in listed] == [(ticket_id, 15)]
    batch = {"inputs": [{"id": note_id}, {"id": "1"}], "properties": ["hs_note_body"]}
    read = hubspot.post(f"{NOTES}/batch/read", json=batch)
    assert (read.status_code, read.json()["numErrors"]) == (207, 1)
    assert read.json()["results"][0]["properties"]["hs_note_body"] == "<b>x</b>"
    assert sandbox.hubspot.associated("notes", note_id, "tickets") == [ticket_id]


@pytest.mark.parametrize(("contact_id", "type_id"), [("1", 16), (None, 15), (None, 202)])
def test_invalid_association_creates_no_ticket(
    sandbox: Sandbox, hubspot: httpx.Client, contact_id: str | None, type_id: int
) -> None:
    associations = linked(contact_id or contact(hubspot), type_id)
    properties = {"subject": "x", "hs_pipeline_stage": "1"}
    assert hubspot.post(TICKETS, json={"properties": properties, "associations": associations}).status_code == 400
    assert sandbox.hubspot.tickets == []


def test_associations_come_in_pages(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    sandbox.hubspot.page_size = 2
    contact_id = contact(hubspot)
    ids = [ticket(hubspot, contact_id).json()["id"] for _ in range(5)]
    seen, after = [], "0"
    while after:
        inputs = [{"id": contact_id, "after": after}]
        (page,) = hubspot.post(TICKETS_OF_CONTACTS, json={"inputs": inputs}).json()["results"]
        assert len(page["to"]) <= 2
        seen += [each["toObjectId"] for each in page["to"]]
        after = page.get("paging", {}).get("next", {}).get("after", "")
    assert seen == ids


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v3/objects/contacts/1",
        "/crm/v4/objects/contacts/1/associations/tickets",
        "/crm/objects/2026-09-beta/contacts/1",
        "/account-info/v3/details",
    ],
)
def test_hubspot_answers_under_its_dates_alone(hubspot: httpx.Client, path: str) -> None:
    """So that a call to what HubSpot ends goes red."""
    assert hubspot.get(path).status_code == 404
    assert hubspot.get("/account-info/2026-03/details").status_code == 200


def test_associating_twice_changes_nothing(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    contact_id = contact(hubspot)
    ticket_id = ticket(hubspot, contact_id).json()["id"]
    path = f"{TICKETS}/{ticket_id}/associations/default/contacts/{contact_id}"
    assert [hubspot.put(path).status_code for _ in range(2)] == [200, 200]
    assert sandbox.hubspot.associated("tickets", ticket_id, "contacts") == [contact_id]


def test_unique_property_finds_ticket_and_refuses_duplicate(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    path = f"{TICKETS}/abc?idProperty=figurative_reference"
    assert hubspot.get(path).status_code == 400
    assert hubspot.post("/crm/properties/2026-09/tickets", json=UNIQUE).status_code == 201
    assert hubspot.post("/crm/properties/2026-09/tickets", json=UNIQUE).status_code == 409
    assert hubspot.get(path).status_code == 404
    contact_id = contact(hubspot)
    id_ = ticket(hubspot, contact_id, figurative_reference="abc").json()["id"]
    again = ticket(hubspot, contact_id, figurative_reference="abc")
    assert (again.status_code, "CONFLICTING_UNIQUE_VALUE" in again.text) == (400, True)
    assert hubspot.get(path).json()["id"] == id_
    assert len(sandbox.hubspot.tickets) == 1


def test_search_index_lags_as_configured(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    id_ = contact(hubspot)
    wanted = {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "zoe@example.com"}]}]}
    found = hubspot.post(f"{CONTACTS}/search", json=wanted)
    assert [each["id"] for each in found.json()["results"]] == [id_]
    assert not any(name.startswith("x-hubspot-ratelimit") for name in found.headers)
    sandbox.hubspot.crm.search_lag_s = 30.0
    assert hubspot.post(f"{CONTACTS}/search", json=wanted).json()["total"] == 0


def test_hubspot_requires_token_and_limits_rate(sandbox: Sandbox, hubspot: httpx.Client) -> None:
    refused = hubspot.get("/account-info/2026-09/details", headers={"Authorization": "Bearer other"})
    assert (refused.status_code, refused.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    sandbox.hubspot.rate_limit = RateLimit(1, 3600.0)
    first, second = (hubspot.get("/account-info/2026-09/details") for _ in range(2))
    assert (first.status_code, first.json()["portalId"]) == (200, int(sandbox.hubspot.hub_id))
    assert (second.status_code, second.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    assert second.headers["x-hubspot-ratelimit-remaining"] == "0"


# ClickUp


def subtask(client: httpx.Client, sandbox: Sandbox, name: str, /, **fields: Any) -> httpx.Response:
    body = {"name": name, "parent": sandbox.clickup.parent_id} | fields
    return client.post(f"/list/{sandbox.clickup.list_id}/task", json=body)


def test_subtask_has_parent_and_plain_text_of_markdown(sandbox: Sandbox, clickup: httpx.Client) -> None:
    markdown = r"**Client** : \*Zoé\*" + "\n" + r"\[ref: 0a\] [photo\_1](https://r2.example/a.jpg)"
    answer = subtask(clickup, sandbox, "Chaise", markdown_content=markdown, description="ignored")
    assert answer.status_code == 200
    assert answer.json()["text_content"] == "Client : *Zoé*\n[ref: 0a] photo_1"
    parent = clickup.get(f"/task/{sandbox.clickup.parent_id}?include_subtasks=true").json()
    assert [each["id"] for each in parent["subtasks"]] == [answer.json()["id"]]
    assert parent["list"]["id"] == sandbox.clickup.list_id
    (kept,) = sandbox.clickup.subtasks
    assert (kept.name, kept.markdown) == ("Chaise", markdown)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"parent": "86cnothing"}, "ITEM_137"),
        ({"name": " "}, "INPUT_005"),
        ({"priority": 5}, "INPUT_006"),
        ({"custom_item_id": None}, "INPUT_008"),
    ],
)
def test_clickup_refuses_invalid_input(
    sandbox: Sandbox, clickup: httpx.Client, fields: dict[str, Any], code: str
) -> None:
    answer = subtask(clickup, sandbox, "Chaise", **fields)
    assert (answer.status_code, answer.json()["ECODE"]) == (400, code)
    assert sandbox.clickup.subtasks == []


def test_list_includes_subtasks_and_closed_only_if_asked(sandbox: Sandbox, clickup: httpx.Client) -> None:
    first, second = (subtask(clickup, sandbox, name, tags=[name.upper()]).json()["id"] for name in "ab")
    sandbox.clickup.tasks[first].created_at -= 60.0
    clickup.put(f"/task/{second}", json={"status": "complete"})

    def listed(**asked: Any) -> list[str]:
        tasks = clickup.get(f"/list/{sandbox.clickup.list_id}/task", params=asked).json()["tasks"]
        return [each["id"] for each in tasks]

    parent = sandbox.clickup.parent_id
    assert listed() == [parent]
    assert listed(subtasks="true") == [first, parent]
    assert listed(subtasks="true", include_closed="true") == [second, first, parent]
    assert listed(subtasks="true", include_closed="true", **{"tags[]": "b"}) == [second]
    assert listed(subtasks="true", include_closed="true", reverse="true") == [parent, first, second]
    since = int((sandbox.clickup.tasks[second].created_at - 30.0) * 1000)
    assert listed(subtasks="true", include_closed="true", date_created_gt=since) == [second]
    sandbox.clickup.list_lag_s = 30.0
    assert listed(subtasks="true", include_closed="true") == [first, parent]


def test_list_pages_have_100_tasks(sandbox: Sandbox, clickup: httpx.Client) -> None:
    sandbox.clickup.rate_limit = None
    for number in range(120):
        subtask(clickup, sandbox, str(number))
    path = f"/list/{sandbox.clickup.list_id}/task?subtasks=true"
    pages = [clickup.get(f"{path}&page={number}").json() for number in range(2)]
    assert [(len(page["tasks"]), page["last_page"]) for page in pages] == [(100, False), (21, True)]


@pytest.mark.parametrize(
    ("path", "authorization", "code"),
    [
        ("/user", None, "OAUTH_017"),
        ("/user", "pk_wrong", "OAUTH_019"),
        ("/user", "Bearer pk_147_SANDBOX", "OAUTH_019"),
        ("/task/86cnothing", "pk_147_SANDBOX", "OAUTH_027"),
        ("/list/1/task", "pk_147_SANDBOX", "OAUTH_027"),
    ],
)
def test_clickup_answers_401_to_a_bad_token_and_to_an_unknown_id(
    sandbox: Sandbox, path: str, authorization: str | None, code: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = httpx.get(sandbox.clickup.base_url + path, headers=headers)
    assert (answer.status_code, answer.json()["ECODE"]) == (401, code)


def test_clickup_rate_limit_reports_reset_time(sandbox: Sandbox, clickup: httpx.Client) -> None:
    sandbox.clickup.rate_limit = RateLimit(1, 60.0)
    before = int(time.time())
    first, second = (clickup.get("/user") for _ in range(2))
    after = time.time()
    assert (first.status_code, second.status_code, second.json()["ECODE"]) == (200, 429, "APP_002")
    # A whole second: the one in which it ends, or the next.
    assert before + 60 <= int(second.headers["x-ratelimit-reset"]) <= after + 61


def test_comment_is_stored_with_its_task(sandbox: Sandbox, clickup: httpx.Client) -> None:
    id_ = subtask(clickup, sandbox, "Chaise").json()["id"]
    answer = clickup.post(f"/task/{id_}/comment", json={"comment_text": "Bonjour"})
    (kept,) = sandbox.clickup.tasks[id_].comments
    assert (answer.status_code, kept.text) == (200, "Bonjour")
    assert {name: answer.json()[name] for name in ("id", "date")} == {"id": str(kept.id), "date": kept.date_ms}
    (listed,) = clickup.get(f"/task/{id_}/comment").json()["comments"]
    assert listed["id"] == str(kept.id)
    assert listed["comment_text"] == "Bonjour"
    assert listed["date"] == str(kept.date_ms)
    assert listed["user"] == clickup.get("/user").json()["user"]


@pytest.mark.parametrize("body", [{}, {"comment_text": ""}, {"comment_text": " \n"}, {"comment_text": None}, []])
def test_comment_without_text_is_refused(sandbox: Sandbox, clickup: httpx.Client, body: object) -> None:
    path = f"/task/{sandbox.clickup.parent_id}/comment"
    assert clickup.post(path, json=body).status_code == 400
    assert clickup.get(path).json() == {"comments": []}


def test_comments_are_paged_by_25_newest_first(sandbox: Sandbox, clickup: httpx.Client) -> None:
    sandbox.clickup.rate_limit = None
    path = f"/task/{sandbox.clickup.parent_id}/comment"
    made = [str(clickup.post(path, json={"comment_text": str(number)}).json()["id"]) for number in range(27)]

    def page(**query: str) -> list[str]:
        return [each["id"] for each in clickup.get(path, params=query).json()["comments"]]

    assert page() == made[:1:-1]
    last = clickup.get(path).json()["comments"][-1]
    assert page(start_id=last["id"]) == page(start=last["date"]) == page(), "only both together count"
    assert page(start=last["date"], start_id=last["id"]) == made[1::-1]


# Anthropic

SCHEMA = {"type": "object", "additionalProperties": False, "properties": {"category": {"type": "string"}}}


def ask(sandbox: Sandbox, key_header: str = "x-api-key", **changes: Any) -> httpx.Response:
    key = sandbox.anthropic.api_key if key_header == "x-api-key" else f"Bearer {sandbox.anthropic.api_key}"
    body = {
        "model": "claude-haiku-5-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Pouvez-vous modéliser cette chaise en 3D ?"}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    headers = {key_header: key, "anthropic-version": "2026-10-21"}
    return httpx.post(f"{sandbox.anthropic.url}/v1/messages", json=body | changes, headers=headers)


@pytest.mark.parametrize("key_header", ["x-api-key", "authorization"])
def test_model_sends_thinking_before_decision(sandbox: Sandbox, key_header: str) -> None:
    message = ask(sandbox, key_header).json()
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert '"category": "MODELISATION"' in message["content"][1]["text"]
    sandbox.anthropic.decide = lambda mail: {"read": mail}
    assert ask(sandbox).json()["content"][1]["text"] == '{"read": "Pouvez-vous modéliser cette chaise en 3D ?"}'


def test_model_can_refuse_or_truncate(sandbox: Sandbox) -> None:
    sandbox.anthropic.stop_reason = "refusal"
    assert [block["type"] for block in ask(sandbox).json()["content"]] == ["thinking"]
    sandbox.anthropic.stop_reason = "max_tokens"
    message = ask(sandbox).json()
    assert message["stop_reason"] == "max_tokens"
    assert not message["content"][1]["text"].endswith("}")


@pytest.mark.parametrize(
    ("changes", "status", "type_"),
    [
        ({"temperature": 0}, 400, "invalid_request_error"),
        ({"top_p": 0.5}, 400, "invalid_request_error"),
        ({"max_tokens": None}, 400, "invalid_request_error"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 400, "invalid_request_error"),
        ({"messages": [{"role": "assistant", "content": "{"}]}, 400, "invalid_request_error"),
        ({"model": "claude-3-haiku"}, 404, "not_found_error"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            400,
            "invalid_request_error",
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "number", "maximum": 1}}}},
            400,
            "invalid_request_error",
        ),
    ],
)
def test_anthropic_refuses_unsupported_parameters(
    sandbox: Sandbox, changes: dict[str, Any], status: int, type_: str
) -> None:
    answer = ask(sandbox, **changes)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, type_)


def test_anthropic_requires_api_key(sandbox: Sandbox) -> None:
    for headers in ({}, {"x-api-key": "other"}, {"authorization": "Bearer other"}):
        answer = httpx.get(f"{sandbox.anthropic.url}/v1/models", headers=headers | {"anthropic-version": "2026-10-21"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


# S3


def s3_client(server: S3, access_key_id: str = "") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=access_key_id or server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(
            region_name="auto",
            request_checksum_calculation="when_required",
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )


def test_object_is_public_to_read_and_needs_key_to_write(sandbox: Sandbox) -> None:
    client = s3_client(sandbox.s3)
    disposition = 'attachment; filename="a.pdf"'
    client.put_object(
        Bucket=sandbox.s3.bucket,
        Key="mail/ä b#1.pdf",
        Body=b"%PDF",
        ContentType="application/pdf",
        ContentDisposition=disposition,
    )
    (stored,) = sandbox.s3.objects
    assert (stored.key, stored.body, stored.size_bytes) == ("mail/ä b#1.pdf", b"%PDF", 4)
    public = httpx.get(f"{sandbox.s3.public_url}/mail/%C3%A4%20b%231.pdf")
    assert (public.status_code, public.content, public.headers["content-disposition"]) == (200, b"%PDF", disposition)
    assert httpx.get(sandbox.s3.public_url).status_code == 401
    assert httpx.get(f"{sandbox.s3.public_url}/mail/%C3%A4%20b%231.pdf?acl").status_code == 401
    assert httpx.put(f"{sandbox.s3.public_url}/x", content=b"x").status_code == 401
    with pytest.raises(ClientError, match="Unauthorized"):
        s3_client(sandbox.s3, "f" * 32).put_object(Bucket=sandbox.s3.bucket, Key="x", Body=b"x")
    assert len(sandbox.s3.objects) == 1


def test_if_none_match_keeps_first_object_after_lost_answer(sandbox: Sandbox) -> None:
    put = {"Bucket": sandbox.s3.bucket, "Key": "k", "IfNoneMatch": "*"}
    client = s3_client(sandbox.s3)
    sandbox.s3.fail(Fault("status_after_commit", "PUT", status=503))
    with pytest.raises(ClientError, match="SlowDown"):
        client.put_object(Body=b"first", **put)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Body=b"second", **put)
    assert [each.body for each in sandbox.s3.objects] == [b"first"]
    assert len(sandbox.s3.calls("PUT")) == 2


def test_two_stand_ins_have_separate_buckets(sandbox: Sandbox) -> None:
    with S3() as other:
        s3_client(other).put_object(Bucket=other.bucket, Key="k", Body=b"x")
        assert sandbox.s3.objects == []
        sandbox.s3.reset()
        assert [each.key for each in other.objects] == ["k"]


# SMTP


def mail() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Été"
    message.set_content("Bonjour")
    return message


def send(server: Smtp, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP(server.host, server.port, timeout=5.0) as client:
        return client.send_message(mail(), "poller@figurative.example", recipients or ("admin@figurative.example",))


def test_mail_is_stored_with_envelope(sandbox: Sandbox) -> None:
    send(sandbox.smtp, "a@figurative.example", "b@figurative.example")
    (kept,) = sandbox.smtp.messages
    assert (kept.sender, kept.recipients) == (
        "poller@figurative.example",
        ("a@figurative.example", "b@figurative.example"),
    )
    assert (kept.message["Subject"], kept.tls, kept.username) == ("Été", False, "")


@pytest.mark.parametrize(
    ("refusal", "error", "kept"),
    [
        (Refusal("mail", "421 4.3.2 closing"), smtplib.SMTPSenderRefused, 0),
        (Refusal("rcpt", "550 5.1.1 unknown"), smtplib.SMTPRecipientsRefused, 0),
        (Refusal("data", "451 4.3.0 later"), smtplib.SMTPDataError, 0),
        (Refusal("data", "552 5.2.2 full"), smtplib.SMTPDataError, 0),
        (Refusal("data"), smtplib.SMTPServerDisconnected, 0),
        (Refusal("after_data"), smtplib.SMTPServerDisconnected, 1),
    ],
)
def test_refusal_applies_at_its_stage_and_stores_mail_or_not(
    sandbox: Sandbox, refusal: Refusal, error: type[Exception], kept: int
) -> None:
    sandbox.smtp.fail(refusal)
    with pytest.raises(error):
        send(sandbox.smtp)
    assert len(sandbox.smtp.messages) == kept
    assert send(sandbox.smtp) == {}


def test_refusal_can_apply_to_one_recipient(sandbox: Sandbox) -> None:
    sandbox.smtp.fail(Refusal("rcpt", "550 5.1.1 unknown", recipient="b@figurative.example", times=None))
    assert send(sandbox.smtp, "a@figurative.example", "b@figurative.example").keys() == {"b@figurative.example"}
    assert sandbox.smtp.messages[0].recipients == ("a@figurative.example",)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_smtp_server_accepts_mail_over_tls_after_login(tmp_path: Path, security: Any) -> None:
    certificate = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate.path)
    with Smtp(username="u", password="p", security=security, ssl_context=certificate.server_context()) as server:

        def connected() -> smtplib.SMTP:
            if security == "tls":
                return smtplib.SMTP_SSL("localhost", server.port, context=trusting, timeout=5.0)
            client = smtplib.SMTP("localhost", server.port, timeout=5.0)
            client.starttls(context=trusting)
            return client

        with connected() as client, pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            client.send_message(mail(), "a@figurative.example", "b@figurative.example")
        with connected() as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("u", "wrong")
        with connected() as client:
            client.login("u", "p")
            client.send_message(mail(), "a@figurative.example", "b@figurative.example")
        assert [(kept.tls, kept.username) for kept in server.messages] == [(True, "u")]


# IMAP

RAW = b"Subject: =?utf-8?q?=C3=89t=C3=A9?=\r\nX-Odd: \xff\r\n\r\nBonjour\r\n.\r\n"


@pytest.fixture(params=[pytest.param(Dovecot, marks=needs_dovecot), Pymap])
def imap(request: pytest.FixtureRequest) -> Iterator[ImapServer]:
    with request.param() as server:
        yield server


def test_mailbox_keeps_bytes_flags_keywords_and_moves(imap: ImapServer) -> None:
    imap.deliver(RAW, flags=[r"\Flagged", "$Odd"])
    imap.deliver(b"Subject: second\r\n\r\n")
    with imap.session() as client:
        client.create_folder("Traités/Été & co")
        client.select_folder("INBOX")
        first, _ = sorted(client.search())
        client.add_flags([first], ["$Done"])
        client.move([first], "Traités/Été & co")
    (moved,) = imap.messages("Traités/Été & co")
    assert (moved.raw, moved.flags) == (RAW, {r"\Flagged", "$Odd", "$Done"})
    assert [each.raw for each in imap.messages()] == [b"Subject: second\r\n\r\n"]
    assert "Traités/Été & co" in imap.mailboxes()
    assert imap.messages("Nowhere") == []
    imap.reset()
    assert (imap.messages(), imap.mailboxes()) == ([], ["INBOX"])


def test_wrong_password_is_refused(imap: ImapServer) -> None:
    imap.password = "wrong"
    with pytest.raises(LoginError):
        imap.messages()


@needs_dovecot
def test_dovecot_can_have_prefix_and_lack_extensions() -> None:
    with Dovecot(namespace_prefix="INBOX.", separator=".", without={"MOVE", "UIDPLUS", "IDLE"}) as server:
        with server.session() as client:
            assert client.namespace().personal == (("INBOX.", "."),)
            offered = set(client.capabilities())
            client.create_folder("INBOX.Traités")
        assert not offered & {b"MOVE", b"UIDPLUS", b"IDLE"}
        assert b"NAMESPACE" in offered
        server.deliver(RAW, "INBOX.Traités")
        assert [each.raw for each in server.messages("INBOX.Traités")] == [RAW]
        server.reset()
        assert server.mailboxes() == ["INBOX"]


@needs_dovecot
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_dovecot_serves_tls_with_self_signed_certificate(security: Any) -> None:
    with Dovecot(security=security) as server:
        server.deliver(RAW)
        assert [each.raw for each in server.messages()] == [RAW]
        server.certificate_path = None
        with pytest.raises(ssl.SSLCertVerificationError):
            server.messages()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("echo 2.9.1", r"Dovecot 2\.9\.1 did not start: doveconf: Fatal: no such language"),
        ("echo nothing", r"/dovecot --version tells no version: nothing"),
    ],
)
def test_sandbox_falls_back_to_pymap_and_says_why(
    said: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Dovecot of the future, or what only has its name."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # where the user that Dovecot runs as may look
    program = folder / "dovecot"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {said} && exit\necho doveconf: Fatal: no such language; exit 89'
    )
    program.chmod(0o755)
    folder.chmod(0o755)
    monkeypatch.setattr(Dovecot, "executable", staticmethod(lambda: str(program)))
    box = Sandbox()
    box._start_imap()
    try:
        box.imap.deliver(RAW)
        assert [each.raw for each in box.imap.messages()] == [RAW]
    finally:
        box.imap.stop()
        shutil.rmtree(folder)
    assert re.fullmatch(f".*{reason}\\. A smaller IMAP server in Python takes its place\\.\n", capsys.readouterr().err)


@needs_dovecot
def test_dovecot_stop_deletes_its_files() -> None:
    with Dovecot() as server:
        server.deliver(RAW)
        folder = server._folder
        assert folder is not None
        master = int((folder / "run" / "master.pid").read_text())
    assert not folder.exists()
    assert not Path(f"/proc/{master}").exists()


# The whole


def test_environment_covers_all_services_and_reset_empties_them(
    sandbox: Sandbox, hubspot: httpx.Client, clickup: httpx.Client
) -> None:
    environment = sandbox.environment()
    assert all(environment.values())
    ports = {server.port for server in (sandbox.hubspot, sandbox.clickup, sandbox.anthropic, sandbox.s3)}
    urls = [value for name, value in environment.items() if name.endswith("_URL")]
    assert {httpx.URL(url).port for url in urls} == ports
    assert (environment["SMTP_PORT"], environment["IMAP_PORT"]) == (str(sandbox.smtp.port), str(sandbox.imap.port))

    contact(hubspot)
    subtask(clickup, sandbox, "Chaise")
    ask(sandbox)
    s3_client(sandbox.s3).put_object(Bucket=environment["R2_BUCKET_NAME"], Key="k", Body=b"x")
    send(sandbox.smtp)
    sandbox.imap.deliver(RAW)
    sandbox.hubspot.fail(Fault("status", times=None))
    sandbox.reset()
    left = (sandbox.hubspot.contacts, sandbox.clickup.subtasks, sandbox.s3.objects, sandbox.smtp.messages)
    assert left == ([], [], [], [])
    assert sandbox.hubspot.requests + sandbox.anthropic.requests + sandbox.s3.requests == []
    assert sandbox.imap.messages() == []
    assert hubspot.get("/account-info/2026-09/details").status_code == 200


def test_hubspot_keeps_two_private_files_of_one_name(sandbox: Sandbox) -> None:
    """It renames the second, refuses a file without access or folder, and anybody without the scope."""
    server = sandbox.hubspot

    def post(options: str = '{"access": "PRIVATE"}', **fields: str) -> httpx.Response:
        form = {"fileName": "a.pdf", "folderPath": "/x", "options": options} | fields
        return httpx.post(
            f"{server.url}/files/v3/files",
            headers={"Authorization": f"Bearer {server.token}"},
            data={name: value for name, value in form.items() if value},
            files={"file": ("a.pdf", b"%PDF", "application/pdf")},
        )

    assert [post().json()["path"], post().json()["path"]] == ["/x/a.pdf", "/x/a-1.pdf"]
    assert [post(options="{}").status_code, post(folderPath="").status_code] == [400, 400]
    assert [file.body for file in server.files] == [b"%PDF"] * 2
    server.scopes.discard("files")
    assert post().status_code == 403
