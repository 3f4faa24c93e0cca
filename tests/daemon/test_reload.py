"""New settings: checked in the background, and taken only if every service accepts them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from integrations.errors import CredentialsError
from poller.config import loader
from poller.daemon import loop
from poller.daemon.loop import RELOAD, STOP, Asked, Loop
from poller.daemon.reload import read_anew
from poller.imap import login_refusals
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Office
    from tests.support.sd_notify_listener import Manager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


@pytest.fixture(autouse=True)
def _polls_alone_speak(monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setattr(loop, "WATCH_S", 3600.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"HUBSPOT_API_KEY": "pat-wrong"}, "HubSpot: read account"), ({"METRICS_LISTEN": "taken"}, "Metrics: 127.0.0.1:")],
    ids=["a key", "a port"],
)
def test_reload_keeps_old_settings_when_service_refuses_new(
    change: dict[str, str], says: str, office: Office, manager: Manager, logged: Callable[[], str]
) -> None:
    """A reload must not end at what a start would end at: the daemon goes on with the settings that work."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    asked.put(RELOAD)

    def stop_when_ready() -> None:
        for field in ("RELOADING", "READY"):
            manager.until(field)
        asked.put(STOP)

    with Listener(http(OK)) as other:
        given = office.environment | change
        changed = {name: value.replace("taken", f"127.0.0.1:{other.port}") for name, value in given.items() if value}
        threading.Thread(target=stop_when_ready).start()
        ended = Loop(office.settings, asked).run(lambda: loader.from_names(changed))
    assert ended is None, "it was asked to stop, and did not go on with the new ones"
    manager.until("STOPPING")
    said = logged()
    assert "settings_refused" in said
    assert says in said
    assert "pat-wrong" not in said


def test_reload_asks_mail_server_that_has_just_refused(office: Office) -> None:
    """A person has unlocked the account, and changed no setting."""
    settings = office.settings
    login_refusals.add(settings.imap, "IMAP login refused", ["LOGIN"])
    with pytest.raises(CredentialsError):
        login_refusals.expect_taken(settings.imap)
    assert read_anew(lambda: settings, settings) is settings
    login_refusals.expect_taken(settings.imap)


def test_stop_works_during_hanging_reload(office: Office, manager: Manager) -> None:
    """The service manager's patience is shorter than that of all services' calls together."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = office.environment | {"HUBSPOT_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        settings = loader.from_names({name: value for name, value in changed.items() if value})

        given_up: list[bytes] = []

        def stop_when_asked() -> None:
            with silent.accept()[0] as connection:
                assert connection.recv(1 << 16)
                asked.put(STOP)
                manager.until("STOPPING")
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    given_up.append(connection.recv(1))

        hanging = threading.Thread(target=stop_when_asked)
        hanging.start()
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(lambda: settings) is None
        hanging.join()
    assert not given_up, "the call was still waiting for its answer"


def test_reload_ignores_failed_public_address_check(office: Office) -> None:
    """A site that shows strangers its own page in place of what is not there may show customers their files."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")) as site:
        changed = office.environment | {"R2_PUBLIC_URL": f"http://127.0.0.1:{site.port}"}
        settings = loader.from_names({name: value for name, value in changed.items() if value})
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(lambda: settings) is settings


def test_last_reload_wins(office: Office) -> None:
    """Those of one before it are not gone back to, however long their services take to answer."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = office.environment | {"HUBSPOT_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        first, last = (loader.from_names({n: v for n, v in e.items() if v}) for e in (changed, office.environment))
        read = [last, first]

        def reload_when_asked() -> None:
            with silent.accept()[0]:
                asked.put(RELOAD)
            # It has ended now, and the last one perhaps not.

        threading.Thread(target=reload_when_asked).start()
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(read.pop) is last
