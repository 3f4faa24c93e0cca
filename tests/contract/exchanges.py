"""Record what our clients and the stand-ins say to each other, and hold it against OpenAPI documents."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.contract.documents import documents, form_field_names, operations, originals, parameter_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integrations.sandbox.loopback_server import Answer, Recorded
    from integrations.sandbox.stand_in import StandIn

HOSTS = {
    "anthropic": "https://api.anthropic.com",
    "clickup": "https://api.clickup.com",
    "hubspot": "https://api.hubapi.com",
}
_FORM_FIELD = re.compile(rb'form-data; name="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and its answer."""

    request: Recorded
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Call:
    """An operation of a document."""

    method: str
    path: re.Pattern[str]
    template: str
    operation: dict[str, Any]
    document: dict[str, Any]
    openapi: OpenAPI

    def lists(self, status: int) -> bool:
        """Return True if the document describes this answer."""
        return bool({str(status), "default"} & self.operation["responses"].keys())

    def unknown(self, request: Recorded) -> set[str]:
        """Return the names in the request's query and form that the document does not have.

        The validator passes over both.
        """
        fields = {name.decode() for name in _FORM_FIELD.findall(request.raw)} if _is_form(request) else set()
        form = form_field_names(self.operation, self.document)
        return (request.query.keys() - parameter_names(self.operation, self.document)) | (fields - form)

    def takes(self, request: Recorded) -> bool:
        return self.method == request.method and bool(self.path.fullmatch(request.path))


@contextmanager
def recorded(stand_in: StandIn) -> Iterator[list[Exchange]]:
    """Yield a list, which grows by each request that the stand-in answers, refusals included."""
    exchanges: list[Exchange] = []
    carried_out = stand_in._carried_out

    def record(request: Recorded) -> Answer:
        answer = carried_out(request)
        exchanges.append(Exchange(request, answer))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand_in, "_carried_out", record)
        yield exchanges


def breaches(vendor: str, exchanges: list[Exchange]) -> list[str]:
    """Return what in the exchanges is not as the vendor's documents say, and what of our own no exchange has shown.

    In our own documents each status of each call must have been answered: they describe what we use.
    """
    folder = originals(vendor)
    calls = _calls(vendor, folder)
    said, seen = [], set()
    for exchange in exchanges:
        asked, status = exchange.request, exchange.answer.status
        call = next((each for each in calls if each.takes(asked)), None)
        if call is None:
            said.append(f"{asked.method} {asked.path}: no such call")
            continue
        seen.add((call.method, call.template, str(status)))
        found = [f"unknown parameter {name}" for name in sorted(call.unknown(asked))]
        found += _request_errors(call, HOSTS[vendor], asked)
        # Few originals list the refusals.
        if not folder or status < HTTPStatus.BAD_REQUEST or call.lists(status):
            found += _answer_errors(call, HOSTS[vendor], exchange)
        said += [f"{asked.method} {asked.path} ({status}): {each}" for each in found]
    if folder:
        return said
    promised = {(call.method, call.template, status) for call in calls for status in call.operation["responses"]}
    return said + [f"{' '.join(each)}: in no exchange" for each in sorted(promised - seen)]


@cache
def _calls(vendor: str, folder: Path | None) -> list[_Call]:
    """Return the operations of a vendor's documents: those in the folder, or ours."""
    return [
        _Call(method, _pattern(template), template, operation, document, openapi)
        for document in documents(vendor, folder)
        for openapi in [OpenAPI.from_dict(document)]
        for method, template, operation in operations(document)
    ]


def _is_form(request: Recorded) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _pattern(template: str) -> re.Pattern[str]:
    """Return a pattern for the paths of a template. The parameter `path` may have slashes in it."""
    return re.compile(re.sub(r"\{[^/]+?\}", "[^/]+", template.replace("{path}", "(?P<path>.+)")))


def _request_errors(call: _Call, host: str, asked: Recorded) -> list[str]:
    return [line for error in call.openapi.iter_request_errors(_request(call, host, asked)) for line in _lines(error)]


def _answer_errors(call: _Call, host: str, exchange: Exchange) -> list[str]:
    answer = exchange.answer
    data, content_type = answer.encoded()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    media_type = headers.get("content-type", content_type).partition(";")[0]
    response = MockResponse(data, answer.status, headers, media_type)
    errors = call.openapi.iter_response_errors(_request(call, host, exchange.request), response)
    return [line for error in errors for line in _lines(error)]


def _request(call: _Call, host: str, asked: Recorded) -> MockRequest:
    matched = call.path.fullmatch(asked.path)
    spanning = (matched.groupdict() if matched else {}).get("path", "")
    return MockRequest(
        host,
        asked.method.lower(),
        # The validator takes no parameter with a slash in it.
        asked.path.replace(spanning, spanning.replace("/", "%2F")),
        args=asked.query,
        headers=dict(asked.headers),
        data=asked.raw or None,
        content_type=asked.headers.get("content-type", ""),
    )


def _lines(error: Any) -> list[str]:
    """Return an error's causes, each with the place in the body that it is about."""
    cause = error.__cause__ or error
    schema_errors = getattr(cause, "schema_errors", ())
    places = (f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in schema_errors)
    return list(places) or [f"{type(error).__name__}: {cause}"]
