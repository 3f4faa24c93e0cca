"""Know since when the database of the state takes nothing: a disk that is full or fails, or a server that is away."""

from __future__ import annotations

import errno
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from integrations.errors import ConfigurationError, TransientError
from poller.workflow.errors import StateUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# The primary codes of https://sqlite.org/rescode.html for which SQLite is not at fault, and neither is the file.
_SQLITE: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_CANTOPEN: "the disk cannot be written to",
    sqlite3.SQLITE_READONLY: "the disk cannot be written to",
}
_PRIMARY: Final = 0xFF  # the bits of an extended code that are the primary one
_ERRNOS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk's quota is used up",
    errno.EIO: "the disk fails",
    errno.EROFS: "the disk cannot be written to",  # as after an error, where it is mounted with errors=remount-ro
}
AWAY: Final = "the database is out of reach"


class Outage(NamedTuple):
    """An outage of the state."""

    since: datetime  # aware, UTC
    reason: str  # fit for a log


def disk_fault(error: BaseException) -> str:
    """Return what is wrong with the disk, by an error of SQLite, SQLAlchemy or the system. "" for any other error."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & _PRIMARY, "")
    return _ERRNOS.get(cause.errno or 0, "") if isinstance(cause, OSError) else ""


class _Thread(threading.local):
    """How the calls of one thread to the state behave."""

    waits = True


class StateOutage:
    """The outage of the state as this process meets it. Any thread may use it.

    The workers and dbos wait until the state takes what they have to record. The jobs of the daemon do not: they have
    an outage to report.
    """

    def __init__(self) -> None:
        """Begin with a state that is in reach."""
        self.current: Outage | None = None
        self._thread, self._given_up = _Thread(), False

    def begin(self, reason: str) -> None:
        """Record that the state took nothing."""
        if self.current is None:
            log.error("state_unavailable", reason=reason)
            self.current = Outage(datetime.now(UTC), reason)

    def end(self) -> None:
        """Record that the state takes entries again."""
        if self.current:
            log.warning("state_available", since=self.current.since.isoformat())
        self.current = None

    def give_up(self) -> None:
        """Let no thread wait from now on, because the process stops."""
        self._given_up = True

    def is_waited_out(self) -> bool:
        """Return whether this thread waits for the end of the outage, and then goes on."""
        return self._thread.waits and not self._given_up

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record and translate every error of the database. It is the failure of no service, and of no message."""
        try:
            yield
        except (DBAPIError, NoConnectionError) as error:
            reason = disk_fault(error) or AWAY
            self.begin(reason)
            raise StateUnavailableError(reason) from error

    @contextmanager
    def failing_fast(self) -> Iterator[None]:
        """Let each call that this thread makes within it fail at once where the state takes nothing."""
        before, self._thread.waits = self._thread.waits, False
        try:
            yield
        finally:
            self._thread.waits = before


@contextmanager
def errors_beside() -> Iterator[None]:
    """Translate an error of the database, beside the daemon, by what the person at the keyboard can do about it.

    Its own text may hold names, and is not shown.
    """
    try:
        yield
    except ProgrammingError as error:
        raise ConfigurationError("the state has no tables of ours: nothing has run on it yet") from error
    except (DBAPIError, NoConnectionError) as error:
        if "no such table" in str(error):
            raise ConfigurationError("the state has no tables of ours: nothing has run on it yet") from error
        if "not a database" in str(error):
            raise ConfigurationError("the state is no SQLite database; look at STATE_URL") from error
        raise TransientError(f"{disk_fault(error) or AWAY}: look at STATE_URL") from error
