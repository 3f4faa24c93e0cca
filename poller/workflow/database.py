"""The state: a directory that is one daemon's at a time, and the database of the memory as it is found."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg

from integrations.errors import ConfigurationError, TransientError

# What a PostgreSQL server says that will say the same tomorrow. libpq hands on its words alone, not the SQLSTATE behind
# them (28000, 28P01, 3D000, 42501), and the words are in the server's own language: English or French.
_REFUSED = re.compile(
    r"authentication failed|authentification .* pour l|no password supplied|pg_hba\.conf|permission denied|droit refus"
    r"|FATAL.*(does not exist|n.existe pas)|invalid .* for connection option"
)
FRESH = "made at the first start"  # how the line of a state ends that nothing has run on yet
_CONNECT_TIMEOUT_S = 10
_BUSY_S = 5.0  # that a writer of the SQLite file is waited for
_VACUUM_BUSY_S = 30.0  # by whoever must have it alone
# Whose the schema is (null: there is none yet), whether the server takes writes, and whether it takes them from us.
_LOOK = """
SELECT current_database(), current_user, pg_get_userbyid(nspowner), NOT pg_is_in_recovery(),
       CASE WHEN nspname IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            WHEN pg_class.oid IS NULL THEN has_schema_privilege(nspname, 'CREATE')
            ELSE has_schema_privilege(nspname, 'USAGE') AND has_table_privilege(pg_class.oid, 'INSERT') END
FROM (SELECT 1) AS always
LEFT JOIN pg_namespace ON nspname = 'dbos'
LEFT JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = 'workflow_status'
"""


def write_ahead(url: str) -> None:
    """Let readers of the SQLite file not hold up the daemon (https://sqlite.org/wal.html)."""
    path = url.split("///", 1)[1]
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
    connection.close()


def vacuum(url: str) -> None:
    """Leave nothing of what was deleted in the database's file; a daemon may be at work on it.

    PostgreSQL frees the rows, and keeps them in its log and in backups for as long as it is told to.

    Raises:
        TransientError: somebody reads or writes the whole time, or the database is out of reach; to be asked again.
    """
    try:
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.split("///", 1)[1], _VACUUM_BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute("VACUUM")
                # The pages as they were lie in the write-ahead log until it is cut off.
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise TransientError("the state is read the whole time: what was deleted may be left in its file")
        else:
            with psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True) as connection:
                connection.execute("VACUUM")
    except (sqlite3.OperationalError, psycopg.OperationalError) as error:
        raise TransientError("the database is out of reach: what was deleted may be left in its file") from error


def check(url: str) -> str:
    """Reach the database and leave nothing in it; returns what was seen, in a line without a password.

    Raises:
        ConfigurationError: it refuses us, or does not let us write.
        TransientError: it is out of reach.
    """
    return _check_sqlite(Path(url.split("///", 1)[1])) if url.startswith("sqlite") else _check_postgresql(url)


def _check_sqlite(path: Path) -> str:
    try:
        directory = next(parent for parent in path.absolute().parents if parent.exists())
        # Permissions do not tell: root has all of them in /proc, where no file can be made.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        reason = f"{path.parent} cannot be written to ({error.strerror})"
        raise ConfigurationError(f"state {path}: {reason}; look at STATE_URL") from error
    if not path.exists():
        return f"SQLite {path}, {FRESH}"
    try:
        # Read-write and not to be created: https://sqlite.org/uri.html
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", _BUSY_S, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise TransientError(f"state {path}: {error}") from error
        raise ConfigurationError(f"state {path}: {error}; look at STATE_URL") from error
    return f"SQLite {path}"


def _check_postgresql(url: str) -> str:
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
            name, user, owner, writable, ours = connection.execute(_LOOK).fetchone() or ()
    except psycopg.OperationalError as error:
        # Its words may hold the names of server and user, and never the password.
        if _REFUSED.search(str(error)):
            raise ConfigurationError(f"PostgreSQL refuses us: {_said(error)}; look at STATE_URL") from error
        raise TransientError(f"the database is out of reach: {_said(error)}; look at STATE_URL") from error
    except psycopg.ProgrammingError as error:
        raise ConfigurationError("STATE_URL is no address of a PostgreSQL database") from error
    if not writable:
        raise TransientError(f"PostgreSQL database {name} is read-only for now: a standby that was not promoted")
    if not ours:
        what = f"its schema dbos is {owner}'s" if owner else "it may not make a schema there"
        raise ConfigurationError(f"PostgreSQL database {name} is not for the role {user}: {what}; look at STATE_URL")
    return f"PostgreSQL database {name}, schema dbos {f'of {owner}' if owner else FRESH}"


def _said(error: psycopg.Error) -> str:
    """The heart of what was said first, in one line: a name with two addresses is tried twice."""
    return str(error).partition("\n")[0].rpartition("failed: ")[2]
