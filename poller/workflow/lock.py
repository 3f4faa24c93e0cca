"""Lock a state directory for one daemon."""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

from integrations.errors import TransientError

if TYPE_CHECKING:
    from pathlib import Path


class AlreadyRunningError(TransientError):
    """Another daemon uses this state."""


def lock(directory: Path) -> IO[str]:
    """Take a lock that this process holds until it ends.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    held = os.fdopen(os.open(directory / "daemon.lock", os.O_RDWR | os.O_CREAT, 0o600), "a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise AlreadyRunningError(f"a poller is already running on this state ({directory})") from None
    return held


def in_use(directory: Path) -> bool:
    """Return True if a process holds the lock at this moment."""
    try:
        with (directory / "daemon.lock").open() as looked_at:
            # A shared lock, released at once: two processes that check do not take each other for a daemon.
            fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
