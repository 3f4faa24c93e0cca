"""Check the database of the state store, and open the store beside a daemon."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer

from integrations.errors import ConfigurationError, TransientError
from poller.workflow.cluster import CONNECTION
from poller.workflow.outage import disk_fault, errors_beside
from poller.workflow.store import StateStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.config.settings import Settings

# Permanent errors of a PostgreSQL server. libpq passes on the words alone, not the SQLSTATE (28000, 28P01, 3D000,
# 42501), and the words are in the server's own language: English or French.
_REFUSED = re.compile(
    r"authentication failed|authentification .* pour l|no password supplied|pg_hba\.conf|permission denied|droit refus"
    r"|FATAL.*(does not exist|n.existe pas)|invalid .* for connection option"
)
FRESH = "made at the first start"  # end of the line about a state that has never been used
_ROOM_BYTES = 1 << 20  # that must be free before an outage of the disk is over
_BUSY_S = 5.0  # longest wait for another writer of the SQLite file
_VACUUM_BUSY_S = 30.0  # the same for VACUUM, which needs the file exclusively
# The schema's owner (null: no schema yet), whether the server accepts writes, and whether it accepts ours.
_LOOK = """
SELECT current_database(), current_user, pg_get_userbyid(nspowner), current_setting('transaction_read_only') = 'off',
       CASE WHEN nspname IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            WHEN pg_class.oid IS NULL THEN has_schema_privilege(nspname, 'CREATE')
            ELSE has_schema_privilege(nspname, 'USAGE') AND has_table_privilege(pg_class.oid, 'INSERT') END
