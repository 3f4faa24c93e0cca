"""The vendors' APIs as OpenAPI documents: small ones of our calls, or the originals where `VENDOR_SPECS` has them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

HERE = Path(__file__).parent
_JSON_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_METHODS = ("get", "post", "put", "patch", "delete")
_TYPES = {"int": "integer", "bigint": "integer"}  # that JSON Schema does not know, and what they stand for
_VARYING = {"assignees", "tags"}  # lists of texts in some answers of ClickUp's document, of objects in others
# OpenAPI says that these are no parameters (https://spec.openapis.org/oas/v3.1.1#parameter-object).
_NO_PARAMETERS = {"accept", "authorization", "content-type"}


def originals(vendor: str) -> Path | None:
    """Return the folder of a vendor's own documents, `$VENDOR_SPECS/<vendor>`, if there is one."""
    folder = Path(os.environ.get("VENDOR_SPECS") or "/nonexistent") / vendor
    return folder if folder.is_dir() else None


def documents(vendor: str, folder: Path | None) -> list[dict[str, Any]]:
    """Return a vendor's OpenAPI documents: the originals in a folder, repaired, or ours where that is None.

    In both, a request may have no field that the document does not name.
    """
    paths = sorted(path for path in folder.rglob("*.*") if path.is_file()) if folder else [HERE / f"{vendor}.yaml"]
    read: list[dict[str, Any]] = [yaml.safe_load(path.read_text()) for path in paths]
    for document in read:
        if folder:
            _repair(document, document)
        for _, path, operation in operations(document):
            if folder:
                _loosen(operation["responses"], document, set())
            if folder and path.endswith("/batch/read"):  # which may succeed in part
                operation["responses"].setdefault("207", operation["responses"]["200"])
            _close(operation.get("requestBody"), document, set())
    return read


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each operation of a document: its method, its whole path as a template, and what is said of it."""
    base = re.sub(r"^https?://[^/]+", "", document["servers"][0]["url"]).rstrip("/")
    return [
        (method.upper(), base + path, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]


def parameter_names(operation: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Return the names that the operation's query may have."""
    given = (_resolved(parameter, document) for parameter in operation.get("parameters", ()))
    return {parameter["name"] for parameter in given if parameter["in"] == "query"}


def form_field_names(operation: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Return the names that the fields of the operation's form may have. Empty: it takes no form."""
    content = _resolved(operation.get("requestBody", {}), document).get("content", {})
    schema = content.get("multipart/form-data", {}).get("schema", {})
    return set(_resolved(schema, document).get("properties", {}))


def _resolved(value: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow the references of a value to what they point to."""
    while "$ref" in value:
        value = _pointed(value["$ref"], document)
    return value


def _pointed(reference: str, document: Any) -> Any:
    """Return what a reference within the document points to.

    Raises:
        KeyError: it points to nothing.
    """
    for part in reference.removeprefix("#/").split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) and key.isdecimal() else document[key]
    return document


def _repair(value: Any, document: dict[str, Any]) -> None:
    """Mend what keeps a validator from reading an original: odd types, and references to what is not there."""
    for each in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        _repair(each, document)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("type"), str):
        value["type"] = _TYPES.get(value["type"], value["type"])
    if isinstance(value.get("properties"), list):
        del value["properties"]
    if "*/*" in value:
        value["application/json"] = value.pop("*/*")  # the answers to HubSpot's refusals
    if isinstance(value.get("security"), list):
        del value["security"]  # OAuth, of which the validator knows nothing
    if isinstance(value.get("parameters"), list):
        value["parameters"] = [
            each for each in value["parameters"] if str(each.get("name", "")).lower() not in _NO_PARAMETERS
        ]
    if isinstance(value.get("$ref"), str):
        try:
            _pointed(value["$ref"], document)
        except (KeyError, IndexError, TypeError):
            del value["$ref"]


def _loosen(value: Any, document: dict[str, Any], seen: set[int]) -> None:
    """Allow null in an original's answers, and any items in some lists: they are sent so, and seldom documented."""
    for each in _first_visit(value, document, seen):
        _loosen(each, document, seen)
    for name, schema in _named(value).items():
        if schema.get("type") in _JSON_TYPES:
            schema.update({"nullable": True} if document["openapi"] < "3.1" else {"type": [schema["type"], "null"]})
        if name in _VARYING:
            schema.pop("items", None)


def _close(value: Any, document: dict[str, Any], seen: set[int]) -> None:
    """Forbid what a request's schemas do not name."""
    for each in _first_visit(value, document, seen):
        _close(each, document, seen)
    if _named(value):
        value.setdefault("additionalProperties", False)


def _named(value: Any) -> dict[str, Any]:
    """Return the schemas of a schema's fields. An object of HubSpot has itself a field of the name `properties`."""
    named = value.get("properties") if isinstance(value, dict) else None
    return named if isinstance(named, dict) and all(isinstance(each, dict) for each in named.values()) else {}


def _first_visit(value: Any, document: dict[str, Any], seen: set[int]) -> list[Any]:
    """Return the parts of a value, and what it refers to, the first time that it is asked for."""
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return []
    return [*value.values(), *([_pointed(value["$ref"], document)] if isinstance(value.get("$ref"), str) else [])]
