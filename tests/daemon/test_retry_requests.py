"""Requests to try messages now, which a command leaves and the daemon takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.daemon import retry_requests
from poller.daemon.daemon import Daemon
from poller.logs import Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office


def test_request_is_taken_once_however_often_it_was_left(tmp_path: Path) -> None:
    (tmp_path / "poller.sqlite").touch()
    for name in ("a" * 16, "b" * 16, "a" * 16):
        retry_requests.leave(tmp_path, name)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("retry-*")} == {0o600}
    assert retry_requests.take(tmp_path) == {"a" * 16, "b" * 16}
    assert retry_requests.take(tmp_path) == set()
    assert [path.name for path in tmp_path.iterdir()] == ["poller.sqlite"]


class Log:
    """A log of its own, into which no other thread writes."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def log(self, _level: int, event: str, **_given: object) -> None:
        self.events.append(event)


def test_request_that_cannot_be_taken_is_logged_once(office: Office) -> None:
    """The daemon goes on, and tells when it is over."""
    (office.state / "retry-x").mkdir()  # which no unlink removes
    daemon, log = Daemon(office.settings), Log()
    daemon._requests_unread = Trouble(log, "retry_requests_not_read")
    assert [daemon._requests() for _ in range(3)] == [set()] * 3
    (office.state / "retry-x").rmdir()
    assert daemon._requests() == set()
    assert log.events == ["retry_requests_not_read", "trouble_over"]
