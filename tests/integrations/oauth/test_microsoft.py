"""Tests of access tokens from Microsoft: what it is asked, and what its refusals tell a person to do."""

from __future__ import annotations

import pytest

from integrations.errors import ConfigurationError
from tests.support.token_endpoint import TokenEndpoint, application_token, given
from tests.support.token_providers import MAILBOX, REFRESH, SECRET, microsoft


def test_microsoft_returns_new_token_with_one_request() -> None:
    """A new one each time, by one request and nothing besides: where tokens are had is known."""
    with TokenEndpoint(given("token-1"), given("token-2")) as endpoint:
        service = microsoft(endpoint.url)
        assert [service.token(), service.token()] == ["token-1", "token-2"]
    asked = endpoint.forms[0]
    assert (asked["grant_type"], asked["client_id"], asked["client_secret"]) == ("client_credentials", "an-app", SECRET)
    assert asked["scope"].split()[0] == "https://outlook.office365.com/.default"
    assert len(endpoint.forms) == endpoint.connections == 2


def test_microsoft_advice_names_missing_permission() -> None:
    """First the permission, which the token itself says; then the mailbox, with the commands to be typed."""
    service = microsoft("http://127.0.0.1:9/token")
    assert "IMAP.AccessAsApp" in service.advice(application_token(roles=["Mail.Read"], oid="sp-1"), MAILBOX)
    advice = service.advice(application_token(roles=["IMAP.AccessAsApp"], oid="sp-1"), MAILBOX)
    assert "New-ServicePrincipal -AppId an-app -ObjectId sp-1;" in advice
    assert f"Add-MailboxPermission -Identity {MAILBOX} -User sp-1 -AccessRights FullAccess" in advice
    for opaque in ("x", "a.b.c", "a.e30.c"):
        assert "New-ServicePrincipal" in service.advice(opaque, MAILBOX)


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        ("invalid_client", "AADSTS7000215: Invalid client secret provided. Ensure", "not its id"),
        ("invalid_client", "AADSTS7000222: The provided client secret keys are expired.", "make a new one"),
        ("unauthorized_client", "AADSTS700016: Application was not found", "IMAP_CLIENT_ID"),
        ("invalid_request", "AADSTS90002: Tenant not found.", "IMAP_TENANT"),
        ("invalid_request", "AADSTS99999: What nobody foresaw.", "check IMAP_TENANT"),
    ],
)
def test_microsoft_refusal_is_quoted_with_advice(error: str, words: str, advice: str) -> None:
    """In one line, without the numbers of its trace, and without a secret."""
    described = f"{words} Trace ID: 0a1b\r\nTimestamp: 2026"
    with TokenEndpoint((400, {"error": error, "error_description": described})) as endpoint:
        with pytest.raises(ConfigurationError) as caught:
            microsoft(endpoint.url).token()
        assert endpoint.connections == 1
    line = str(caught.value)
    assert words in line
    assert advice in line
    assert not [left for left in (SECRET, REFRESH, "Trace", "\n") if left in line]
