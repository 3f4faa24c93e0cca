"""Provide access tokens for the mailbox: one source of them for all its connections, and what it keeps on disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import structlog

from integrations.errors import ConfigurationError
from poller import atomic_file
from poller.config.extras import how_to_install
from poller.config.settings import state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integrations.oauth.google import Google
    from poller.config.settings import ImapSettings

AT_ONCE_S = 10.0  # the time in which new connections share a token
KEPT = "refresh-token.json"  # in the state directory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_making = threading.Lock()


class Provider(Protocol):
    """A service that gives access tokens."""

    def token(self) -> str:
        """Return a new access token."""

    def advice(self, token: str, mailbox: str) -> str:
        """Return what to check when the mail server refuses a token of the provider."""


class Tokens:
    """The access tokens of one account, for any number of threads.

    Each connection begins with a new token, so that none ends before its time. Connections that open at the same moment
    share one.
    """

    def __init__(self, provider: Provider, now: Callable[[], float] = monotonic) -> None:
        """Store the provider. Nothing is requested yet."""
        self.advice = provider.advice
        self._ask, self._now = provider.token, now
        self._lock = threading.Lock()
        self._last, self._asked_at = "", 0.0

    def token(self) -> tuple[str, bool]:
        """Return a token, and whether an earlier connection had it, too.

        Raises:
            TransientError: the provider is out of reach, or busy.
            ConfigurationError: the provider refuses. The error quotes it, and says what to do.
        """
        with self._lock:
            shared = bool(self._last) and self._now() - self._asked_at < AT_ONCE_S
            if not shared:
                self._last, self._asked_at = self._ask(), self._now()
            return self._last, shared

    def forget(self) -> None:
        """Drop the token, so that the next one is new."""
        with self._lock:
            self._last = ""


def prepare(imap: ImapSettings) -> None:
    """Open the token source that the settings need, before any server is asked.

    Raises:
        ConfigurationError: a key file cannot be read, or a package is missing.
    """
    if imap.auth != "password":
        tokens(imap)


def tokens(imap: ImapSettings) -> Tokens:
    """Return the tokens that `imap.auth` names. The same settings always give the same object.

    Raises:
        ConfigurationError: its package is missing, or a setting cannot be used.
    """
    with _making:  # Without the lock, two first calls at the same moment would both pass the cache.
        return _tokens(imap)


@lru_cache(maxsize=8)
def _tokens(imap: ImapSettings) -> Tokens:
    try:
        return Tokens(_microsoft(imap) if imap.auth == "microsoft" else _google(imap))
    except ImportError as error:
        raise ConfigurationError(
            f"IMAP_AUTH is {imap.auth}, and its package is missing: {how_to_install(imap.auth)}"
        ) from error


def _microsoft(imap: ImapSettings) -> Provider:
    # Optional packages, and a third of a second that other logins need not pay.
    from integrations.oauth.microsoft import Microsoft  # noqa: PLC0415

    return Microsoft(imap.tenant, imap.client_id, imap.client_secret.get_secret_value(), url=_url(imap))


def _google(imap: ImapSettings) -> Provider:
    from integrations.oauth.google import Google  # noqa: PLC0415  as above

    if imap.service_account_file:
        return _KeyFile(lambda: Google.by_service_account(imap.service_account_file, imap.username, url=_url(imap)))
    client_id, client_secret = imap.client_id, imap.client_secret.get_secret_value()

    def made(refresh_token: str, rotated: Callable[[str], None]) -> Google:
        return Google.by_refresh_token(client_id, client_secret, refresh_token, url=_url(imap), rotated=rotated)

    return _Consented(made, imap.refresh_token.get_secret_value(), state_directory() / KEPT)


class _KeyFile:
    """Tokens for a service account. Its key file is read for each token, because it may be exchanged meanwhile."""

    def __init__(self, made: Callable[[], Provider]) -> None:
        """Read the file once, so that one that cannot be used is reported before a server is asked."""
        self._made = made
        self.advice = made().advice

    def token(self) -> str:
        """See `Provider`."""
        return self._made().token()


class _Consented:
    """Tokens for a refresh token that the provider may change at any use.

    The one in force is in a file, for the processes that share the state. Each reads it anew, one after the other.
    """

    def __init__(self, made: Callable[[str, Callable[[str], None]], Provider], given: str, path: Path) -> None:
        """Read nothing yet.

        `made` takes the refresh token, and a callback that is given the token that replaces it.
        """
        self._made, self._given, self._path = made, given, path
        self._unkept = ""  # the token in force where it could not be written to the file

    def token(self) -> str:
        """See `Provider`."""
        with _alone(self._path.parent):
            in_force = self._unkept or _recall(self._path, self._given) or self._given
            return self._made(in_force, self._rotated).token()

    def advice(self, token: str, mailbox: str) -> str:
        """See `Provider`."""
        return self._made(self._given, self._rotated).advice(token, mailbox)

    def _rotated(self, refresh_token: str) -> None:
        self._unkept = "" if _keep(self._path, self._given, refresh_token) else refresh_token


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Exclude every other thread and process that calls this. Where the directory cannot be made, exclude none."""
    held = -1
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
    except OSError:
        log.debug("refresh_token_not_locked", path=str(directory))
    try:
        yield
    finally:
        if held >= 0:
            os.close(held)


def _url(imap: ImapSettings) -> str | None:
    return str(imap.token_url) if imap.token_url else None


def _recall(path: Path, given: str) -> str:
    """Return the token that replaced the one in the settings, "" when none did.

    A file that was written for another token is older than the setting.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(kept["refresh_token"]) if isinstance(kept, dict) and kept.get("instead_of") == _digest(given) else ""


def _keep(path: Path, given: str, rotated: str) -> bool:
    """Write the rotated token to the file. Return False when it is not kept."""
    content = json.dumps({"instead_of": _digest(given), "refresh_token": rotated})
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_file.replace(path, content, 0o600, durable=True)
    except OSError as error:
        # This process goes on with the new token. The next one will have the old token, which may have expired.
        log.error("refresh_token_not_kept", path=str(path), reason=error.strerror)  # noqa: TRY400  no trace of a disk
        return False
    log.info("refresh_token_kept", path=str(path))
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
