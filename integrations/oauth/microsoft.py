"""Access tokens for a Microsoft 365 mailbox that an application may read, by msal.

https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
"""

from __future__ import annotations

import base64
import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msal

from integrations.errors import CredentialsError
from integrations.oauth import token_endpoint

if TYPE_CHECKING:
    import httpx2 as httpx

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://outlook.office365.com/.default"
ROLE = "IMAP.AccessAsApp"
# The advice for a refusal, by its code: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
ADVICE = {
    "AADSTS7000215": "IMAP_CLIENT_SECRET must be the secret's value, not its id",
    "AADSTS7000222": "the secret has ended: make a new one (Entra > App registrations > Certificates & secrets) "
    "and set IMAP_CLIENT_SECRET",
    "AADSTS700016": "no such application in this tenant: check IMAP_CLIENT_ID and IMAP_TENANT",
    "AADSTS90002": "no such tenant: check IMAP_TENANT",
    "AADSTS900023": "no such tenant: check IMAP_TENANT",
    "AADSTS7000112": "the application is switched off: Entra > Enterprise applications > Properties",
}


class Microsoft:
    """A source of access tokens for an application. Safe to share between threads."""

    def __init__(self, tenant: str, client_id: str, client_secret: str, *, url: str | None = None) -> None:
        """Set up msal without sending a request. `url` is the token endpoint, the tenant's by default."""
        self._client_id = client_id
        self._lock = threading.Lock()
        endpoint = f"{AUTHORITY}/{tenant}/oauth2/v2.0/token"
        self._application = msal.ConfidentialClientApplication(
            client_id,
            client_credential=client_secret,
            authority=f"{AUTHORITY}/{tenant}",
            instance_discovery=False,
            http_client=_Http(endpoint, url or endpoint),
        )

    def token(self) -> str:
        """Fetch a new access token.

        Raises:
            TransientError: Microsoft is unreachable or busy.
            ConfigurationError: Microsoft refuses. The line quotes its reason, and says what to do.
        """
        with self._lock:
            self._application.remove_tokens_for_client()
            answer: dict[str, Any] = self._application.acquire_token_for_client([SCOPE])
        if "access_token" in answer:
            return str(answer["access_token"])
        error = str(answer.get("error", ""))
        # Trace ids follow the first line.
        words = " ".join(str(answer.get("error_description", error)).split(" Trace ID:")[0].split())[:300]
        advice = next((ADVICE[code] for code in ADVICE if f"{code}:" in words), "check IMAP_TENANT, IMAP_CLIENT_ID")
        raise CredentialsError(f"Microsoft refuses a token: {words}: {advice}")

    def advice(self, token: str, mailbox: str) -> str:
        """Return advice on what to check when Exchange refuses a token that Microsoft issued."""
        claims = _claims(token)
        if ROLE not in claims.get("roles", [ROLE]):
            return (
                f"give the application the permission {ROLE} (Entra > App registrations > API permissions > APIs my "
                "organization uses > Office 365 Exchange Online > Application permissions), and grant admin consent"
            )
        principal = claims.get("oid", "<object id in Entra > Enterprise applications>")
        return (
            "in Exchange Online PowerShell: "
            f"New-ServicePrincipal -AppId {self._client_id} -ObjectId {principal}; "
            f"Add-MailboxPermission -Identity {mailbox} -User {principal} -AccessRights FullAccess; "
            f"and IMAP must be on: Set-CASMailbox -Identity {mailbox} -ImapEnabled $true"
        )


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a token (RFC 7519 section 4), {} when it is unreadable. They serve for advice only."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


class _Http:
    """An HTTP client for msal that sends each request through `token_endpoint`.

    It answers the discovery request itself, because the answer is always the same.
    """

    def __init__(self, endpoint: str, url: str) -> None:
        self._endpoint, self._url = endpoint, url

    def get(self, url: str, **_: object) -> SimpleNamespace:
        del url
        found = {
            "token_endpoint": self._endpoint,
            "authorization_endpoint": self._endpoint.replace("/token", "/authorize"),
        }
        return SimpleNamespace(status_code=200, text=json.dumps(found), headers={})

    def post(
        self, url: str, *, data: dict[str, str], headers: dict[str, str] | None = None, **_: object
    ) -> httpx.Response:
        del url
        return token_endpoint.ask("Microsoft", self._url, data, headers)

    def close(self) -> None:
        """Do nothing: no connection is kept open."""
