"""A limit is kept on our side."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from integrations.clickup.client import ClickUp
from integrations.hubspot.client import HubSpot
from integrations.net.deadline import guarded
from integrations.net.rate_limiter import MARGIN, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox

REF = "0123456789abcdef"


class Clock:
    """Time that passes only while a thread waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def test_calls_below_limit_do_not_wait() -> None:
    """The first calls of a window go out at once."""
    clock = Clock()
    pace = RateLimiter(100, 10, clock=lambda: clock.now, sleep=clock.sleep)
    for _ in range(100):
        pace.wait()
    assert clock.waits == []


def test_no_window_exceeds_rate_limit() -> None:
    """Wherever ten seconds are laid over a backlog of calls, at most a hundred begin in them."""
    clock = Clock()
    pace = RateLimiter(100, 10, clock=lambda: clock.now, sleep=clock.sleep)
    begun = []
    for _ in range(1000):
        pace.wait()
        begun.append(clock.now)
    assert all(later - earlier > 10 for earlier, later in zip(begun, begun[100:], strict=False))
    # And no slower than the limit itself: nine full windows, and the margin.
    assert clock.now - 1000 < 9 * 10 * MARGIN + 0.001


def test_idle_time_allows_no_extra_burst() -> None:
    """After a pause one window's calls are allowed at once, not two."""
    clock = Clock()
    pace = RateLimiter(2, 10, clock=lambda: clock.now, sleep=clock.sleep)
    pace.wait()
    clock.now += 100
    for _ in range(3):
        pace.wait()
    assert len(clock.waits) == 1


def test_threads_share_rate_limiter() -> None:
    """Every call of every worker counts: a slot is given once."""
    waits: list[float] = []
    pace = RateLimiter(10, 10, clock=lambda: 0.0, sleep=waits.append)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: pace.wait(), range(40)))
    assert len(waits) == 30
    assert sorted({round(wait, 3) for wait in waits}) == [10.2, 20.4, 30.6]


class NotNowError(Exception):
    """The refusal of a guard."""


@pytest.mark.parametrize(
    "create",
    [
        lambda hubspot, _: hubspot.find_or_create_contact("ana@ruiz.example", "", ""),
        lambda hubspot, _: hubspot.create_ticket("Écran noir", "Bonjour", "1", REF),
        lambda hubspot, _: hubspot.update_ticket("1", "Bonjour"),
        lambda hubspot, _: hubspot.create_note("Bonjour", datetime.now(UTC), "1", None),
        lambda _, clickup: clickup.create_subtask("Écran noir", "Bonjour"),
        lambda _, clickup: clickup.add_comment("86c0parent", "Bonjour"),
    ],
    ids=["contact", "ticket", "update", "note", "subtask", "comment"],
)
def test_confirm_is_called_after_rate_limit_wait(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, create: Callable[..., object]
) -> None:
    """Last of all, behind the wait for its turn and all that is asked before: a no then stops it."""
    seen: list[str] = []
    patient = partial(RateLimiter, sleep=lambda _: seen.append("wait"))
    for service in ("clickup", "hubspot"):
        monkeypatch.setattr(f"integrations.{service}.client.RateLimiter", patient)
    hubspot = HubSpot(sandbox.hubspot.token, sandbox.hubspot.hub_id, "0", "1", sandbox.hubspot.url, calls_per_10s=1)
    clickup = ClickUp(sandbox.clickup.token, sandbox.clickup.parent_id, sandbox.clickup.base_url, calls_per_min=1)
    hubspot.has_reference_property()
    clickup.find_comment(sandbox.clickup.parent_id, REF)

    def confirm() -> None:
        seen.append("confirm")
        raise NotNowError

    with pytest.raises(NotNowError), guarded(confirm):
        create(hubspot, clickup)
    assert seen[-2:] == ["wait", "confirm"]
    requests = [*sandbox.hubspot.requests, *sandbox.clickup.requests]
    assert {request.method for request in requests} <= {"GET"}


each_service = pytest.mark.parametrize(
    "create",
    [
        lambda url: HubSpot("token", "1", "0", "1", url).create_note("", datetime.now(UTC), "1", None),
        lambda url: ClickUp("token", "86x", url).add_comment("8", "Bonjour"),
    ],
    ids=["hubspot", "clickup"],
)


@pytest.mark.parametrize("last", [1, 2])
@each_service
def test_confirm_is_called_before_header_and_body(create: Callable[..., object], last: int) -> None:
    """Before header and body, on a connection that stands: to make one may take as long as a takeover."""
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        taken: list[socket.socket] = []

        def confirm() -> None:
            if not asked:
                taken.append(server.accept()[0])
            asked.append(len(asked) + 1)
            if asked[-1] == last:
                raise NotNowError

        with pytest.raises(NotNowError), guarded(confirm):
            create(f"http://127.0.0.1:{server.getsockname()[1]}")
        with taken[0] as connection, connection.makefile("rb") as request:
            header, _, body = request.read().partition(b"\r\n\r\n")
    assert (bool(header), body) == (last == 2, b"")
