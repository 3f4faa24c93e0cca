"""Tests of access tokens from Google: what it is asked, and what its refusals tell a person to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.oauth.google import Google
from tests.support.token_endpoint import TokenEndpoint, claims, given, write_key_file
from tests.support.token_providers import MAILBOX, REFRESH, SECRET, google

if TYPE_CHECKING:
    from pathlib import Path


def test_google_returns_new_token_for_refresh_token() -> None:
    """A new one each time that it is asked."""
    with TokenEndpoint(given("token-1"), given("token-2")) as endpoint:
        service = google(endpoint.url)
        assert [service.token(), service.token()] == ["token-1", "token-2"]
    assert endpoint.forms == 2 * [
        {"grant_type": "refresh_token", "client_id": "an-app", "client_secret": SECRET, "refresh_token": REFRESH}
    ]


def test_rotated_refresh_token_is_reported_and_used() -> None:
    """The old one may be good no more."""
    told: list[str] = []
    with TokenEndpoint(given("token-1", refresh_token="second"), given("token-2")) as endpoint:
        service = google(endpoint.url, rotated=told.append)
        assert [service.token(), service.token()] == ["token-1", "token-2"]
    assert told == ["second"]
    assert [form["refresh_token"] for form in endpoint.forms] == [REFRESH, "second"]


def test_service_account_requests_token_for_mailbox(tmp_path: Path) -> None:
    """Domain-wide delegation: its own signature, our mailbox as the subject, IMAP as the scope."""
    write_key_file(tmp_path / "key.json", "poller@project.example")
    with TokenEndpoint(given("token-1")) as endpoint:
        service = Google.by_service_account(str(tmp_path / "key.json"), MAILBOX, url=endpoint.url)
        assert service.token() == "token-1"
    claimed = claims(endpoint.forms[0]["assertion"])
    assert (claimed["sub"], claimed["scope"]) == (MAILBOX, "https://mail.google.com/")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("{}", "no key"), ("[]", "no key"), ("x", "no key")]
)
def test_unusable_key_file_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    """It is not there, or something else."""
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=rf"key\.json: {words}.*IMAP_SERVICE_ACCOUNT_FILE"):
        Google.by_service_account(str(path), MAILBOX)


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        ("invalid_grant", "Token has been expired or revoked.", "IMAP_REFRESH_TOKEN"),
        ("invalid_client", "The OAuth client was not found.", "IMAP_CLIENT_SECRET"),
        ("unauthorized_client", "Unauthorized", "Domain-wide delegation"),
        ("invalid_grant", "Invalid email or User ID", "IMAP_USERNAME"),
        ("server_says_so", "What nobody foresaw", "check the [imap] settings"),
    ],
)
def test_google_refusal_is_quoted_with_advice(error: str, words: str, advice: str) -> None:
    """In one line, and without a secret."""
    with TokenEndpoint((400, {"error": error, "error_description": words})) as endpoint:
        with pytest.raises(ConfigurationError) as caught:
            google(endpoint.url).token()
        assert endpoint.connections == 1
    line = str(caught.value)
    assert words in line
    assert advice in line
    assert not [left for left in (SECRET, REFRESH, "\n") if left in line]
