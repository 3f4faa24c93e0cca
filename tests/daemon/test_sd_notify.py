"""Messages to the service manager (sd_notify(3))."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from poller.daemon import sd_notify

if TYPE_CHECKING:
    from tests.support.sd_notify_listener import Manager


def test_fields_arrive_in_one_message(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    assert sd_notify.tell(sd_notify.READY, sd_notify.status("at\nwork,  as ever"))
    assert manager.until("READY") == {"READY": "1", "STATUS": "at work, as ever"}


def test_abstract_socket_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with "@" (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel chooses a name
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + listener.getsockname()[1:].decode())
        assert sd_notify.tell(sd_notify.WATCHDOG)
        assert listener.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", [None, "", "relative", "/nonexistent/socket"])
def test_missing_service_manager_is_no_error(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not sd_notify.tell(sd_notify.READY)


def test_service_manager_that_does_not_read_is_not_waited_for(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue holds a few messages, and then no more."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setattr(sd_notify, "SEND_S", 0.05)
    sent = 0
    while sd_notify.tell(sd_notify.WATCHDOG):
        sent += 1
    assert sent > 0


def test_reload_is_announced_with_its_time() -> None:
    reloading, at = sd_notify.reloading()
    assert reloading == "RELOADING=1"
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", at)
