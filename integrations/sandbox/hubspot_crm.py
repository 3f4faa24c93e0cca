"""The state of a HubSpot account: contacts, tickets and notes, their associations, and the search index."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integrations.sandbox import hubspot_schema as schema
from integrations.sandbox.stand_in import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_UNIQUE_PROPERTIES = 10


@dataclass(slots=True)
class Record:
    """A contact, a ticket or a note."""

    id: str
    properties: dict[str, str]
    created_at: float = field(default_factory=time.time)  # seconds since the epoch


class Crm:
    """An account without objects, with one ticket pipeline. A kind is `contacts`, `tickets` or `notes`."""

    def __init__(self) -> None:
        self.pipelines = {"0": ("1", "2", "3", "4")}
        self.search_lag_s = 0.0  # a search omits objects younger than this
        self.conflict_category = "CONFLICT"  # or OBJECT_ALREADY_EXISTS: the error body for an address that exists
        self.finds_additional_emails = False  # for GET by address; HubSpot does not document it
        self.custom_properties: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in schema.KINDS}
        self.required_properties: dict[str, list[str]] = {kind: [] for kind in schema.KINDS}  # by the account's rules
        self._records: dict[str, dict[str, Record]] = {kind: {} for kind in schema.KINDS}
        self._links: dict[tuple[str, str, str], list[str]] = {}  # (kind, id, other kind): ids
        self._ids = itertools.count(29_000_000_001)

    def records(self, kind: str) -> list[Record]:
        """Return every object of a kind, oldest first."""
        return list(self._records[kind].values())

    def exists(self, kind: str, id_: str) -> bool:
        """Return whether there is an object of a kind with this id."""
        return id_ in self._records[kind]

    def find(self, kind: str, value: str, id_property: str = "") -> Record:
        """Return the object with this id, or with this value of a unique property."""
        if id_property in {"", "hs_object_id"}:
            found = self._records[kind].get(value)
        elif kind == "contacts" and id_property == "email":
            found = self._contact(value, additional=self.finds_additional_emails)
        elif self.custom_properties[kind].get(id_property, {}).get("hasUniqueValue"):
            found = next((each for each in self.records(kind) if each.properties.get(id_property) == value), None)
        else:
            raise RejectedError(400, schema.validation_error(f"{id_property} is no unique property of {kind}"))
        if found is None:
            raise RejectedError(404, schema.usual_error(404))
        return found

    def create(self, kind: str, given: object, associations: Iterable[Any] = ()) -> Record:
        """Create an object with its associations. Create nothing when a part is refused."""
        properties = schema.checked_properties(kind, given, self.custom_properties[kind])
        schema.check_required(kind, properties, self.required_properties[kind])
        if kind == "tickets":
            schema.check_pipeline(properties, self.pipelines)
            properties.setdefault("hs_pipeline", "0")
        self._check_unique(kind, properties)
        links = [link for each in associations for link in self._links_asked(kind, schema.mapping(each))]
        record = Record(str(next(self._ids)), properties)
        self._records[kind][record.id] = record
        for to_kind, to_id in links:
            self.associate(kind, record.id, to_kind, to_id)
        return record

    def update(self, kind: str, record: Record, given: object) -> None:
        """Change some of an object's properties."""
        properties = schema.checked_properties(kind, given, self.custom_properties[kind])
        if kind == "tickets":
            schema.check_pipeline(record.properties | properties, self.pipelines)
        self._check_unique(kind, properties, owner=record)
        record.properties |= properties

    def associate(self, kind: str, id_: str, to_kind: str, to_id: str) -> None:
        """Associate two objects in both directions. A second call changes nothing."""
        self.find(kind, id_)
        self.find(to_kind, to_id)
        for key, other in (((kind, id_, to_kind), to_id), ((to_kind, to_id, kind), id_)):
            ids = self._links.setdefault(key, [])
            if other not in ids:
                ids.append(other)

    def associated(self, kind: str, id_: str, to_kind: str) -> list[str]:
        """Return the ids of the `to_kind` objects associated with an object, oldest association first."""
        return list(self._links.get((kind, id_, to_kind), ()))

    def search(self, kind: str, wanted: Mapping[str, Any]) -> list[Record]:
        """Return the indexed objects that match the query and the filters."""
        indexed_until = time.time() - self.search_lag_s
        return [each for each in self.records(kind) if each.created_at <= indexed_until and _selected(each, wanted)]

    def properties(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the definition of every property, by name."""
        own = {name: {"name": name} for name in (*schema.DEFAULTS[kind], *schema.OTHERS[kind], *schema.READ_ONLY[kind])}
        given = own | self.custom_properties[kind]
        return {name: schema.definition(kind, each) for name, each in given.items()}

    def define_property(self, kind: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Add a property and return its definition. It cannot be changed later whether its values are unique."""
        missing = [name for name in ("name", "label", "groupName", "type", "fieldType") if not definition.get(name)]
        if missing or definition["groupName"] != f"{kind[:-1]}information":
            raise RejectedError(400, schema.validation_error(f"Invalid definition: {missing or 'groupName'}"))
        if definition["name"] in self.properties(kind):
            body = schema.validation_error(f"A property named '{definition['name']}' already exists.")
            raise RejectedError(409, body | {"category": "OBJECT_ALREADY_EXISTS"})
        unique = sum(bool(each.get("hasUniqueValue")) for each in self.custom_properties[kind].values())
        if definition.get("hasUniqueValue") and unique >= _MAX_UNIQUE_PROPERTIES:
            raise RejectedError(400, schema.validation_error(f"{kind} has {unique} unique properties already"))
        self.custom_properties[kind][definition["name"]] = dict(definition)
        return schema.definition(kind, definition)

    def _contact(self, email: str, *, additional: bool) -> Record | None:
        wanted = email.lower()
        for each in self.records("contacts"):
            others = each.properties.get("hs_additional_emails", "").lower().split(";") if additional else []
            if wanted == each.properties.get("email") or wanted in others:
                return each
        return None

    def _check_unique(self, kind: str, properties: Mapping[str, str], owner: Record | None = None) -> None:
        if kind == "contacts" and properties.get("email"):
            existing = self._contact(properties["email"], additional=True)
            if existing is not None and existing is not owner:
                raise schema.contact_exists(existing.id, self.conflict_category)
        for name, definition in self.custom_properties[kind].items():
            if not definition.get("hasUniqueValue") or not properties.get(name):
                continue
            for each in self.records(kind):
                if each is not owner and each.properties.get(name) == properties[name]:
                    raise schema.invalid(name, "CONFLICTING_UNIQUE_VALUE", f"{each.id} already has that value.")

    def _links_asked(self, kind: str, association: Mapping[str, Any]) -> list[tuple[str, str]]:
        to_id = str(schema.mapping(association.get("to")).get("id"))
        types = [each.get("associationTypeId") for each in association.get("types") or []]
        known = {
            type_id: to_kind for (from_kind, to_kind), type_id in schema.ASSOCIATION_TYPES.items() if from_kind == kind
        }
        if not types or not known.keys() >= set(types):
            raise RejectedError(400, schema.validation_error(f"Association types {types} are not valid for {kind}"))
        for to_kind in (known[type_id] for type_id in types):
            if to_id not in self._records[to_kind]:
                raise RejectedError(400, schema.validation_error(f"{to_kind[:-1].upper()}={to_id} is not valid"))
        return [(known[type_id], to_id) for type_id in types]


def _selected(record: Record, wanted: Mapping[str, Any]) -> bool:
    query = str(wanted.get("query") or "").lower()
    if query and not any(query in value.lower() for value in record.properties.values()):
        return False
    groups = wanted.get("filterGroups") or [{"filters": wanted.get("filters") or []}]
    return any(all(_satisfies(record, each) for each in group["filters"]) for group in groups)


def _satisfies(record: Record, condition: Mapping[str, Any]) -> bool:
    value = record.properties.get(condition["propertyName"], "").lower()
    operand = str(condition.get("value", "")).lower()
    match condition["operator"]:
        case "EQ":
            return value == operand
        case "HAS_PROPERTY":
            return bool(value)
        case "CONTAINS_TOKEN":
            return operand.strip("*") in value
    raise RejectedError(400, schema.validation_error(f"Unknown operator {condition['operator']}"))
