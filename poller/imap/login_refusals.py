"""Keep which login was refused, so that the server is seldom asked again: some shut out who is refused often."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING, Any

import structlog

from integrations.errors import CredentialsError
from poller import atomic_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poller.config.settings import ImapSettings

# From a refusal to the next try, after the first, second, ... refused command. The last one repeats.
# fail2ban shuts out who is refused five times in ten minutes.
REFUSED_S: tuple[float, ...] = (15, 60, 300)
KEPT = "login-refused.json"  # in the state directory
_ROUNDS, _DIGEST_BYTES = 100_000, 8  # a password may be short, so its digest is slow to make and proves little

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The last refusal of some settings, since they were last taken."""

    words: str  # of the error
    tried: str  # the command that was refused last, "" for a token
    count: int  # of refused commands so far
    at_s: float  # when it was; on the monotonic clock, which all processes share until the machine is started anew


_refusals: dict[ImapSettings, _Refusal] = {}
_kept: Path | None = None  # the file for the processes to come, None: there is none


def keep_in(directory: Path) -> None:
    """Keep refusals from now on for the next process on this state as well, and go on with those of the last one."""
    global _kept  # noqa: PLW0603  The refusals belong to the process.
    _kept = directory / KEPT


def expect_taken(imap: ImapSettings) -> None:
    """Raise the refusal of these settings again where it is too recent to ask the server again.

    Raises:
        CredentialsError: it was refused a moment ago.
    """
    refusal = _last(imap)
    if refusal and time.monotonic() < refusal.at_s + REFUSED_S[min(refusal.count, len(REFUSED_S)) - 1]:
        raise CredentialsError(refusal.words)


def tried_last(imap: ImapSettings) -> str | None:
    """Return the command that was refused last, None where the settings were not refused."""
    refusal = _last(imap)
    return refusal.tried if refusal else None


def add(imap: ImapSettings, words: str, tried: Sequence[str]) -> CredentialsError:
    """Record a refusal, and return the error that says so. `tried` are the refused commands."""
    before = _last(imap)
    refusal = _Refusal(words, tried[-1], (before.count if before else 0) + len(tried), time.monotonic())
    _refusals.clear()  # of earlier settings
    _refusals[imap] = refusal
    if _kept:
        salt = secrets.token_hex(16)
        try:
            content = {"salt": salt, "login": _digest(imap, salt)} | asdict(refusal)
            atomic_file.replace(_kept, json.dumps(content), 0o600)
        except OSError as error:
            log.warning("login_refusal_not_kept", reason=error.strerror)
    return CredentialsError(words)


def clear(imap: ImapSettings) -> None:
    """Forget the refusals of a login that was taken."""
    _refusals.pop(imap, None)
    if _kept:
        try:
            _kept.unlink(missing_ok=True)
        except OSError as error:
            log.warning("login_refusal_kept", reason=error.strerror)


def try_again() -> None:
    """Have the next login of this process ask the server, whatever it has refused a moment ago."""
    global _kept  # noqa: PLW0603  as above
    _kept = None
    _refusals.clear()


def _last(imap: ImapSettings) -> _Refusal | None:
    if imap not in _refusals and _kept and (kept := _recall(_kept, imap)):
        _refusals[imap] = kept
    return _refusals.get(imap)


def _recall(path: Path, imap: ImapSettings) -> _Refusal | None:
    """Return the refusal that an earlier process kept, None where there is none of this login since the last boot."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        refusal = _Refusal(str(kept["words"]), str(kept["tried"]), int(kept["count"]), float(kept["at_s"]))
        is_of_login = _digest(imap, str(kept["salt"])) == kept["login"]
    except (OSError, ValueError, TypeError, LookupError):
        return None  # The machine may have crashed before the whole file was on the disk.
    return refusal if is_of_login and refusal.count > 0 and refusal.at_s <= time.monotonic() else None


def _digest(imap: ImapSettings, salt: str) -> str:
    """Return what tells one login from another, and not its password."""
    secret = (imap.password, imap.client_secret, imap.refresh_token)
    names = imap.host, imap.port, imap.username, imap.auth, imap.tenant, imap.client_id, imap.service_account_file
    words = json.dumps([*map(str, names), *(each.get_secret_value() for each in secret)])
    return pbkdf2_hmac("sha256", words.encode(), salt.encode(), _ROUNDS, _DIGEST_BYTES).hex()
