"""The properties and values that HubSpot accepts for each kind of object, and its error bodies.

Errors have the shape of https://developers.hubspot.com/docs/api-reference/error-handling. Where the vendor documents
no exact body, the wording is a guess: rely on the status, the category and the code.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from integrations.sandbox.stand_in import RejectedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MAX_PROPERTY_CHARS = 65_536
KINDS = {"contacts": "0-1", "tickets": "0-5", "notes": "0-46"}
ASSOCIATION_TYPES = {
    ("contacts", "tickets"): 15,
    ("tickets", "contacts"): 16,
    ("contacts", "notes"): 201,
    ("notes", "contacts"): 202,
    ("tickets", "notes"): 227,
    ("notes", "tickets"): 228,
}
# The properties that a GET returns when it names none.
DEFAULTS = {
    "contacts": ("email", "firstname", "lastname"),
    "tickets": ("content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority", "subject"),
    "notes": (),
}
OTHERS = {
    "contacts": ("company", "hs_additional_emails", "hs_language", "hubspot_owner_id", "lifecyclestage", "phone"),
    "tickets": ("first_agent_reply_date", "hs_file_upload", "hubspot_owner_id", "source_type"),
    "notes": ("hs_attachment_ids", "hs_note_body", "hs_timestamp", "hubspot_owner_id"),
}
READ_ONLY = {
    "contacts": ("createdate", "hs_object_id", "lastmodifieddate"),
    "tickets": ("createdate", "hs_lastmodifieddate", "hs_object_id"),
    "notes": ("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "hs_ticket_priority": ("LOW", "MEDIUM", "HIGH", "URGENT"),
    "source_type": ("CHAT", "EMAIL", "FORM", "PHONE"),
}
SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "tickets", "files")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "contacts": (),
    "tickets": ("subject", "hs_pipeline_stage"),
    "notes": ("hs_timestamp",),
}
_SINCE = "2026-01-05T08:00:00.000Z"  # when the account was made
_NO_NAME = re.compile(r"https?:|www\.|[<>{}]")  # links and code
_EMAIL = re.compile(r"[^@\s,;<>()]+@[^@\s,;<>()]+\.[^@\s.,;<>()]+")
_SPELLINGS = {spelling: kind for kind, id_ in KINDS.items() for spelling in (kind, kind[:-1], id_)}


def kind_of(spelling: str) -> str:
    """Return `contacts`, `tickets` or `notes` for any of the spellings that paths may use."""
    if spelling not in _SPELLINGS:
        raise RejectedError(400, validation_error(f"Unable to infer object type from: {spelling}"))
    return _SPELLINGS[spelling]


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value when it is a JSON object, and refuse it otherwise."""
    if not isinstance(value, dict):
        raise RejectedError(400, validation_error("Invalid input JSON: an object was expected"))
    return value


