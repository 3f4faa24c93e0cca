"""Describe the forms as an OpenAPI 3.1 document: https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poller.forms import problems
from poller.forms.auth import SIGNATURE_HEADER
from poller.forms.submission import EMAIL, KEY, LENGTHS, VISIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poller.config.settings import FormsSettings
    from poller.forms.auth import Form

_PROBLEMS = {
    "400": "The body is not what its Content-Type says, or is cut short.",
    "401": "Neither the token nor the signature of this form.",
    "403": "A page of an origin that is not allowed.",
    "404": "There is no such form.",
    "408": "The body came too slowly.",
    "413": "More bytes or parts than a form may have, or bytes than the mail server takes.",
    "415": "Neither JSON nor multipart/form-data.",
    "422": "Fields that cannot be taken; `errors` names each.",
    "429": "Too many posts or bytes from one address, or bytes in all, to a public form; Retry-After says when.",
    "500": "The mail server does not take the message, or a fault of ours: again would be the same.",
    "503": "The mailbox is out of reach: send it again after Retry-After, with the same Idempotency-Key.",
}


def document(forms: Mapping[str, Form], settings: FormsSettings) -> dict[str, Any]:
    """Return the document that is served at /openapi.json."""
    form = {"post": _post(forms, settings)} | ({"get": _page(forms)} if settings.page else {})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Forms of the site", "version": "1", "description": "What is posted becomes a mail."},
        "paths": {"/forms/{form}": form, "/healthz": {"get": _health()}},
        "components": {"schemas": _SCHEMAS, "securitySchemes": _SECURITY},
    }


def _post(forms: Mapping[str, Form], settings: FormsSettings) -> dict[str, Any]:
    """Describe `POST /forms/{form}`."""
    fields = _fields(settings)
    form = {"type": "object", "required": ["email", "message"], "additionalProperties": False, "properties": fields}
    files = {"type": "array", "maxItems": settings.max_files, "items": {"type": "string", "format": "binary"}}
    with_files = form | {"properties": fields | {"files": files}}
    key = {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "pattern": KEY}}
    key["description"] = (
        "What this post is called: again with the same content it is the same message. "
        "It does not count where a signature does: there `idempotency_key` is the field for it."
    )
    return {
        "operationId": "postForm",
        "summary": "Send a form: it is in the mailbox when this answers 202.",
        "parameters": [_name(forms), key],
        "security": [{"token": []}, {"signature": []}, *([{}] if any(form.public for form in forms.values()) else [])],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": form},
                "multipart/form-data": {"schema": with_files},
            },
        },
        "responses": {"202": _answer("The message is in the mailbox.", "Taken")}
        | {status: _problem(description) for status, description in _PROBLEMS.items()},
    }


def _fields(settings: FormsSettings) -> dict[str, Any]:
    """Describe the fields of a form that are no files."""
    fields: dict[str, Any] = {
        name: {"type": "string", "minLength": 1 if name in {"email", "idempotency_key"} else 0, "maxLength": longest}
        for name, longest in LENGTHS.items()
    }
    fields["email"]["pattern"], fields["idempotency_key"]["pattern"] = EMAIL, KEY
    fields["message"] = {"type": "string", "minLength": 1, "maxLength": settings.max_text_chars, "pattern": VISIBLE}
    return fields


def _name(forms: Mapping[str, Form]) -> dict[str, Any]:
    """Describe the form's name in the path."""
    return {"in": "path", "name": "form", "required": True, "schema": {"type": "string", "enum": list(forms)}}


def _page(forms: Mapping[str, Form]) -> dict[str, Any]:
    """Describe `GET /forms/{form}`."""
    return {
        "operationId": "showForm",
        "summary": "The form as a page.",
        "parameters": [_name(forms)],
        "responses": {
            "200": {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}},
            "404": _problem("There is no such form, or it is not public."),
        },
    }


def _health() -> dict[str, Any]:
    """Describe `GET /healthz`."""
    return {
        "operationId": "health",
        "summary": "Whether the mailbox answered within the last minute.",
        "responses": {
            "200": _answer("It did.", "Health"),
            "503": _problem("It did not."),
        },
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _problem(description: str) -> dict[str, Any]:
    content = {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}


_SCHEMAS: dict[str, Any] = {
    "Taken": {
        "type": "object",
        "required": ["reference"],
        "properties": {"reference": {"type": "string", "pattern": "^[0-9a-f]{16}$"}},
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}},
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "detail"],
                    "properties": {
                        "field": {"type": "string"},
                        "code": {"enum": list(problems.CODES)},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    },
}
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": "t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over t, the form's name, Content-Type and the "
        "raw body, with full stops between>",
    },
}
