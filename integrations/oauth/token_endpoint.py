"""Request an OAuth token (RFC 6749 section 3.2) with one POST that no library repeats."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2 as httpx

from integrations.errors import TransientError
from integrations.net.deadline import CALL_S, Deadline, http_events
from integrations.net.failures import describe_failure
from integrations.net.retry_after import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

# Errors that may come with any status (RFC 6749 section 4.1.2.1). google-auth would retry at once, under its lock.
BUSY = ("internal_failure", "server_error", "temporarily_unavailable")


def ask(
    service: str,
    url: str,
    form: bytes | str | Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    deadline_s: float = CALL_S,
) -> httpx.Response:
    """Send a token request and return the answer, which may be a refusal.

    `service` names the service in errors. `form` is encoded already, or a mapping.

    Raises:
        TransientError: the endpoint is unreachable or busy, or its answer is no JSON object.
    """
    body = {"data": form} if not isinstance(form, bytes | str) else {"content": form}
    try:
        with (
            Deadline(deadline_s),
            httpx.Client(
                timeout=httpx.Timeout(20.0, connect=5.0),
                transport=httpx.HTTPTransport(retries=0),
                event_hooks=http_events(),
            ) as client,
        ):
            response = client.post(url, headers=dict(headers or {}), **body)
    except (httpx.RequestError, TimeoutError) as error:
        raise TransientError(f"{service} token: {describe_failure(error)}", outcome_unknown=False) from error
    status = response.status_code
    if (
        status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        after_s = parse_retry_after(response.headers.get("Retry-After"))
        raise TransientError(f"{service} token: {status}", retry_after_s=after_s, outcome_unknown=False)
    answer = _json(response)
    if not isinstance(answer, dict):
        raise TransientError(f"{service} token: {status}, and no JSON", outcome_unknown=False)
    if busy := [word for word in (answer.get("error"), answer.get("error_description")) if word in BUSY]:
        after_s = parse_retry_after(response.headers.get("Retry-After"))
        raise TransientError(f"{service} token: {status} {busy[0]}", retry_after_s=after_s, outcome_unknown=False)
    return response


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