def checked_properties(kind: str, given: object, custom: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the properties as HubSpot stores them: strings, addresses in lower case, timestamps in ISO 8601."""
    known = {*DEFAULTS[kind], *OTHERS[kind], *custom}
    checked = {}
    for name, value in mapping(given).items():
        if name in READ_ONLY[kind]:
            raise invalid(name, "READ_ONLY_VALUE", f'"{name}" is a read only property')
        if name not in known:
            raise invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if isinstance(value, list | dict):
            raise RejectedError(400, validation_error(f"Invalid input JSON: {name} must be a string"))
        options = [each["value"] for each in custom.get(name, {}).get("options", ())] or _OPTIONS.get(name, ())
        checked[name] = _checked_value(name, "" if value is None else str(value), options)
    return checked


def _checked_value(name: str, value: str, options: Collection[str]) -> str:
    if len(value) > MAX_PROPERTY_CHARS:
        raise invalid(name, "VALUE_TOO_LONG", f"Property value exceeds {MAX_PROPERTY_CHARS} characters")
    if value and options and value not in options:
        raise invalid(name, "INVALID_OPTION", f"{value} was not one of the allowed options: {options}")
    if name in {"firstname", "lastname"} and _NO_NAME.search(value):
        raise invalid(name, "INVALID_NAME", f"{value} is no name")
    if name == "hs_timestamp":
        return _checked_timestamp(value)
    if name == "email":
        if not _EMAIL.fullmatch(value):
            raise invalid(name, "INVALID_EMAIL", f"Email address {value} is invalid")
        return value.lower()
    return value


def _checked_timestamp(value: str) -> str:
    try:
        at = int(value) / 1000 if value.isdigit() else datetime.fromisoformat(value).timestamp()
    except ValueError as error:
        raise invalid("hs_timestamp", "INVALID_DATE", f"{value} was not a valid timestamp") from error
    return iso(at)


def definition(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole definition of a property of which some is given, at least its name."""
    name = given["name"]
    options = [{"label": value.title(), "value": value} for value in _OPTIONS.get(name, ())]
    usual: dict[str, Any] = {
        "label": name.replace("_", " ").title(),
        "type": "enumeration" if options else "string",
        "fieldType": "select" if options else "text",
        "groupName": f"{kind[:-1]}information",
        "description": "",
        "options": options,
        "hidden": False,
        "hasUniqueValue": False,
        "modificationMetadata": {
            "archivable": False,
            "readOnlyDefinition": True,
            "readOnlyValue": name in READ_ONLY[kind],
        },
        "archived": False,
        "createdAt": _SINCE,
        "updatedAt": _SINCE,
    }
    shown = usual | dict(given)
    numbered = enumerate(shown["options"])
    return shown | {"options": [{"displayOrder": at, "hidden": False, **option} for at, option in numbered]}


def pipeline(id_: str, stages: Iterable[str]) -> dict[str, Any]:
    """Return a ticket pipeline with its stages, of which the last is for closed tickets."""
    usual = {"archived": False, "createdAt": _SINCE, "updatedAt": _SINCE}
    last = list(stages)[-1]
    shown = [
        {
            "id": stage,
            "label": f"Stage {stage}",
            "displayOrder": at,
            "metadata": {"ticketState": "CLOSED" if stage == last else "OPEN", "isClosed": str(stage == last).lower()},
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }
        | usual
        for at, stage in enumerate(stages)
    ]
    return {"id": id_, "label": "Support Pipeline", "displayOrder": 0, "stages": shown} | usual


def check_pipeline(properties: Mapping[str, str], pipelines: Mapping[str, Iterable[str]]) -> None:
    """Refuse a pipeline that does not exist, and a stage that the pipeline does not have."""
    pipeline = properties.get("hs_pipeline", "0")
    if pipeline not in pipelines:
        raise invalid("hs_pipeline", "INVALID_OPTION", f"{pipeline} was not one of the allowed options")
    stage = properties.get("hs_pipeline_stage")
    if stage is not None and stage not in pipelines[pipeline]:
        raise invalid("hs_pipeline_stage", "INVALID_OPTION", f"{stage} was not one of the allowed options")


def check_required(kind: str, properties: Mapping[str, str], also: Iterable[str] = ()) -> None:
    """Refuse a new object that lacks a required property. A contact needs one of its default properties."""
    missing = [name for name in (*_REQUIRED[kind], *also) if not properties.get(name)]
    if kind == "contacts" and not any(properties.get(name) for name in DEFAULTS[kind]):
        missing = ["email"]
    if missing:
        message = f"Error creating {kind[:-1].upper()}. Some required properties were not set."
        context = {"context": {"properties": missing}}
        error = {"message": message, "code": "REQUIRED_PROPERTIES_MISSING"} | context
        raise RejectedError(400, validation_error(message) | context | {"errors": [error]})


def object_schema(kind: str, definitions: list[dict[str, Any]], required: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a kind of objects. `required` are the properties that the account requires of new ones."""
    return {
        "id": KINDS[kind],
        "objectTypeId": KINDS[kind],
        "name": kind[:-1].upper(),
        "fullyQualifiedName": kind[:-1].upper(),
        "labels": {"singular": kind[:-1].title(), "plural": kind.title()},
        "properties": definitions,
        "requiredProperties": [*_REQUIRED[kind], *required],
        "searchableProperties": [],
        "secondaryDisplayProperties": [],
        "associations": [],
        "allowsSensitiveProperties": False,
        "archived": False,
    }


def missing_scope(scope: str) -> dict[str, Any]:
    """Return the body of a 403 for a token that lacks a scope."""
    error = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": [scope]},
    }
    return usual_error(403) | {"errors": [error]}


def usual_error(status: int) -> dict[str, Any]:
    """Return HubSpot's body for a status that does not depend on the content of the request."""
    category, message = {
        401: ("INVALID_AUTHENTICATION", "Authentication credentials not found. This API supports OAuth 2.0"),
        403: ("MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call."),
        404: ("OBJECT_NOT_FOUND", "resource not found"),
        423: ("LOCKED", "The resource is locked."),
        429: ("RATE_LIMITS", "You have reached your ten_secondly_rolling limit."),
    }.get(status, ("INTERNAL_ERROR", f"status {status}"))
    limit = {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"} if category == "RATE_LIMITS" else {}
    return validation_error(message) | {"category": category} | limit


def validation_error(message: str) -> dict[str, Any]:
    """Return the body of a 400."""
    correlation = str(uuid.uuid4())
    return {"status": "error", "message": message, "correlationId": correlation, "category": "VALIDATION_ERROR"}


def batch_error(message: str, ids: list[str]) -> dict[str, Any]:
    """Return an entry of the errors that a batch gives beside its results."""
    found = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message}
    return found | {"context": {"ids": ids}, "errors": [], "links": {}}


def invalid(name: str, code: str, message: str) -> RejectedError:
    """Return the 400 that refuses a property's value."""
    problem = {"isValid": False, "message": message, "error": code, "name": name}
    body = validation_error(f"Property values were not valid: {json.dumps([problem])}")
    error = {"message": message, "code": code, "context": {"propertyName": [name]}}
    return RejectedError(400, body | {"errors": [error]})


def contact_exists(id_: str, category: str) -> RejectedError:
    """Return the 409 for an address that a contact has. Of its two bodies, `CONFLICT` is today's."""
    message = f"Contact already exists. Existing ID: {id_}"
    body = validation_error(message) | {"category": category}
    if category == "OBJECT_ALREADY_EXISTS":
        body["identityProfile"] = {"vid": int(id_), "identity": [], "isContact": True}
        body["errors"] = [{"message": message, "in": "email"}]
        body["error"] = "CONTACT_EXISTS"
    return RejectedError(409, body)


def iso(at: float) -> str:
    """Return seconds since the epoch in HubSpot's form: `2026-11-22T09:30:00.000Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
