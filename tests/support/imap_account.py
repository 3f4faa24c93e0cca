"""The account of a mail server that runs for a test: the settings that open it, and mails to deliver there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.config import loader
from poller.config.settings import ImapSettings

if TYPE_CHECKING:
    from integrations.sandbox.imap_account import ImapServer
    from poller.config.settings import Settings
    from tests.support.imap_provider import Provider

RAW = b"From: a@b.example\r\nSubject: Bonjour\r\nMessage-ID: <1@b.example>\r\n\r\nTexte\r\n"
NAMES = ("host", "port", "security", "username", "password")


def imap_settings(server: object, **changes: object) -> ImapSettings:
    """Settings of the account alone."""
    return ImapSettings.model_validate({name: getattr(server, name) for name in NAMES} | changes)


def all_settings(server: Provider | ImapServer) -> Settings:
    """Settings of a daemon on the account; its state cannot be opened."""
    given = {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
    return loader.from_names(given | {"STATE_URL": "sqlite:////nonexistent/x", "LABELS_FAILED": "Failed"})


def a_mail(number: int, *headers: bytes) -> bytes:
    """A mail with this number in its Message-ID."""
    own = (
        b"From: ana@ruiz.example",
        b"Message-ID: <%d@ruiz.example>" % number,
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100",
    )
    return b"\r\n".join((*own, *headers, b"", b"Bonjour\r\n"))
