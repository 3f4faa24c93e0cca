"""Requests to try messages now, which a command leaves and the daemon takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.daemon import retry_requests
from poller.daemon.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable
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


def test_request_that_cannot_be_taken_is_logged_once(office: Office, logged: Callable[[], str]) -> None:
    """The daemon goes on, and tells when it is over."""
    (office.state / "retry-x").mkdir()  # which no unlink removes
    daemon = Daemon(office.settings)
    assert [daemon._requests() for _ in range(3)] == [set()] * 3
    (office.state / "retry-x").rmdir()
    assert daemon._requests() == set()
    said = logged()
    assert (said.count("retry_requests_not_read"), said.count("trouble_over")) == (2, 1)
