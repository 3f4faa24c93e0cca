"""The status file that the daemon leaves for `poller status`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from poller.monitoring import status_file
from poller.monitoring.status_file import PollStatus, StatusFile

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def test_status_file_keeps_its_keys(tmp_path: Path) -> None:
    """Releases read each other's: the file is that of before an update until the first report."""
    StatusFile(tmp_path).leave(NOW, NOW, "IMAP: timed out", 2)
    left = json.loads((tmp_path / "last-poll.json").read_text())
    began_at = left.pop("began_at")
    assert datetime.fromisoformat(began_at).tzinfo
    assert left == {
        "looked_at": "2026-11-22T14:00:00+00:00",
        "failing_since": "2026-11-22T14:00:00+00:00",
        "reason": "IMAP: timed out",
        "unreadable": 2,
    }
    assert status_file.read(tmp_path) == PollStatus(
        datetime.fromisoformat(began_at), NOW, NOW, "IMAP: timed out", unreadable=2
    )


def test_status_file_of_earlier_release_is_read(tmp_path: Path) -> None:
    """It does not count unreadable messages."""
    old = {"began_at": NOW.isoformat(), "looked_at": None, "failing_since": None, "reason": ""}
    (tmp_path / status_file.FILE).write_text(json.dumps(old))
    assert status_file.read(tmp_path) == PollStatus(NOW, None, None, "", unreadable=0)


def test_refusing_services_are_in_the_status_file(tmp_path: Path) -> None:
    """They are left out where there is none, as by releases before."""
    left = StatusFile(tmp_path)
    left.leave(NOW, None, "", refused={"clickup": "ClickUp: HTTP 401"})
    read = status_file.read(tmp_path)
    assert read
    assert read.refused == {"clickup": "ClickUp: HTTP 401"}
    left.leave(NOW, None, "")
    assert "refused" not in (tmp_path / status_file.FILE).read_text()


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"began_at": null}',
        b"\xff",
        b'{"began_at": 7, "looked_at": 7}',
        b'{"began_at": "x"}',
    ],
)
def test_unreadable_status_file_is_ignored(left: bytes, tmp_path: Path) -> None:
    """A crash of the machine may have left an empty file."""
    (tmp_path / status_file.FILE).write_bytes(left)
    assert status_file.read(tmp_path) is None


@pytest.mark.parametrize(
    ("interval_s", "minutes", "late"),
    [(60, 5, False), (60, 5.1, True), (600, 49, False), (600, 51, True), (1, 4, False)],
)
def test_daemon_is_late_after_five_poll_intervals(interval_s: float, minutes: float, *, late: bool) -> None:
    """And never before five minutes; since it began where no poll was good yet."""
    ago = NOW - timedelta(minutes=minutes)
    assert PollStatus(NOW - timedelta(days=9), ago).is_late(NOW, interval_s) is late
    assert PollStatus(ago, None, ago, "IMAP").is_late(NOW, interval_s) is late


def test_status_file_is_read_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For us alone to read, and written anew when something has changed; where it cannot be, the daemon goes on."""
    assert status_file.read(tmp_path) is None
    left = StatusFile(tmp_path)
    left.leave(NOW, None, "an old reason")
    assert status_file.read(tmp_path) == PollStatus(left._began_at, NOW, None, "")
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.stat().st_ino
    left.leave(NOW, None, "another")
    assert path.stat().st_ino == written
    left.leave(NOW, NOW, "IMAP: timed out")
    assert status_file.read(tmp_path) == PollStatus(left._began_at, NOW, NOW, "IMAP: timed out")
    StatusFile(tmp_path / "nowhere").leave(NOW, None, "")
    assert "status_file_not_written" in capsys.readouterr().out
