"""Make one call to ClickUp, and return the answer or raise one of our errors."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2 as httpx

from integrations.errors import ConfigurationError, CredentialsError, PermanentError, ServiceError, TransientError
from integrations.net.deadline import Deadline
from integrations.net.edge import ABOUT_THE_KEY, unexplained
from integrations.net.failures import describe_failure
from integrations.net.retry_after import json_object, parse_retry_after

if TYPE_CHECKING:
    from integrations.net.rate_limiter import RateLimiter

PARENT_NOT_IN_LIST = "ITEM_137"  # the parent task was moved to another list, or is gone
_OWN_FIELDS = {"err", "ECODE"}  # of a refusal by ClickUp itself
_LATER = (408, 425, 429)
_RESET_DIGITS = 13  # of seconds or milliseconds; a longer number is no timestamp
_MILLISECONDS = 10**11  # seconds until the year 5138, milliseconds from 1973 on


def ask(
    http: httpx.Client,
    rate_limiter: RateLimiter,
    deadline_s: float,
    call: str,
    method: str,
    path: str,
    *,
    expect: tuple[int, ...] = (),
    yields: str = "id",
    **request: Any,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of an answer: a 200 with the field `yields`, or a status in `expect`.

    `http` holds the token and the timeouts. `rate_limiter` is the workspace's rate limiter. `deadline_s` bounds the
    whole call. `call` names the call in errors. `request` goes to httpx. A POST creates something.
    """
    creates = method == "POST"
    rate_limiter.wait()
    try:
        with Deadline(deadline_s, creates=creates):
            response = http.request(method, path, **request)
    except (httpx.RequestError, TimeoutError) as error:
        never_connected = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
        raise TransientError(
            f"ClickUp {call}: {describe_failure(error)}", outcome_unknown=creates and not never_connected
        ) from error
    answer = json_object(response.content)
    if response.status_code in ABOUT_THE_KEY and not _OWN_FIELDS & answer.keys():
        raise unexplained(f"ClickUp {call}: HTTP {response.status_code}", outcome_unknown=creates)
    if response.status_code in expect:
        return response.status_code, answer
    if response.status_code != HTTPStatus.OK:
        raise refusal(call, response.status_code, response.headers, answer, creates=creates)
    if yields not in answer:
        raise TransientError(f"ClickUp {call}: HTTP 200 without {yields}", outcome_unknown=creates)
    return HTTPStatus.OK, answer


def refusal(
    call: str, status: int, headers: httpx.Headers | dict[str, str], answer: dict[str, Any], *, creates: bool = False
) -> ServiceError | ConfigurationError:
    """Return the error that a status stands for (https://developer.clickup.com/docs/common_errors)."""
    code = answer.get("ECODE", "")
    line = f"ClickUp {call}: HTTP {status} {code}".rstrip()
    detail = str(answer.get("err", ""))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return CredentialsError(f"{line}: the token is refused, look at CLICKUP_API_KEY")
    if code == PARENT_NOT_IN_LIST:
        return ConfigurationError(f"{line}: the task cannot have subtasks in its list, look at CLICKUP_PARENT_TASK_ID")
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER:
        return PermanentError(line, detail=detail)
    return TransientError(line, detail=detail, retry_after_s=_wait_s(headers), outcome_unknown=creates)


def _wait_s(headers: httpx.Headers | dict[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, else those until the rate limit's window ends, else None."""
    seconds = parse_retry_after(headers.get("Retry-After"))
    reset = headers.get("X-RateLimit-Reset", "")  # Unix time in seconds; many take it for milliseconds
    if seconds is None and reset.isdecimal() and len(reset) <= _RESET_DIGITS:
        moment = int(reset)
        return max(0.0, (moment / 1000 if moment > _MILLISECONDS else moment) - time.time())
    return seconds
