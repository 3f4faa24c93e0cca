"""Tell what a refusal by Claude's API is about: the mail, the account, or what we ask of the model.

https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, CredentialsError, PermanentError, ServiceError, TransientError
from integrations.net.edge import ABOUT_THE_KEY, unexplained
from integrations.net.retry_after import parse_retry_after

if TYPE_CHECKING:
    from anthropic import APIStatusError

_CONFIGURATION: dict[int, str] = {
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credit left",
    # A model is retired about a year after its release. No call can work until another model is configured.
    HTTPStatus.NOT_FOUND: "no such model, look at ANTHROPIC_MODEL",
}
_RETRYABLE = (408, 409, 425, 429)

# An account that may not call is a 400, like a bad request. Few of them have a code, and the words change: a 400 that
# is not recognised here is an `UnclearRefusalError`.
_OF_THE_MAIL = re.compile(
    r"output blocked|blocked by|content filter|too (?:long|large)|exceeds? the (?:maximum|context)", re.IGNORECASE
)
_OF_THE_ACCOUNT = (
    (re.compile(r"credit balance|no credit|billing|payment", re.IGNORECASE), "the account has no credit left"),
    (re.compile(r"usage limit|spend(?:ing)? limit", re.IGNORECASE), "the account's spend limit is reached"),
    (re.compile(r"on[ _]hold|disabled|suspended", re.IGNORECASE), "the organization is on hold"),
    (
        re.compile(r"not support|unsupported|not permitted|not allowed|output_config|effort", re.IGNORECASE),
        "the model does not do what we ask for, look at ANTHROPIC_MODEL",
    ),
)


class UnclearRefusalError(PermanentError):
    """A 400 that may be about this mail, or about every one."""


def error_of(call: str, error: APIStatusError) -> ServiceError | ConfigurationError:
    """Return the error that a status stands for."""
    status, detail = error.status_code, error.api_message or ""
    line = f"Claude {call}: HTTP {status} {error.type or ''}".rstrip()
    if status in ABOUT_THE_KEY:
        refused = CredentialsError(f"{line}: the key is refused, look at ANTHROPIC_API_KEY")
        return refused if error.type else unexplained(line)
    if status in _CONFIGURATION:
        return ConfigurationError(f"{line}: {_CONFIGURATION[status]}")
    if status == HTTPStatus.BAD_REQUEST and error.type is not None:
        return _bad_request(line, f"{error.type} {error.error_code or ''} {detail}", detail)
    if status not in _RETRYABLE and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return PermanentError(line, detail=detail)
    retry_after_s = parse_retry_after(error.response.headers.get("retry-after"))
    return TransientError(line, detail=detail, retry_after_s=retry_after_s, outcome_unknown=False)


def _bad_request(line: str, words: str, detail: str) -> ServiceError | ConfigurationError:
    if _OF_THE_MAIL.search(words):
        return PermanentError(line, detail=detail)
    for pattern, reason in _OF_THE_ACCOUNT:
        if pattern.search(words):
            return ConfigurationError(f"{line}: {reason}")
    return UnclearRefusalError(line, detail=detail)