FROM (SELECT 1) AS always
LEFT JOIN pg_namespace ON nspname = 'dbos'
LEFT JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = 'workflow_status'
"""


def write_ahead(url: str) -> None:
    """Set the SQLite file to write-ahead logging, so that readers do not block the daemon.

    See https://sqlite.org/wal.html. The file and its directory are created if missing. It is written to, so that a disk
    that is full shows now.

    Raises:
        TransientError: the disk is full or fails.
        OSError: the file cannot be opened.
    """
    path = url.split("///", 1)[1]
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA user_version = 0")  # writes the first page, whatever stands in it
    except sqlite3.OperationalError as error:
        raise TransientError(f"state {path}: {disk_fault(error) or error}") from error


def is_writable(url: str) -> bool:
    """Return whether the database takes entries at this moment, where it was in reach before."""
    try:
        if not url.startswith("sqlite"):
            return bool(check(url))
        # The log is overwritten from its beginning, so that a write or two may work on a disk that is full.
        with tempfile.TemporaryFile(dir=Path(url.split("///", 1)[1]).parent) as file:
            os.posix_fallocate(file.fileno(), 0, _ROOM_BYTES)
        write_ahead(url)
    except (OSError, TransientError, ConfigurationError):
        return False
    return True


def vacuum(url: str) -> None:
    """Remove the remains of deleted rows from the database's file. A daemon may be running on it.

    PostgreSQL frees the rows. It keeps them in its log and in backups as long as it is configured to.

    Raises:
        TransientError: another process reads or writes all the time, or the database is out of reach. Try again later.
    """
    try:
        if url.startswith("sqlite"):
            path = url.split("///", 1)[1]
            with closing(sqlite3.connect(path, timeout=_VACUUM_BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute("VACUUM")
                # The old pages stay in the write-ahead log until it is truncated.
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise TransientError("the state is read the whole time: what was deleted may be left in its file")
        else:
            with psycopg.connect(url, autocommit=True, **CONNECTION) as connection:
                connection.execute("VACUUM")
    except (sqlite3.OperationalError, psycopg.OperationalError) as error:
        raise TransientError("the database is out of reach: what was deleted may be left in its file") from error


def check(url: str) -> str:
    """Connect to the database without changing it, and return a description without a password.

    Raises:
        ConfigurationError: the database refuses us, or does not let us write.
        TransientError: the database is out of reach.
    """
    return _check_sqlite(Path(url.split("///", 1)[1])) if url.startswith("sqlite") else _check_postgresql(url)


def _check_sqlite(path: Path) -> str:
    try:
        directory = next(parent for parent in path.absolute().parents if parent.exists())
        # Permission bits are not enough: root has all of them in /proc, where no file can be created.
        with tempfile.TemporaryFile(dir=directory):
            pass
        if not path.exists():
            return f"SQLite {path}, {FRESH}"
        os.close(os.open(path, os.O_RDWR))  # SQLite says "cannot open" of a forbidden file and of a full disk alike
    except OSError as error:
        said = f"state {path}: {path.parent} cannot be written to ({error.strerror}); look at STATE_URL"
        if path.is_dir():
            said = f"state {path}: unable to open, it is a directory; look at STATE_URL"
        # A place that can be read alone is a wrong setting. But where the state lay there before, the disk has failed.
        is_outage = disk_fault(error) and (error.errno != errno.EROFS or path.exists())
        raise TransientError(said) if is_outage else ConfigurationError(said) from error
    try:
        # Open read-write, do not create: https://sqlite.org/uri.html
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=_BUSY_S, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if disk_fault(error) or getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise TransientError(f"state {path}: {error}") from error
        raise ConfigurationError(f"state {path}: {error}; look at STATE_URL") from error
    return f"SQLite {path}"


def _check_postgresql(url: str) -> str:
    try:
        with psycopg.connect(url, **CONNECTION) as connection:
            row: Sequence[Any] = connection.execute(_LOOK).fetchone() or ()
            name, user, owner, writable, ours = row
    except psycopg.OperationalError as error:
        # The message may contain the names of the server and the user, but never the password.
        if _REFUSED.search(str(error)):
            raise ConfigurationError(f"PostgreSQL refuses us: {_said(error)}; look at STATE_URL") from error
        raise TransientError(f"the database is out of reach: {_said(error)}; look at STATE_URL") from error
    except psycopg.ProgrammingError as error:
        raise ConfigurationError("STATE_URL is no address of a PostgreSQL database") from error
    if not writable:
        raise TransientError(f"PostgreSQL database {name} is read-only for now, as a standby that was not promoted")
    if not ours:
        what = f"its schema dbos is {owner}'s" if owner else "it may not make a schema there"
        raise ConfigurationError(f"PostgreSQL database {name} is not for the role {user}: {what}; look at STATE_URL")
    return f"PostgreSQL database {name}, schema dbos {f'of {owner}' if owner else FRESH}"


def _said(error: psycopg.Error) -> str:
    """Return the core of the first error in one line. A name with two addresses gives an error for each."""
    return str(error).partition("\n")[0].rpartition("failed: ")[2]


def open_store(settings: Settings) -> StateStore:
    """Open the state store of these settings, beside a daemon that may be at work on it. It must be closed.

    Raises:
        ConfigurationError: nothing has run on it yet, or the database refuses us.
        TransientError: the database is out of reach.
    """
    path = Path(settings.state_url.split("///", 1)[-1])
    if settings.state_url.startswith("sqlite"):
        _look_for(path)
    elif (found := check(settings.state_url)).endswith(FRESH):
        raise ConfigurationError(f"nothing has run yet: {found}")
    with errors_beside():
        client = DBOSClient(
            system_database_url=_with_keepalive(settings.state_url),
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )
    return StateStore(lambda: client._sys_db, client.destroy)  # noqa: SLF001  the connection, see `StateStore`


def _with_keepalive(url: str) -> str:
    """Return the URL with the parameters of the daemon's own connections. Where the URL has one of them, that stays."""
    if url.startswith("sqlite"):
        return url
    parsed = sa.make_url(url)
    query = {name: str(value) for name, value in CONNECTION.items()} | dict(parsed.query)
    return parsed.set(query=query).render_as_string(hide_password=False)


def _look_for(path: Path) -> None:
    try:
        path.stat()
    except PermissionError:  # of its directory; `Path.is_file` of Python 3.14 does not tell
        pass
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"nothing has run yet: there is no state in {path.parent}; `poller once` or `poller run` makes it. "
            "Where the daemon has run, use its directory, settings and user"
        ) from None
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise ConfigurationError(f"{path} is another user's: run this as the one that the daemon runs as")
