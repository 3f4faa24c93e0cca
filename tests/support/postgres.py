"""Run a PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

START_TIMEOUT_S = 20.0
ATTEMPTS = 3  # another process may take the port between our look at it and the server's
# A kill of the machine is no part of these tests, so nothing is synced to the disk.
OPTIONS = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",  # it would look into hundreds of databases, of which each lives for a test
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
    "unix_socket_directories=",
    "dynamic_shared_memory_type=mmap",  # in its directory: a server that is killed leaves what is elsewhere
    "max_connections=300",
)


def binaries() -> Path | None:
    """Where initdb and postgres are; None when the server is not installed."""
    found = shutil.which("postgres")
    candidates = [Path(found).resolve().parent] if found else []
    # Debian keeps them out of the PATH, a directory a version.
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


class Cluster:
    """A server on 127.0.0.1 with one superuser, `poller`, who needs no password: a context manager."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        # The server refuses to run as root.
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0

    def __enter__(self) -> Self:
        if self._account:
            os.chown(self._directory, self._account.pw_uid, self._account.pw_gid)
        make = [self._programs / "initdb", "--no-sync", "--auth=trust", "--username=poller", "--encoding=UTF8"]
        subprocess.run(
            [*make, "--locale=C", "-D", self._directory / "data"], check=True, capture_output=True, **self._as_account()
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._directory)

    def start(self) -> None:
        """Listen: the first time on a port of the system's choice, then on the same one."""
        for _ in range(ATTEMPTS):
            port = self.port or _free_port()
            options = [f"-c{option}" for option in (*OPTIONS, "listen_addresses=127.0.0.1", f"port={port}")]
            log = self._directory / "log"
            with log.open("ab") as written:
                command = [self._programs / "postgres", "-D", self._directory / "data", *options]
                self._process = subprocess.Popen(command, stdout=written, stderr=written, **self._as_account())
            if self._answers(port):
                self.port = port
                return
        raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End the server as a crash would; SIGINT would be the polite way."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(timeout=START_TIMEOUT_S)
            self._process = None

    def url(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://poller@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template1") -> str:
        """The URL of a new database, a copy of the template."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def _answers(self, port: int) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(f"postgresql://poller@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        self.stop()
        return False

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": self._directory}
        return {"cwd": self._directory, "user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
