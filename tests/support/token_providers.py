"""Make the sources of access tokens on a token endpoint of the tests."""

from __future__ import annotations

from typing import Any

from integrations.oauth.google import Google
from integrations.oauth.microsoft import Microsoft

SECRET, REFRESH, MAILBOX = "app-secret-71", "refresh-secret-72", "support@figurative.example"


def google(url: str, **more: Any) -> Google:
    """Return the source of tokens for a consented mailbox."""
    return Google.by_refresh_token("an-app", SECRET, REFRESH, url=url, **more)


def microsoft(url: str) -> Microsoft:
    """Return the source of tokens for an application."""
    return Microsoft("contoso.example", "an-app", SECRET, url=url)
