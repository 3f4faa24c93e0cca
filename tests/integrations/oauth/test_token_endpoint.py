"""Access tokens from Google and Microsoft: what they are asked, and what their refusals tell a person to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError, TransientError
from integrations.oauth.google import Google
from integrations.oauth.microsoft import Microsoft
from tests.support.token_endpoint import TokenEndpoint, application_token, claims, given, write_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET, REFRESH, MAILBOX = "app-secret-71", "refresh-secret-72", "support@figurative.example"


def google(url: str, **more: Any) -> Google:
    return Google.by_refresh_token("an-app", SECRET, REFRESH, url=url, **more)


def microsoft(url: str) -> Microsoft:
    return Microsoft("contoso.example", "an-app", SECRET, url=url)


BOTH: list[Callable[[str], Any]] = [google, microsoft]


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


def test_microsoft_returns_new_token_with_one_request() -> None:
    """A new one each time, by one request and nothing besides: where tokens are had is known."""
    with TokenEndpoint(given("token-1"), given("token-2")) as endpoint:
        service = microsoft(endpoint.url)
        assert [service.token(), service.token()] == ["token-1", "token-2"]
    asked = endpoint.forms[0]
    assert (asked["grant_type"], asked["client_id"], asked["client_secret"]) == ("client_credentials", "an-app", SECRET)
    assert asked["scope"].split()[0] == "https://outlook.office365.com/.default"
    assert len(endpoint.forms) == endpoint.connections == 2


@pytest.mark.parametrize(
    ("provider", "error", "words", "advice"),
    [
        (google, "invalid_grant", "Token has been expired or revoked.", "IMAP_REFRESH_TOKEN"),
        (google, "invalid_client", "The OAuth client was not found.", "IMAP_CLIENT_SECRET"),
        (google, "unauthorized_client", "Unauthorized", "Domain-wide delegation"),
        (google, "invalid_grant", "Invalid email or User ID", "IMAP_USERNAME"),
        (google, "server_says_so", "What nobody foresaw", "check the [imap] settings"),
        (microsoft, "invalid_client", "AADSTS7000215: Invalid client secret provided. Ensure", "not its id"),
        (microsoft, "invalid_client", "AADSTS7000222: The provided client secret keys are expired.", "make a new one"),
        (microsoft, "unauthorized_client", "AADSTS700016: Application was not found", "IMAP_CLIENT_ID"),
        (microsoft, "invalid_request", "AADSTS90002: Tenant not found.", "IMAP_TENANT"),
        (microsoft, "invalid_request", "AADSTS99999: What nobody foresaw.", "check IMAP_TENANT"),
    ],
)
def test_refusal_quotes_provider_and_gives_advice(
    provider: Callable[[str], Any], error: str, words: str, advice: str
) -> None:
    """In one line, without the numbers of its trace, and without a secret."""
    described = f"{words} Trace ID: 0a1b\r\nTimestamp: 2026" if provider is microsoft else words
    with TokenEndpoint((400, {"error": error, "error_description": described})) as endpoint:
        with pytest.raises(ConfigurationError) as caught:
            provider(endpoint.url).token()
        assert endpoint.connections == 1
    line = str(caught.value)
    assert words in line
    assert advice in line
    assert not [left for left in (SECRET, REFRESH, "Trace", "\n") if left in line]


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("status", "body", "header", "after_s"),
    [
        (503, {"error": "temporarily_unavailable"}, "X: y", None),
        (500, b"<html>", "X: y", None),
        (429, {"error": "rate"}, "Retry-After: 7", 7.0),
        (200, b"<html>log in to the network</html>", "X: y", None),
        (400, b"<html>", "X: y", None),
        (400, {"error": "internal_failure"}, "X: y", None),
        (400, {"error": "invalid_request", "error_description": "server_error"}, "X: y", None),
        (400, {"error": "temporarily_unavailable"}, "Retry-After: 7", 7.0),
    ],
)
def test_busy_provider_raises_transient_error(
    provider: Callable[[str], Any], status: int, body: Any, header: str, after_s: float | None
) -> None:
    """Of ours: no library asks again of itself."""
    with TokenEndpoint((status, body), header=header) as endpoint:
        with pytest.raises(TransientError, match=f"token: {status}") as caught:
            provider(endpoint.url).token()
        assert endpoint.connections == 1
    assert caught.value.retry_after_s == after_s
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("provider", BOTH)
def test_unreachable_provider_raises_transient_error(provider: Callable[[str], Any]) -> None:
    """Nothing listens there now."""
    with pytest.raises(TransientError, match="token: nothing listens there"):
        provider("http://127.0.0.1:9/token").token()


def test_microsoft_advice_names_missing_permission() -> None:
    """First the permission, which the token itself says; then the mailbox, with the commands to be typed."""
    service = microsoft("http://127.0.0.1:9/token")
    assert "IMAP.AccessAsApp" in service.advice(application_token(roles=["Mail.Read"], oid="sp-1"), MAILBOX)
    advice = service.advice(application_token(roles=["IMAP.AccessAsApp"], oid="sp-1"), MAILBOX)
    assert "New-ServicePrincipal -AppId an-app -ObjectId sp-1;" in advice
    assert f"Add-MailboxPermission -Identity {MAILBOX} -User sp-1 -AccessRights FullAccess" in advice
    for opaque in ("x", "a.b.c", "a.e30.c"):
        assert "New-ServicePrincipal" in service.advice(opaque, MAILBOX)
