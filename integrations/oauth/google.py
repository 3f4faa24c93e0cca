"""Access tokens for a Gmail or Google Workspace mailbox, by google-auth.

https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.auth import transport
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import credentials, service_account

from integrations.errors import ConfigurationError, CredentialsError
from integrations.oauth import token_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx2 as httpx

SCOPE = "https://mail.google.com/"
ENDPOINT = "https://oauth2.googleapis.com/token"
# The advice for a refusal, by words in its text. The first match wins.
ADVICE = {
    "invalid_client": "check IMAP_CLIENT_ID and IMAP_CLIENT_SECRET (Google Cloud console > Credentials)",
    "unauthorized_client": f"let the client have the scope {SCOPE} (a service account: Admin console > Security > "
    "API controls > Domain-wide delegation)",
    "invalid_scope": f"let the client have the scope {SCOPE}",
    "user id": "IMAP_USERNAME must be a mailbox of the Workspace domain",
    "invalid jwt": "set the clock of this machine, or check the service account's key",
    "invalid_grant": "the refresh token has ended: make a new one and set IMAP_REFRESH_TOKEN (while the consent screen "
    "is in testing, each ends after 7 days)",
}


class Google:
    """A source of access tokens for one mailbox. Safe to share between threads."""

    def __init__(self, found: Any) -> None:
        """Take google-auth's credentials: see `by_refresh_token` and `by_service_account`."""
        self._found = found
        self._lock = threading.Lock()
        self._rotated: Callable[[str], None] = lambda _: None

    @classmethod
    def by_refresh_token(
        cls,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        url: str | None = None,
        rotated: Callable[[str], None] = lambda _: None,
    ) -> Google:
        """Return a token source for the mailbox whose owner consented.

        `rotated` is called with each new refresh token that replaces the old one. `url` is the token endpoint,
        Google's own by default.
        """
        made: Any = credentials.Credentials  # which has no types
        google = cls(
            made(
                None,
                refresh_token=refresh_token,
                token_uri=url or ENDPOINT,
                client_id=client_id,
                client_secret=client_secret,
            )
        )
        google._rotated = rotated
        return google

    @classmethod
    def by_service_account(cls, path: str, mailbox: str, *, url: str | None = None) -> Google:
        """Return a token source for a mailbox of a Workspace domain.

        The domain must have given the service account domain-wide delegation.

        Raises:
            ConfigurationError: the key file cannot be used.
        """
        try:
            key = json.loads(Path(path).read_text(encoding="utf-8"))
            key |= {"token_uri": url} if url else {}
            made: Any = service_account.Credentials
            found = made.from_service_account_info(key, scopes=[SCOPE], subject=mailbox)
        except (OSError, ValueError, TypeError, GoogleAuthError) as error:
            what = error.strerror if isinstance(error, OSError) else "no key of a service account is in it"
            raise ConfigurationError(f"Google: {path}: {what}: check IMAP_SERVICE_ACCOUNT_FILE") from error
        return cls(found)

    def token(self) -> str:
        """Fetch a new access token.

        Raises:
            TransientError: Google is unreachable or busy.
            ConfigurationError: Google refuses. The line quotes its reason, and says what to do.
        """
        with self._lock:
            before = getattr(self._found, "refresh_token", "")
            try:
                self._found.refresh(_Transport())
            except RefreshError as error:
                raise CredentialsError(_refusal(error)) from error
            after = getattr(self._found, "refresh_token", "")
            if after != before:
                self._rotated(after)
            return str(self._found.token)

    def advice(self, token: str, mailbox: str) -> str:
        """Return advice on what to check when Gmail refuses a token that Google issued."""
        del token
        return f"the token must be of {mailbox} and for the scope {SCOPE}: check IMAP_USERNAME, or consent anew"


def _refusal(error: RefreshError) -> str:
    words = " ".join(str(error.args[0] if error.args else "").split())[:300]
    advice = next((advice for word, advice in ADVICE.items() if word in words.lower()), "check the [imap] settings")
    return f"Google refuses a token: {words}: {advice}"


class _Transport(transport.Request):
    """A google-auth transport that sends each request through `token_endpoint`."""

    def __call__(
        self,
        url: str,
        method: str = "POST",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Response:
        del method, timeout
        return _Response(token_endpoint.ask("Google", url, body or b"", headers))


class _Response(transport.Response):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content
