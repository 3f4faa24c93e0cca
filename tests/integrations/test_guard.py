"""Tests of the guard in all clients: it is called for the bytes that create something, and for no read."""

from __future__ import annotations

import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from integrations.claude import Claude
from integrations.clickup.client import ClickUp
from integrations.hubspot.client import HubSpot
from integrations.net.deadline import guarded
from integrations.r2 import R2
from integrations.smtp import Smtp
from tests.integrations.net.test_rate_limiter import NotNowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox

REF = "0123456789abcdef"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ASKED, SENT = "asked", "sent"


class Wire:
    """The clients of all services with something at each, and what they send from now on, each with its thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        s3 = sandbox.s3
        self.hubspot = HubSpot(sandbox.hubspot.token, sandbox.hubspot.hub_id, "0", "1", sandbox.hubspot.url)
        self.clickup = ClickUp(sandbox.clickup.token, sandbox.clickup.parent_id, sandbox.clickup.base_url)
        self.claude = Claude(sandbox.anthropic.api_key, "claude-haiku-5-5", sandbox.anthropic.url, 10.0)
        self.r2 = R2(s3.access_key_id, s3.secret_access_key, s3.bucket, s3.url, s3.public_url)
        self.smtp = Smtp(sandbox.smtp.host, sandbox.smtp.port, "none", "", "", "a@figurative.example")
        self.contact_id = self.hubspot.find_or_create_contact("ana@ruiz.example", "", "")
        self.ticket_id = self.hubspot.create_ticket("Écran noir", REF, self.contact_id, REF).id
        self.subtask_id = self.clickup.create_subtask("Écran noir", REF).id
        self.events: list[tuple[str, int]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def note(self, name: str) -> None:
        self.events.append((name, threading.get_ident()))

    def guard(self) -> None:
        self.note(ASKED)

    def refuse(self) -> None:
        self.note(ASKED)
        raise NotNowError

    def upload(self) -> str:
        return self.r2.upload("a.png", io.BytesIO(b"a"), 1, "image/png", "attachment")


@pytest.fixture
def wire(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire(sandbox)
    services = (sandbox.hubspot, sandbox.clickup, sandbox.anthropic, sandbox.s3, sandbox.smtp)
    ports = {service.port for service in services}

    def spy(name: str) -> Callable[..., Any]:
        send = getattr(socket.socket, name)

        def spied(connection: socket.socket, *arguments: Any) -> Any:
            if connection.getpeername()[1] in ports:  # not what a service answers from a thread of its own
                wire.note(SENT)
            return send(connection, *arguments)

        return spied

    for name in ("send", "sendall"):
        monkeypatch.setattr(socket.socket, name, spy(name))
    return wire


def letter() -> EmailMessage:
    message = EmailMessage()
    message["To"] = "admin@figurative.example"
    message.set_content("Bonjour")
    return message


creations = pytest.mark.parametrize(
    "create",
    [
        lambda wire: wire.hubspot.find_or_create_contact("zoe@example.com", "", ""),
        lambda wire: wire.hubspot.create_ticket("Facture", "Bonjour", wire.contact_id, "a"),
        lambda wire: wire.hubspot.update_ticket(wire.ticket_id, "Bonjour"),
        lambda wire: wire.hubspot.create_note("Bonjour", NOW, wire.contact_id, None),
        lambda wire: wire.clickup.create_subtask("Facture", "Bonjour"),
        lambda wire: wire.clickup.add_comment(wire.subtask_id, "Bonjour"),
    ],
    ids=["contact", "ticket", "update", "note", "subtask", "comment"],
)


@creations
def test_guard_is_called_for_header_and_body_in_sending_thread(wire: Wire, create: Callable[[Wire], object]) -> None:
    """A step runs in a worker thread, and so does all that it sends: nothing comes between question and bytes."""

    def work() -> int:
        with guarded(wire.guard):
            create(wire)
        return threading.get_ident()

    with ThreadPoolExecutor(1) as workers:
        worker = workers.submit(work).result()
    assert worker != threading.get_ident()
    assert {thread for _, thread in wire.events} == {worker}
    assert wire.names[-4:] == [ASKED, SENT, ASKED, SENT]
    assert wire.names.count(ASKED) == 2


def test_mail_is_guarded_from_data_command_on(wire: Wire, sandbox: Sandbox) -> None:
    """It may be held back until its own bytes: neither the envelope nor QUIT is a question."""
    with guarded(wire.guard), wire.smtp.submission(letter()) as hand_over:
        assert ASKED not in wire.names
        wire.events.clear()
        hand_over()
    assert wire.names == [ASKED, SENT, ASKED, SENT, SENT]
    assert {thread for _, thread in wire.events} == {threading.get_ident()}
    assert len(sandbox.smtp.messages) == 1


@pytest.mark.parametrize("last", [1, 2])
def test_refusing_guard_stops_mail_at_data_and_before_text(wire: Wire, sandbox: Sandbox, last: int) -> None:
    """The server has been told that it comes, and gets none of it."""

    def refuse() -> None:
        wire.guard()
        if wire.names.count(ASKED) == last:
            raise NotNowError

    with pytest.raises(NotNowError), guarded(refuse):
        wire.smtp.send(letter())
    assert wire.names[-1] == ASKED
    assert sandbox.smtp.messages == []


@pytest.mark.parametrize(
    "read",
    [
        lambda wire: wire.hubspot.find_or_create_contact("ana@ruiz.example", "", ""),
        lambda wire: wire.hubspot.find_ticket(wire.contact_id, REF),
        lambda wire: wire.hubspot.find_note(wire.contact_id, None, REF),
        lambda wire: wire.hubspot.ticket_content(wire.ticket_id),
        lambda wire: wire.clickup.find_subtask(REF, NOW),
        lambda wire: wire.clickup.find_comment(wire.subtask_id, REF),
        lambda wire: wire.claude.ask("system", "content", {}),
        lambda wire: wire.smtp.check(),
        lambda wire: wire.upload(),
    ],
    ids=["contact", "ticket", "note", "content", "subtask", "comment", "claude", "smtp", "r2"],
)
def test_guard_is_not_called_for_reads_and_repeatable_writes(wire: Wire, read: Callable[[Wire], object]) -> None:
    """Also where it is a POST; and the same file is stored once, however often it is sent."""
    with guarded(wire.refuse):
        read(wire)
    assert set(wire.names) == {SENT}


def test_guard_holds_only_for_its_block_and_thread(wire: Wire) -> None:
    """Another worker, and a call in a context of its own, are not asked; nor is anybody when the step has failed."""

    def create() -> None:
        wire.clickup.add_comment(wire.subtask_id, "Bonjour")

    with guarded(wire.refuse):
        with ThreadPoolExecutor(1) as others:
            others.submit(create).result()
        Context().run(create)
        assert ASKED not in wire.names
        with pytest.raises(NotNowError), guarded(wire.refuse):
            create()
    create()
    assert wire.names.count(ASKED) == 1


def test_guards_of_workers_are_independent(wire: Wire) -> None:
    """The guard of one message says nothing about another."""
    together = threading.Barrier(4)
    asked: set[tuple[int, int]] = set()

    def work(number: int) -> tuple[int, int]:
        with guarded(lambda: asked.add((number, threading.get_ident()))):
            together.wait()
            wire.hubspot.create_note("Bonjour", NOW, wire.contact_id, None)
        return number, threading.get_ident()

    with ThreadPoolExecutor(4) as workers:
        assert set(workers.map(work, range(4))) == asked
