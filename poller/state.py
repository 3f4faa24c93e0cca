"""The state directory: one daemon's at a time; and an SQLite file that can be read while the daemon writes."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from integrations.errors import TransientError


class AlreadyRunningError(TransientError):
    """Another daemon works on this state."""


def lock(directory: Path) -> IO[str]:
    """A lock that this process holds until it ends.

    Raises:
        AlreadyRunningError: another one holds it.
    """
    held = os.fdopen(os.open(directory / "daemon.lock", os.O_RDWR | os.O_CREAT, 0o600), "a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise AlreadyRunningError(
            f"a poller is already running on this state ({directory}): stop it, or wait for it"
        ) from None
    return held


def write_ahead(url: str) -> None:
    """Let readers of the SQLite file not hold up the daemon (https://sqlite.org/wal.html)."""
    path = url.split("///", 1)[1]
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
    connection.close()
