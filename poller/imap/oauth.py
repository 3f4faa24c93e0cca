"""Access tokens for the mailbox: one source of them for all its connections, and what it keeps on disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import structlog

from integrations.errors import ConfigurationError
from poller.config.settings import state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integrations.oauth.google import Google
    from poller.config.settings import Imap

AT_ONCE_S = 10.0  # in which connections share a token
KEPT = "refresh-token.json"  # in the state directory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_making = threading.Lock()


class Provider(Protocol):
    """Who gives access tokens."""

    def token(self) -> str:
        """A new one."""

    def advice(self, token: str, mailbox: str) -> str:
        """What to look at when the mail server refuses a token of theirs."""


class Tokens:
    """The access tokens of one account; for any number of threads.

    Each connection begins with a new one, so that none ends before its time; those that open at the same moment share.
    """

    def __init__(self, provider: Provider, now: Callable[[], float] = monotonic) -> None:
        """Nothing is asked yet."""
        self.advice = provider.advice
        self._ask, self._now = provider.token, now
        self._lock = threading.Lock()
        self._last, self._asked_at = "", 0.0

    def token(self) -> tuple[str, bool]:
        """A token, and whether an earlier connection had it, too.

        Raises:
            TransientError: the provider is out of reach, or busy.
            ConfigurationError: it refuses; the line says so in its words, and what to do.
        """
        with self._lock:
            shared = bool(self._last) and self._now() - self._asked_at < AT_ONCE_S
            if not shared:
                self._last, self._asked_at = self._ask(), self._now()
            return self._last, shared

    def forget(self) -> None:
        """The next one is a new one."""
        with self._lock:
            self._last = ""


def prepare(imap: Imap) -> None:
    """Open the token source that the settings need, before any server is asked.

    Raises:
        ConfigurationError: a key file cannot be read, or a package is missing.
    """
    if imap.auth != "password":
        tokens(imap)


def tokens(imap: Imap) -> Tokens:
    """The tokens that `imap.auth` names; of the same settings always the same.

    Raises:
        ConfigurationError: its package is missing, or a setting cannot be used.
    """
    with _making:  # The cache lets two through that ask first at the same moment.
        return _tokens(imap)


@lru_cache(maxsize=8)
def _tokens(imap: Imap) -> Tokens:
    try:
        return Tokens(_microsoft(imap) if imap.auth == "microsoft" else _google(imap))
    except ImportError as error:
        raise ConfigurationError(
            f"IMAP_AUTH is {imap.auth}, and its package is missing: pip install '.[{imap.auth}]'"
        ) from error


def _microsoft(imap: Imap) -> Provider:
    # Packages of extras, and a third of a second that nobody else pays.
    from integrations.oauth.microsoft import Microsoft  # noqa: PLC0415

    return Microsoft(imap.tenant, imap.client_id, imap.client_secret.get_secret_value(), url=_url(imap))


def _google(imap: Imap) -> Provider:
    from integrations.oauth.google import Google  # noqa: PLC0415  as above

    if imap.service_account_file:
        return _KeyFile(lambda: Google.by_service_account(imap.service_account_file, imap.username, url=_url(imap)))
    client_id, client_secret = imap.client_id, imap.client_secret.get_secret_value()

    def made(refresh_token: str, rotated: Callable[[str], None]) -> Google:
        return Google.by_refresh_token(client_id, client_secret, refresh_token, url=_url(imap), rotated=rotated)

    return _Consented(made, imap.refresh_token.get_secret_value(), state_directory() / KEPT)


class _KeyFile:
    """Tokens for a service account whose key may be exchanged while we run: its file is read for each."""

    def __init__(self, made: Callable[[], Provider]) -> None:
        """A file that cannot be used is told of before a server is asked."""
        self._made = made
        self.advice = made().advice

    def token(self) -> str:
        """See `Provider`."""
        return self._made().token()


class _Consented:
    """Tokens for a refresh token that the provider may change at any use.

    The one in force is in a file, for the processes that share the state: each reads it anew, one after the other.
    """

    def __init__(self, made: Callable[[str, Callable[[str], None]], Provider], given: str, path: Path) -> None:
        """`made` takes the refresh token, and whom to tell the one that takes its place."""
        self._made, self._given, self._path = made, given, path
        self._unkept = ""  # the one in force where the file does not have it

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
    """Before every other thread and process that asks so; where there can be no such directory, beside them."""
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


def _url(imap: Imap) -> str | None:
    return str(imap.token_url) if imap.token_url else None


def _recall(path: Path, given: str) -> str:
    """The token that took the place of the one in the settings, "" when none did: a new setting is newer than it."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(kept["refresh_token"]) if isinstance(kept, dict) and kept.get("instead_of") == _digest(given) else ""


def _keep(path: Path, given: str, rotated: str) -> bool:
    """Written beside and then put in place: a crash leaves the old file or the new one; False: it is not kept."""
    content = json.dumps({"instead_of": _digest(given), "refresh_token": rotated})
    name = ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Readable by us alone: that is how mkstemp makes it.
        file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        Path(name).replace(path)
    except OSError as error:
        # This process goes on with it; the next one will have the old token, which may have ended.
        log.error("refresh_token_not_kept", path=str(path), reason=error.strerror)  # noqa: TRY400  no trace of a disk
        if name:
            Path(name).unlink(missing_ok=True)
        return False
    log.info("refresh_token_kept", path=str(path))
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
