"""The lock on a state directory: one daemon holds it, and a command sees that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.workflow import lock
from poller.workflow.lock import AlreadyRunningError

if TYPE_CHECKING:
    from pathlib import Path


def test_lock_held_by_one_daemon_refuses_another(tmp_path: Path) -> None:
    with lock.lock(tmp_path), pytest.raises(AlreadyRunningError, match="already running on this state"):
        lock.lock(tmp_path)
    lock.lock(tmp_path).close()


def test_lock_is_in_use_while_it_is_held(tmp_path: Path) -> None:
    """A check takes no lock: two of them at once do not see each other."""
    with lock.lock(tmp_path):
        assert lock.in_use(tmp_path)
    assert not lock.in_use(tmp_path)


def test_lock_of_a_directory_never_used_is_free_and_not_created(tmp_path: Path) -> None:
    assert not lock.in_use(tmp_path / "none")
    assert not lock.in_use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lock_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Its name is one of those that never change: an older daemon looks for it."""
    with lock.lock(tmp_path):
        assert (tmp_path / "daemon.lock").stat().st_mode & 0o777 == 0o600
