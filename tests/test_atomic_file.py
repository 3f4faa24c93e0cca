"""Files of the state directory are replaced as a whole, and belong to its owner."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from poller import atomic_file

if TYPE_CHECKING:
    from pathlib import Path


def test_replaced_file_is_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    """A reader of the old file keeps it; the mode is the one that was asked for."""
    path = tmp_path / "file"
    atomic_file.replace(path, "old", 0o600)
    with path.open() as reader:
        atomic_file.replace(path, "new", 0o644)
        assert reader.read() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o644)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root, who may give files away")
def test_file_that_root_writes_is_of_the_directorys_owner(tmp_path: Path) -> None:
    """`sudo poller learn` leaves what the daemon can read. A link that the daemon left there leads root nowhere."""
    nobody, outside = pwd.getpwnam("nobody"), tmp_path / "outside"
    outside.write_text("kept")
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, nobody.pw_uid, nobody.pw_gid)
    (state / ".learned.json.new").symlink_to(outside)
    atomic_file.replace(state / "learned.json", "new", 0o600)
    left = (state / "learned.json").stat()
    assert (left.st_uid, left.st_gid, left.st_mode & 0o777) == (nobody.pw_uid, nobody.pw_gid, 0o600)
    assert (outside.read_text(), outside.stat().st_uid) == ("kept", 0)


def test_unwritable_file_raises_oserror_and_leaves_nothing_beside(tmp_path: Path) -> None:
    """What was to be written may be a secret."""
    with pytest.raises(FileNotFoundError):
        atomic_file.replace(tmp_path / "nowhere" / "file", "new", 0o600)
    (tmp_path / "a directory").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic_file.replace(tmp_path / "a directory", "new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a directory"]
