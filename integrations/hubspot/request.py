"""Make one call through HubSpot's client, and return the answer or raise one of our errors."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import urllib3
from hubspot.crm.associations.v4 import ApiException as AssociationsApiException
from hubspot.crm.objects import ApiException as ObjectsApiException
from hubspot.crm.pipelines import ApiException as PipelinesApiException
from hubspot.crm.properties import ApiException as PropertiesApiException
from urllib3.exceptions import ConnectTimeoutError

from integrations.errors import ConfigurationError, CredentialsError, PermanentError, ServiceError, TransientError
from integrations.net.deadline import Deadline
from integrations.net.edge import ABOUT_THE_KEY, unexplained
from integrations.net.failures import describe_failure
from integrations.net.retry_after import json_object, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from integrations.net.rate_limiter import RateLimiter

# Every package of the client has its own ApiException, and none is a subclass of another.
_API_EXCEPTIONS = (AssociationsApiException, ObjectsApiException, PipelinesApiException, PropertiesApiException)

# A 429 names its policy and documents no Retry-After, so the wait is the policy's own window. DAILY ends at the
# account's midnight, which HubSpot does not report: an hour is short enough not to miss it. The order matters, since
# one name contains another. https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
_POLICY_WAIT_S = {"DAILY": 3600.0, "TEN_SECONDLY": 10.0, "SECONDLY": 1.0}

_SCOPE_KEYS = ("requiredGranularScopes", "requiredScopes", "missingScopes")
_SCOPE = re.compile(r"[a-z0-9_.-]{1,80}")

_LATER = (408, 423, 425, 429, 477)  # 423: the record is locked; 477: the account is being moved
_LOCKED_WAIT_S = 2.0  # the minimum that the documentation asks for


def ask(
    rate_limiter: RateLimiter,
    timeout_s: tuple[float, float],
    deadline_s: float,
    call: str,
    method: Callable[..., Any],
    *arguments: Any,
    creates: bool = False,
    replaces: bool = False,
    expect: tuple[int, ...] = (),
    yields: str = "id",
    size_bytes: int = 0,
    **options: Any,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of an answer: a 2xx with the field `yields`, or a status in `expect`.

    `rate_limiter` is the account's rate limiter. `timeout_s` is the time to connect and the time for each read.
    `deadline_s` bounds the whole call, with additional time for the `size_bytes` that it sends. `call` names the call
    in errors. `creates` says that the call creates something, so that its outcome may be unknown. `replaces` says that
    it changes something in a way that is safe to repeat. Both ask the guard of `net/deadline.py`. `method` is the
    client's, with its arguments and options.

    The raw body is parsed: the client's models fail in many ways on an answer that they do not know, and are None for
    a 200 where a 201 was documented.
    """
    rate_limiter.wait()
    try:
        with Deadline(deadline_s, size_bytes=size_bytes, creates=creates or replaces):
            response = method(*arguments, **options, _preload_content=False, _request_timeout=timeout_s)
            status, headers, body = response.status, response.headers, response.data
    except _API_EXCEPTIONS as error:
        status, headers, body = error.status, error.headers or {}, error.body or ""
    except (urllib3.exceptions.HTTPError, TimeoutError) as error:
        cause = getattr(error, "reason", error)  # a MaxRetryError holds the cause in `reason`
        never_connected = isinstance(cause, ConnectTimeoutError)
        raise TransientError(
            f"HubSpot {call}: {describe_failure(error)}", outcome_unknown=creates and not never_connected
        ) from error
    except UnicodeDecodeError as error:
        # The client decodes the body of every refusal, and a proxy's error page may be in any charset.
        raise TransientError(f"HubSpot {call}: unreadable refusal", outcome_unknown=creates) from error
    answer = json_object(body)
    if status in ABOUT_THE_KEY and not _is_own(answer):
        raise unexplained(f"HubSpot {call}: HTTP {status}", outcome_unknown=creates)
    if status in expect:
        return status, answer
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise refusal(call, status, headers, answer, creates=creates)
    if yields not in answer:
        raise TransientError(f"HubSpot {call}: HTTP {status} without {yields}", outcome_unknown=creates)
    return status, answer


def refusal(
    call: str, status: int, headers: Mapping[str, str], answer: dict[str, Any], *, creates: bool = False
) -> ServiceError | ConfigurationError:
    """Return the error that a status stands for. Every field of HubSpot's own explanation is optional.

    https://developers.hubspot.com/docs/api-reference/error-handling
    """
    category = answer.get("category") or answer.get("errorType") or ""
    line = f"HubSpot {call}: HTTP {status} {category}".rstrip()
    detail = str(answer.get("message", ""))
    if status == HTTPStatus.UNAUTHORIZED:
        return CredentialsError(f"{line}: the token is refused, look at HUBSPOT_API_KEY")
    if status == HTTPStatus.FORBIDDEN:
        scopes = " or ".join(_scopes(answer)) or "look at those of it"
        return CredentialsError(f"{line}: HUBSPOT_API_KEY lacks a scope: {scopes}")
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(
            line, detail=detail, retry_after_s=_wait_s(status, headers, answer), outcome_unknown=creates
        )
    return PermanentError(line, detail=detail)


def _scopes(answer: dict[str, Any]) -> list[str]:
    """Return the scopes of which HubSpot says that one is needed."""
    errors = answer.get("errors")
    parts = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    contexts = [each["context"] for each in parts if isinstance(each.get("context"), dict)]
    found = [str(scope) for context in contexts for key in _SCOPE_KEYS for scope in context.get(key) or ()]
    return [scope for scope in dict.fromkeys(found) if _SCOPE.fullmatch(scope)]


def _is_own(answer: dict[str, Any]) -> bool:
    """Return whether HubSpot itself refused. Each of its fields is optional, and other programs use "message" too."""
    return answer.get("status") == "error" or bool({"category", "correlationId", "errorType"} & answer.keys())


def _wait_s(status: int, headers: Mapping[str, str], answer: dict[str, Any]) -> float | None:
    seconds = parse_retry_after(headers.get("Retry-After"))
    if seconds is not None:
        return seconds
    if status == HTTPStatus.LOCKED:
        return _LOCKED_WAIT_S
    policy = f"{answer.get('policyName')} {answer.get('message')}".upper()
    return next((wait_s for name, wait_s in _POLICY_WAIT_S.items() if name in policy), None)
