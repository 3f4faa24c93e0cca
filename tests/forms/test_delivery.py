"""Tests of the delivery to the mailbox: one message for each post, also when a connection is lost."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from poller.forms import delivery, intake
from tests.support.form_site import Site, delivered, imap_relay, reference_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox
    from tests.conftest import Office


def test_repeated_post_with_same_key_makes_one_message(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """One after the other, from another process, and after it was filed: one, and one reference."""
    headers = {"Idempotency-Key": "8f14e45f-ceea-467a-9575-1f0c6b1f1a11"}
    here, there = site(), site()
    answers = [here.post(headers=headers), here.post(headers=headers), there.post(headers=headers)]
    (lying,) = sandbox.imap.messages()
    with sandbox.imap.session() as client:
        client.create_folder("Support")
        client.select_folder("INBOX")
        client.move([lying.uid], "Support")
    answers.append(here.post(headers=headers))
    assert [each.status_code for each in answers] == [202] * 4
    assert {each.json()["reference"] for each in answers} == {reference_of(sandbox, lying.raw)}
    assert (len(sandbox.imap.messages()), len(sandbox.imap.messages("Support"))) == (0, 1)


def test_same_post_on_two_machines_is_dispatched_once(office: Office, standing_site: Site) -> None:
    """If neither sees the other's message in time, both have one reference, and the daemon does the work once."""
    headers = {"Idempotency-Key": "both"}
    first = standing_site.post(headers=headers).json()["reference"]
    (moved,) = office.sandbox.imap.messages()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.create_folder("elsewhere")
        client.move([moved.uid], "elsewhere")
    second = standing_site.post(headers=headers).json()["reference"]
    # The clock of the other one may show another minute.
    office.sandbox.imap.deliver(re.sub(rb"(?m)^Date: .*?\r$", b"Date: Sun, 22 Nov 2026 10:00:59 +0000\r", moved.raw))
    assert first == second
    assert len(office.sandbox.imap.messages()) == 2
    assert list(office.once()) == [first]
    assert office.counts()["tickets"] == 1


@pytest.mark.parametrize(
    ("says", "status", "again"),
    [
        (b"[TOOBIG] Message size exceeds the limit", 413, False),
        (b"[CANNOT] no such message here", 500, False),
        (b"[UNAVAILABLE] later", 503, True),
    ],
)
def test_form_append_refusals_map_to_status(
    sandbox: Sandbox, site: Callable[..., Site], says: bytes, status: int, again: bool
) -> None:
    """Only what may change is to be sent again."""
    appended: list[bytes] = []

    def answered(client: socket.socket, piece: bytes) -> bool:
        if b" APPEND " not in piece:
            return False
        appended.append(piece)
        client.sendall(piece.split()[0] + b" NO " + says + b"\r\n")
        return True

    with imap_relay(sandbox, lambda _: True, lambda _: True, answered) as port:
        answer = site(IMAP_PORT=str(port)).post()
    assert (answer.status_code, "Retry-After" in answer.headers, len(appended)) == (status, again, 1)
    assert delivered(sandbox) == []


def unaccepted(listener: socket.socket) -> int:
    """Count the connections that were not accepted."""
    listener.setblocking(False)
    number = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


def test_hanging_imap_server_delays_waiting_posts_once(
    sandbox: Sandbox, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait for a session do not find out one after the other."""
    monkeypatch.setattr(delivery, "DROP_S", 0.3)
    monkeypatch.setattr(intake, "IN_HAND_EACH", 12)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, ThreadPoolExecutor(12) as pool:
        here = site(IMAP_PORT=str(silent.getsockname()[1]))
        answers = [each.result() for each in [pool.submit(here.post) for _ in range(12)]]
        tried = unaccepted(silent)
    assert {(each.status_code, "Retry-After" in each.headers) for each in answers} == {(503, True)}
    assert tried == intake.SESSIONS
    assert delivered(sandbox) == []


@pytest.mark.parametrize(("after_the_answer", "left"), [(False, 0), (True, 1)])
def test_mailbox_lost_during_post_makes_at_most_one_message(
    sandbox: Sandbox, site: Callable[..., Site], after_the_answer: bool, left: int
) -> None:
    """Half a message is none; and of one whose answer was lost there is one, however often it is sent again."""
    cut: list[bytes] = []

    def goes(piece: bytes) -> bool:
        if cut or (b" OK [APPENDUID" if after_the_answer else b" APPEND ") not in piece:
            return True
        cut.append(piece)
        return False

    with imap_relay(sandbox, goes, goes) as port:
        here, headers = site(IMAP_PORT=str(port)), {"Idempotency-Key": "k"}
        assert here.post(headers=headers).status_code == 503
        assert len(delivered(sandbox)) == left
        assert here.post(headers=headers).status_code == 202
    assert len(delivered(sandbox)) == 1
