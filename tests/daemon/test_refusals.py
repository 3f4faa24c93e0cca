"""Refused logins: when they call for a person."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

from integrations.errors import CredentialsError
from poller.daemon.loop import Asked, Loop
from poller.daemon.refusals import APART_S, LASTING_S, LoginRefusals

if TYPE_CHECKING:
    from tests.conftest import Office


def test_refusals_call_for_a_person_when_three_last_two_minutes() -> None:
    """A server in trouble refuses a right password a few times, and a restarted one for a minute."""
    now_s = 1000.0
    refusals = LoginRefusals(lambda: now_s)
    assert not refusals.may_pass, "there was none"
    for _ in range(2):
        refusals.add()
    now_s += LASTING_S
    assert refusals.may_pass, "two are too few"
    refusals.add()
    assert not refusals.may_pass
    now_s += APART_S + 1
    for _ in range(3):
        refusals.add()
    assert refusals.may_pass, "it is another trouble, and has just begun"


def test_refusals_over_a_short_time_do_not_count() -> None:
    """The first polls follow each other within seconds."""
    now_s = 1000.0
    refusals = LoginRefusals(lambda: now_s)
    for _ in range(9):
        refusals.add()
    assert refusals.may_pass
    now_s += LASTING_S
    assert not refusals.may_pass


def test_refused_login_counts_on_when_the_clock_is_set(office: Office) -> None:
    """A loop that begins anew with the same settings knows what was refused before it."""
    settings, asked = office.settings, SimpleQueue[Asked]()
    first = Loop(settings, asked)
    first.daemon.refusals.add("imap", CredentialsError("no"))
    assert Loop(settings, asked, first).daemon.status().may_pass == {"imap"}
    assert Loop(office.settings, asked, first).daemon.status().may_pass == set()
