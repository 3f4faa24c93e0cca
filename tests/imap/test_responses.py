"""Refusals of an IMAP server: those to wait out, and those that a person must mend."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from integrations.errors import ConfigurationError, TransientError
from poller.imap.session import connect
from tests.support.imap_account import imap_settings
from tests.support.imap_provider import Provider

BASIC = "IMAP4rev1 AUTH=PLAIN"


@pytest.mark.parametrize(
    "answer",
    [
        "BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds",
        "NO Server Busy",
        "NO Please try again later.",
    ],
)
def test_throttling_server_raises_transient_error(answer: str) -> None:
    """Exchange says so at a login and at a SELECT: it is nothing that a person could mend."""
    with Provider(BASIC, BASIC, closed=answer) as server, pytest.raises(TransientError):
        connect(imap_settings(server))
    with (
        Provider(BASIC, BASIC, refusal=answer, password="right") as server,
        pytest.raises(TransientError),
    ):
        connect(imap_settings(server).model_copy(update={"username": "somebody"}))


@pytest.mark.parametrize(("unit", "seconds"), [("milliseconds", 299.91), ("seconds", 299910)])
def test_throttling_server_names_its_back_off(unit: str, seconds: float) -> None:
    """At a login and at a SELECT."""
    answer = f"BAD Request is throttled. Suggested Backoff Time: 299910 {unit}"
    for refusal, closed in ((answer, ""), ("", answer)):
        with (
            Provider(
                BASIC, BASIC, refusal=refusal, closed=closed, password="right" if refusal else "sandbox"
            ) as server,
            pytest.raises(TransientError) as caught,
        ):
            connect(imap_settings(server).model_copy(update={"password": SecretStr("sandbox")}))
        assert caught.value.retry_after_s == seconds


def test_wrong_password_with_retry_hint_is_configuration_error() -> None:
    """Those words are for the person who has mistyped it."""
    refusal = "NO [AUTHENTICATIONFAILED] Wrong password, please try again"
    with Provider(BASIC, BASIC, refusal=refusal) as server, pytest.raises(ConfigurationError, match="IMAP_PASSWORD"):
        connect(imap_settings(server).model_copy(update={"username": "somebody"}))
