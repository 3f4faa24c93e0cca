"""The database of the state store, as `check` and the daemon's start find it."""

from __future__ import annotations

import socket
import sqlite3
import struct
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.workflow import database as workflow_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Cluster

PASSWORD = "sesame-71"


def test_check_of_sqlite_state_creates_nothing(tmp_path: Path) -> None:
    """Before the first start there is none, and looking makes none; nor does it make a directory."""
    path = tmp_path / "none" / "poller.sqlite"
    assert workflow_database.check(f"sqlite:///{path}") == f"SQLite {path}, made at the first start"
    assert list(tmp_path.iterdir()) == []
    workflow_database.write_ahead(f"sqlite:///{path}")
    assert workflow_database.check(f"sqlite:///{path}") == f"SQLite {path}"


@pytest.mark.parametrize(
    ("name", "said"),
    [("garbage", "file is not a database"), ("folder", "unable to open"), ("garbage/poller.sqlite", "cannot be writ")],
)
def test_unusable_sqlite_path_raises_configuration_error(tmp_path: Path, name: str, said: str) -> None:
    """It says which file, and the setting to check."""
    (tmp_path / "garbage").write_bytes(b"no database" * 100)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=f"{name}.*{said}.*STATE_URL"):
        workflow_database.check(f"sqlite:///{tmp_path / name}")


def test_check_refuses_place_where_no_state_can_be_created() -> None:
    """Whatever the permissions say, and root has all of them."""
    with pytest.raises(
        ConfigurationError, match=r"^state /proc/poller\.sqlite: /proc cannot be written to .*STATE_URL"
    ):
        workflow_database.check("sqlite:////proc/poller.sqlite")


def test_locked_sqlite_state_raises_transient_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, and then it is worth another try."""
    url = f"sqlite:///{tmp_path / 'poller.sqlite'}"
    workflow_database.write_ahead(url)
    monkeypatch.setattr(workflow_database, "_BUSY_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "poller.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="locked"):
            workflow_database.check(url)


def test_check_names_postgresql_database_schema_and_owner(cluster: Cluster, database: str) -> None:
    """The database, its schema and the schema's owner; before the first start there is no schema."""
    name = database.rpartition("/")[2]
    assert workflow_database.check(database) == f"PostgreSQL database {name}, schema dbos of poller"
    fresh = cluster.create()
    name = fresh.rpartition("/")[2]
    assert workflow_database.check(fresh) == f"PostgreSQL database {name}, schema dbos made at the first start"


def test_postgresql_state_without_write_access_is_refused(cluster: Cluster, database: str) -> None:
    """A role that may read and not write, or that may not make the schema, would fail at the first message."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    try:
        with pytest.raises(ConfigurationError, match="not for the role reader: its schema dbos is poller's"):
            workflow_database.check(database.replace("poller@", "reader@"))
        with pytest.raises(ConfigurationError, match="not for the role reader: it may not make a schema"):
            workflow_database.check(cluster.create().replace("poller@", "reader@"))
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP ROLE reader")


@pytest.mark.parametrize("change", [("poller@", "nobody-here@"), ("/test_", "/none_")], ids=["role", "database"])
def test_missing_role_or_database_raises_configuration_error(database: str, change: tuple[str, str]) -> None:
    """It will not be there tomorrow either."""
    with pytest.raises(ConfigurationError, match=r"PostgreSQL refuses us: .*does not exist.*STATE_URL"):
        workflow_database.check(database.replace(*change))


def test_unreachable_database_raises_transient_error() -> None:
    """Nothing listens there now; and the password is in no message."""
    with pytest.raises(TransientError, match="out of reach: Connection refused") as caught:
        workflow_database.check(f"postgresql://poller:{PASSWORD}@127.0.0.1:1/poller")
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


@contextmanager
def refusing(words: str) -> Iterator[str]:
    """Run a server that answers every client with these words, and give its URL."""
    fields = b"".join(kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", "XX000"), (b"M", words)))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)  # who it is
            connection.sendall(b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        options = "sslmode=disable&gssencmode=disable"
        yield f"postgresql://poller:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}/poller?{options}"
        thread.join()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ('password authentication failed for user "poller"', ConfigurationError),
        ("authentification par mot de passe échouée pour l'utilisateur « poller »", ConfigurationError),
        ("authentification peer échouée pour l'utilisateur « poller »", ConfigurationError),
        ("le rôle « poller » n'existe pas", ConfigurationError),
        ("la base de données « poller » n'existe pas", ConfigurationError),
        ('no pg_hba.conf entry for host "192.0.2.1", user "poller", database "poller"', ConfigurationError),
        ('permission denied for database "poller"', ConfigurationError),
        ("droit refusé pour la base de données « poller »", ConfigurationError),
        ("the database system is starting up", TransientError),
        ("le système de bases de données se lance", TransientError),
        ("sorry, too many clients already", TransientError),
        ("désolé, trop de clients sont déjà connectés", TransientError),
    ],
)
def test_database_refusal_is_classified_by_its_message(words: str, error: type[Exception]) -> None:
    """Of the server's answer we are given the words alone, in English or in French; the password is in none."""
    with refusing(words) as url, pytest.raises(error) as caught:
        workflow_database.check(url)
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://poller@127.0.0.1:port/x", "postgresql://poller@host/x?nonsense=1"])
def test_invalid_database_url_raises_configuration_error(url: str) -> None:
    """No try of it will succeed."""
    with pytest.raises(ConfigurationError, match="STATE_URL"):
        workflow_database.check(url)
