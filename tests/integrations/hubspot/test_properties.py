"""Tests of HubSpot's properties: those that an account requires or refuses, and those that the settings give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError, PermanentError
from integrations.hubspot.properties import refused_properties
from integrations.sandbox.stand_in import Fault
from tests.support.hubspot_client import OTHER_REF, REF, SECRET, TICKETS, connect

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

STUDIO = {"name": "studio", "options": [{"label": "Lyon", "value": "lyon"}]}
INVALID = (
    'Property values were not valid: [{"isValid":false,"message":"\\"x\\"","error":"INVALID_OPTION","name":"studio"}]'
)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ({"message": "Some required properties were not set.", "context": {"properties": ["a", "b"]}}, ("a", "b")),
        ({"errors": [{"message": "x", "context": {"propertyName": ["studio"]}}]}, ("studio",)),
        ({"message": INVALID}, ("studio",)),
        ({"message": INVALID, "errors": [{"context": {"propertyName": "studio"}}]}, ("studio",)),
        ({"message": "Property values were not valid: [cut"}, ()),
        ({"message": SECRET, "context": {"properties": [SECRET, 7]}, "errors": [{"in": "associations"}, None]}, ()),
        ({"context": [], "errors": {}}, ()),
        ({}, ()),
    ],
)
def test_refusal_names_properties_in_any_form(answer: dict[str, Any], names: tuple[str, ...]) -> None:
    """Internal names alone: everything else may be the customer's."""
    assert refused_properties(answer) == names


def test_ticket_without_a_required_property_is_no_mails_fault(sandbox: Sandbox) -> None:
    """The error names the property and where to set it. Once it is set, the ticket has it."""
    hubspot, crm = connect(sandbox), sandbox.hubspot.crm
    crm.custom_properties["tickets"]["studio"] = STUDIO
    crm.required_properties["tickets"].append("studio")
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    with pytest.raises(ConfigurationError, match=r"studio is required, .*\[hubspot\.ticket_properties\]") as refused:
        hubspot.create_ticket(SECRET, SECRET, contact_id, REF)
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigurationError, match=r"value of studio is refused, .*\[hubspot\.ticket_properties\]"):
        hubspot.create_ticket(SECRET, SECRET, contact_id, REF, {"studio": "Lyon"})
    assert sandbox.hubspot.tickets == []
    hubspot.create_ticket(SECRET, SECRET, contact_id, REF, {"studio": "lyon"})
    assert sandbox.hubspot.tickets[0].properties["studio"] == "lyon"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hs_pipeline_stage", "HUBSPOT_STAGE_NEW"),
        ("hs_pipeline", "HUBSPOT_PIPELINE_ID"),
        ("figurative_reference", "setup-hubspot"),
    ],
)
def test_refused_property_of_a_setting_names_that_setting(sandbox: Sandbox, name: str, place: str) -> None:
    body = {"category": "VALIDATION_ERROR", "errors": [{"context": {"propertyName": [name]}}]}
    sandbox.hubspot.fail(Fault("status", "POST", TICKETS, status=400, body=body))
    with pytest.raises(ConfigurationError, match=place):
        connect(sandbox).create_ticket("s", "c", "1", REF)


@pytest.mark.parametrize("name", ["subject", "content"])
def test_refused_property_of_the_mail_is_the_mails(sandbox: Sandbox, name: str) -> None:
    body = {"category": "VALIDATION_ERROR", "errors": [{"context": {"propertyName": [name]}}]}
    sandbox.hubspot.fail(Fault("status", "POST", TICKETS, status=400, body=body))
    with pytest.raises(PermanentError):
        connect(sandbox).create_ticket("s", "c", "1", REF)


def test_what_an_account_requires_of_contact_and_note_is_named(sandbox: Sandbox) -> None:
    """No setting gives it, so it must be made optional."""
    hubspot, required = connect(sandbox), sandbox.hubspot.crm.required_properties
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    required["contacts"].append("company")
    required["notes"].append("hubspot_owner_id")
    with pytest.raises(ConfigurationError, match=r"company is required, .* optional for contacts in HubSpot"):
        hubspot.find_or_create_contact("max@example.com", "Max", "")
    with pytest.raises(ConfigurationError, match=r"hubspot_owner_id is required, .* optional for notes in HubSpot"):
        hubspot.create_note("<p>x</p>", datetime.now(UTC), contact_id, None)
    with pytest.raises(ConfigurationError, match=r"requires company of contacts.*; .*hubspot_owner_id of notes"):
        hubspot.check()


@pytest.mark.parametrize(
    ("support", "modelling", "said"),
    [
        (
            {"studio": "lyon"},
            {"studio": "lyon", "colour": "red"},
            "colour of MODELISATION: tickets have no such property",
        ),
        ({"studio": "Lyon"}, {"studio": "Lyon"}, "studio of SUPPORT and MODELISATION: 'Lyon' is no option of it: lyon"),
        ({"studio": "lyon"}, {}, "the account requires studio of tickets, set it for MODELISATION in"),
        ({"studio": "lyon", "createdate": "1"}, {"studio": "lyon"}, "createdate of SUPPORT: the property is read-only"),
    ],
)
def test_check_names_each_property_that_cannot_be(
    sandbox: Sandbox, support: dict[str, str], modelling: dict[str, str], said: str
) -> None:
    crm = sandbox.hubspot.crm
    crm.custom_properties["tickets"]["studio"] = STUDIO
    crm.required_properties["tickets"].append("studio")
    with pytest.raises(ConfigurationError) as refused:
        connect(sandbox).check({"SUPPORT": support, "MODELISATION": modelling})
    assert said in str(refused.value)
    assert "[hubspot.ticket_properties]" in str(refused.value)
    assert connect(sandbox).check({"SUPPORT": {"studio": "lyon"}})


def test_property_that_must_be_unique_is_no_mails_fault(sandbox: Sandbox) -> None:
    """A setting gives all tickets the same value, so HubSpot would refuse every one but the first."""
    hubspot, given = connect(sandbox), {"studio": "lyon"}
    sandbox.hubspot.crm.custom_properties["tickets"]["studio"] = {"name": "studio", "hasUniqueValue": True}
    with pytest.raises(ConfigurationError, match="each ticket must have a value of its own"):
        hubspot.check({"SUPPORT": given, "MODELISATION": given})
    contact_id = hubspot.find_or_create_contact("zoe@example.com", "", "")
    hubspot.create_ticket("s", "c", contact_id, REF, given)
    with pytest.raises(ConfigurationError, match=r"value of studio is refused, .*\[hubspot\.ticket_properties\]"):
        hubspot.create_ticket("s", "c", contact_id, OTHER_REF, given)


@pytest.mark.parametrize("status", [403, 404])
def test_check_of_an_account_that_hides_its_rules_is_well(sandbox: Sandbox, status: int) -> None:
    """The key may not be allowed to read them."""
    sandbox.hubspot.fail(Fault("status", "GET", "/crm-object-schemas/", status=status, times=None))
    assert connect(sandbox).check({"SUPPORT": {"hs_ticket_priority": "HIGH"}})
