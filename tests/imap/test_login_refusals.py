"""A refused login is seldom tried again, by this process and by later ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from integrations.errors import CredentialsError
from poller.imap import login_refusals
from poller.imap.session import connect
from tests.imap.test_login import WITH_PLAIN, WRONG, logins
from tests.support.imap_account import imap_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from pathlib import Path


def test_refused_login_is_seldom_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sessions ask for it: fail2ban shuts out who is refused five times in ten minutes."""
    now_s = 1000
    monkeypatch.setattr(login_refusals, "time", SimpleNamespace(monotonic=lambda: now_s))
    with Provider(WITH_PLAIN, WITH_PLAIN, refusal=WRONG) as server:
        tried_at: list[int] = []
        for now_s in range(1000, 3000):
            with pytest.raises(CredentialsError, match=r"AUTHENTICATIONFAILED.*check IMAP_USERNAME"):
                connect(imap_settings(server, password="changed"))
            tried_at += [now_s] * (len(logins(server)) - len(tried_at))
        assert max(sum(0 <= at - first < 600 for at in tried_at) for first in tried_at) == 4
        assert len(tried_at) > 6
        assert set(logins(server)[2:]) == {"AUTHENTICATE", "LOGIN"}, "each way is tried, as one may be out of order"
        connect(imap_settings(server)).close()  # other settings are tried at once


def test_refused_login_is_seldom_tried_again_by_later_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`poller once` comes from cron each minute. A changed password is tried at once, and one that is taken ends it."""
    now_s = 1000
    monkeypatch.setattr(login_refusals, "_ROUNDS", 1)
    monkeypatch.setattr(login_refusals, "time", SimpleNamespace(monotonic=lambda: now_s))
    with Provider(WITH_PLAIN, WITH_PLAIN, refusal=WRONG) as server:
        tried_at: list[int] = []
        for now_s in range(1000, 2500, 60):
            login_refusals.try_again()
            login_refusals.keep_in(tmp_path)
            with pytest.raises(CredentialsError, match=r"AUTHENTICATIONFAILED.*check IMAP_USERNAME"):
                connect(imap_settings(server, password="changed"))
            tried_at += [now_s] * (len(logins(server)) - len(tried_at))
        assert max(sum(0 <= at - first < 600 for at in tried_at) for first in tried_at) == 4
        assert len(tried_at) > 6
        (kept,) = tmp_path.iterdir()
        assert (kept.stat().st_mode & 0o777, "changed" in kept.read_text()) == (0o600, False)
        login_refusals.try_again()
        login_refusals.keep_in(tmp_path)
        connect(imap_settings(server)).close()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", ["", "[]", '{"salt": 7}', '{"words": "no", "tried": "", "count": 0, "at_s": 1}'])
def test_kept_refusal_that_cannot_be_read_is_none(kept: str, tmp_path: Path) -> None:
    """A crash of the machine may have left an empty file."""
    (tmp_path / login_refusals.KEPT).write_text(kept)
    login_refusals.keep_in(tmp_path)
    with Provider(WITH_PLAIN, WITH_PLAIN) as server:
        connect(imap_settings(server)).close()


def test_refusal_from_before_the_last_boot_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its time is on a clock that began anew."""
    login_refusals.keep_in(tmp_path)
    with Provider(WITH_PLAIN, WITH_PLAIN, refusal=WRONG) as server:
        given = imap_settings(server, password="changed")
        with pytest.raises(CredentialsError):
            connect(given)
        login_refusals._refusals.clear()
        monkeypatch.setattr(login_refusals, "time", SimpleNamespace(monotonic=lambda: 0.1))
        server.password = "changed"
        connect(given).close()
