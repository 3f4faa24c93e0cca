"""HubSpot's properties: what a refusal says of them, and whether an account accepts those that we set."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError
from integrations.hubspot.request import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from integrations.errors import ServiceError

REFERENCE_PROPERTY = "figurative_reference"

# What comes from the mail, and what a new object has from us without a setting of its own.
FROM_MAIL = {
    "contacts": {"email", "firstname", "lastname"},
    "tickets": {"subject", "content"},
    "notes": {"hs_note_body", "hs_timestamp", "hs_attachment_ids"},
}
_OF_SETTINGS = {
    "hs_pipeline": "look at HUBSPOT_PIPELINE_ID",
    "hs_pipeline_stage": "look at HUBSPOT_STAGE_NEW",
    REFERENCE_PROPERTY: "run poller setup-hubspot, or set [hubspot] reference_property = false",
}
_PLACE = "[hubspot.ticket_properties]"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_VALUES = re.compile(r"Property values were not valid: (\[.*\])", re.DOTALL)
_MAX_NAMED = 10  # properties in an error


def refused_properties(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the internal names of the properties that a 400 is about, in order. Empty: it names none.

    They stand in the context of the error, in that of its parts, or in its message as JSON.
    https://developers.hubspot.com/docs/api-reference/error-handling
    """
    parts = [each for each in _list(answer.get("errors")) if isinstance(each, dict)]
    contexts = [each["context"] for each in (answer, *parts) if isinstance(each.get("context"), dict)]
    named = [context.get(key) for context in contexts for key in ("properties", "propertyName")]
    found = list(chain.from_iterable(map(_list, named)))
    for message in (answer.get("message"), *(each.get("message") for each in parts)):
        if match := _VALUES.search(str(message)):
            found += _names_in(match[1])
    names = [name for name in found if isinstance(name, str) and _NAME.fullmatch(name)]
    return tuple(dict.fromkeys(names))[:_MAX_NAMED]


def creation_refusal(
    object_type: str, sent: Mapping[str, str], answer: dict[str, Any]
) -> ServiceError | ConfigurationError:
    """Return the error of a 400 to the creation of an object with the properties `sent`.

    It is the mail's own (PermanentError), unless HubSpot names a property that does not come from the mail: then it
    would refuse every mail, and the error says where to set that property. That another ticket has the reference is
    this mail's.
    """
    call = f"create {object_type.removesuffix('s')}"
    names = [name for name in refused_properties(answer) if name not in FROM_MAIL[object_type]]
    if not names or (names == [REFERENCE_PROPERTY] and "CONFLICTING_UNIQUE_VALUE" in json.dumps(answer)):
        return refusal(call, HTTPStatus.BAD_REQUEST, {}, answer)
    said = "; ".join(
        f"the value of {name} is refused, {_remedy(object_type, name, 'correct')}"
        if name in sent
        else f"{name} is required, {_remedy(object_type, name, 'set')}"
        for name in names
    )
    return ConfigurationError(f"HubSpot {call}: HTTP 400: {said}")


def property_problems(
    definitions: Mapping[str, Mapping[str, Any]], sets: Mapping[str, Mapping[str, str]], required: Iterable[str]
) -> Iterator[str]:
    """Yield what would keep tickets from being created.

    `definitions` are the account's own of tickets, by name. `sets` are the properties that we set beside our own ones,
    by the kind of ticket. `required` are those that the account requires.
    """
    values: dict[tuple[str, str], list[str]] = {}
    for kind, properties in sets.items():
        for item in properties.items():
            values.setdefault(item, []).append(kind)
    for (name, value), kinds in values.items():
        if problem := _value_problem(definitions.get(name), value):
            yield f"{name} of {' and '.join(kinds)}: {problem}, look at {_PLACE}"
    for name in required:
        missing = [kind for kind, properties in sets.items() if name not in properties]
        if missing and name not in FROM_MAIL["tickets"] | _OF_SETTINGS.keys():
            yield f"the account requires {name} of tickets, set it for {' and '.join(missing)} in {_PLACE}"


def _value_problem(definition: Mapping[str, Any] | None, value: str) -> str:
    if definition is None:
        return "tickets have no such property"
    if (definition.get("modificationMetadata") or {}).get("readOnlyValue"):
        return "the property is read-only"
    if definition.get("hasUniqueValue"):
        return "each ticket must have a value of its own"
    options = [str(each["value"]) for each in definition.get("options") or ()]
    values = value.split(";") if definition.get("fieldType") == "checkbox" else [value]
    # The options of some properties, such as the owner, are kept elsewhere.
    if options and not definition.get("externalOptions") and not set(values) <= set(options):
        return f"{value!r} is no option of it: {', '.join(options[:_MAX_NAMED])}"
    return ""


def _remedy(object_type: str, name: str, verb: str) -> str:
    if object_type != "tickets":
        return f"which comes from no mail: make it optional for {object_type} in HubSpot"
    return _OF_SETTINGS.get(name, f"{verb} it in {_PLACE}")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _names_in(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [each.get("name") for each in found if isinstance(each, dict)]
