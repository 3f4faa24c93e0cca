"""Tests of a post on its way to the mailbox: bounds of time, size and number, and the answers when it fails."""

from __future__ import annotations

import re
import resource
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from poller.forms import intake
from tests.support.form_site import CUSTOMER, TOKEN, Site, delivered, half_a_post, imap_relay
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integrations.sandbox import Sandbox


def test_concurrent_posts_with_same_key_make_one_message(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """While one is on its way to the mailbox, the other waits for it and finds it there."""
    searches: list[bytes] = []
    both_looked = threading.Event()

    def goes(piece: bytes) -> bool:
        if b" SEARCH " in piece:
            searches.append(piece)
            if len(searches) > 1:
                both_looked.set()
        if b" APPEND " in piece:
            both_looked.wait(0.3)  # where both may look before either is there
        return True

    with imap_relay(sandbox, goes, lambda _: True) as port, ThreadPoolExecutor(2) as pool:
        here = site(IMAP_PORT=str(port))
        posts = [pool.submit(here.post, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert len({post.result().json()["reference"] for post in posts}) == 1
    assert len(delivered(sandbox)) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_oversized_body_is_refused_at_once(standing_site: Site, announced: bool) -> None:
    """Before any of it came when it says how long it is, else when the limit is passed; not at its end."""
    length = b"Content-Length: 99000000" if announced else b"Transfer-Encoding: chunked"
    with socket.create_connection(("127.0.0.1", standing_site.port), timeout=10) as connection:
        connection.sendall(b"POST /forms/contact HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length)
        connection.sendall(b"\r\n\r\n" + (b"" if announced else b"1e8481\r\n" + bytes(2_000_001)))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("setting", ["BODY_S", "SILENT_S"])
def test_slow_body_is_timed_out(standing_site: Site, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """A length that is announced buys no time; only bytes that come do."""
    monkeypatch.setattr(intake, setting, 0.05)
    with half_a_post(standing_site.port) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("form", "header"), [("contact", ""), ("signed", "X-Figurative-Signature: t={},v1=" + "0" * 64 + "\r\n")]
)
def test_anonymous_posts_leave_slots_for_authenticated(
    sandbox: Sandbox, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, form: str, header: str
) -> None:
    """One address has few posts in hand, all strangers together have more; clients with a secret have their own."""
    monkeypatch.setattr(intake, "IN_HAND", 5)
    here = site(FORMS_PROXIES="127.0.0.1")

    def begun(number: int) -> socket.socket:
        return half_a_post(here.port, form, f"X-Forwarded-For: 192.0.2.{number}\r\n" + header.format(int(time.time())))

    with ExitStack() as connections:
        held = [connections.enter_context(begun(number)) for number in (1, 1, 1, 1)]
        assert connections.enter_context(begun(1)).recv(1000).startswith(b"HTTP/1.1 503 ")
        held.append(connections.enter_context(begun(2)))
        assert connections.enter_context(begun(3)).recv(1000).startswith(b"HTTP/1.1 503 ")
        assert here.post("quote", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 202
        assert select.select(held, [], [], 0)[0] == []
    assert len(delivered(sandbox)) == 1


@pytest.mark.parametrize(
    ("accept", "size"),
    [
        pytest.param("application/json", 300_000, id="disk full at the body"),
        pytest.param("text/html", 180_000, id="disk full at the message"),
    ],
)
def test_full_disk_answers_503(site: Callable[..., Site], accept: str, size: int) -> None:
    """It is said as a mailbox out of reach is, to a person as a page."""
    here, model = site(), {"files": ("a.glb", bytes(size))}
    limits, heeded = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        answer = here.post(json=None, data=CUSTOMER, files=model, headers={"Accept": accept})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, heeded)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert ("text/html" in answer.headers["Content-Type"]) == (accept == "text/html")


def test_filled_honeypot_is_accepted_and_discarded(sandbox: Sandbox, standing_site: Site) -> None:
    """The answer to a post that fills in the field that no person sees is like any other, and nothing is done."""
    filled_in = CUSTOMER | {"topic_again": "https://spam.example"}
    answer = standing_site.post(json=filled_in)
    assert answer.status_code == 202
    assert re.fullmatch("[0-9a-f]{16}", answer.json()["reference"])
    assert delivered(sandbox) == []
    # A client that shows a secret is no such program.
    standing_site.post("quote", json=filled_in, headers={"Authorization": f"Bearer {TOKEN}"})
    assert len(delivered(sandbox)) == 1


def test_unreachable_mailbox_answers_503(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """503 and when to come back; nothing is kept, and the same post goes through when it is back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    down = site(IMAP_PORT=str(closed))
    answer = down.post(headers={"Idempotency-Key": "k"})
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert answer.json()["detail"] == "the mailbox is out of reach; nothing was kept"
    assert down.client.get("/healthz").status_code == 503
    refused = site(IMAP_PASSWORD="another")
    assert refused.post().status_code == 503
    up = site()
    assert up.post(headers={"Idempotency-Key": "k"}).status_code == 202
    assert (up.client.get("/healthz").json(), len(delivered(sandbox))) == ({"status": "ok"}, 1)


@needs_dovecot
def test_large_post_is_not_held_in_memory(sandbox: Sandbox, site: Callable[..., Site]) -> None:
    """Ten megabytes are taken, made into a mail and handed on, in less memory than half of them."""
    import tracemalloc  # noqa: PLC0415  it is slow, and only for this

    here = site()
    size = 10_000_000
    head = (
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.example\r\n'
        b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.glb"\r\n\r\n'
    )

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(size // 50_000):
            yield bytes(50_000)
        yield b"\r\n--b--\r\n"

    tracemalloc.start()
    try:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = here.post(json=None, content=pieces(), headers=headers)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 202
    (mail,) = delivered(sandbox)
    assert len(next(mail.iter_attachments()).get_payload(decode=True)) == size
    assert most < 4_000_000
