"""Record what our clients and the stand-ins say to each other, and hold it against OpenAPI documents."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.contract.documents import are_originals, documents, operations, parameter_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox.loopback_server import Answer, Recorded
    from integrations.sandbox.stand_in import StandIn

HOSTS = {
    "anthropic": "https://api.anthropic.com",
    "clickup": "https://api.clickup.com",
    "hubspot": "https://api.hubapi.com",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and its answer."""

    request: Recorded
    answer: Answer


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


class Contract:
    """What a vendor promises and asks for. `uncalled` says of our own documents what no exchange has shown."""

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._documents = [(document, OpenAPI.from_dict(document)) for document in documents(vendor)]
        self._seen: set[tuple[str, str, str]] = set()

    def breaches(self, exchange: Exchange) -> list[str]:
        """Return what in an exchange is not as the documents say."""
        asked = exchange.request
        call = f"{asked.method} {asked.path}"
        for document, openapi in self._documents:
            for method, template, operation in operations(document):
                if method == asked.method and re.fullmatch(re.sub(r"\{[^/]+?\}", "[^/]+", template), asked.path):
                    self._seen.add((method, template, str(exchange.answer.status)))
                    unknown = asked.query.keys() - parameter_names(operation, document)
                    said = [f"unknown parameter {name}" for name in sorted(unknown)]
                    said += _errors(openapi, HOSTS[self._vendor], exchange)
                    return [f"{call} ({exchange.answer.status}): {each}" for each in said]
        return [f"{call}: no such call"]

    def uncalled(self) -> set[tuple[str, str, str]]:
        """Return each method, path and status of our documents that was in no exchange. Originals have many."""
        if are_originals(self._vendor):
            return set()
        promised = {
            (method, template, status)
            for document, _ in self._documents
            for method, template, operation in operations(document)
            for status in operation["responses"]
        }
        return promised - self._seen


def _errors(openapi: OpenAPI, host: str, exchange: Exchange) -> list[str]:
    asked, answer = exchange.request, exchange.answer
    data, content_type = answer.encoded()
    request = MockRequest(
        host,
        asked.method.lower(),
        asked.path,
        args=asked.query,
        headers=dict(asked.headers),
        data=asked.raw or None,
        content_type=asked.headers.get("content-type", ""),
    )
    headers = {name.lower(): value for name, value in answer.headers.items()}
    response = MockResponse(data, answer.status, headers, headers.get("content-type", content_type).partition(";")[0])
    errors = [*openapi.iter_request_errors(request), *openapi.iter_response_errors(request, response)]
    return [line for error in errors for line in _lines(error)]


def _lines(error: Any) -> list[str]:
    """Return an error's causes, each with the place in the body that it is about."""
    cause = error.__cause__ or error
    schema_errors = getattr(cause, "schema_errors", ())
    places = (f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in schema_errors)
    return list(places) or [f"{type(error).__name__}: {cause}"]
