"""Tests of the words for a broken connection, which are the same for every library."""

from __future__ import annotations

import re
import socket
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from integrations.claude import Claude
from integrations.clickup.client import ClickUp
from integrations.errors import TransientError
from integrations.hubspot.client import HubSpot
from integrations.net.failures import describe_failure
from integrations.r2 import R2
from integrations.smtp import Smtp
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_UP = http(b"")
GARBAGE = http(b"* OK IMAP4rev1 ready\r\n\r\n")
SILENCE: Callable[[bytes], bytes | None] = lambda _: None  # noqa: E731  a part that is played, like the others
TIMEOUT_S = 0.3


def claude(host: str, port: int, scheme: str) -> None:
    Claude("key", "model", base_url=f"{scheme}://{host}:{port}", timeout_s=TIMEOUT_S).check()


def hubspot(host: str, port: int, scheme: str) -> None:
    HubSpot("key", "1", "0", "1", f"{scheme}://{host}:{port}", read_timeout_s=TIMEOUT_S).find_contact("a@b.example")


def clickup(host: str, port: int, scheme: str) -> None:
    ClickUp("key", "86x", f"{scheme}://{host}:{port}", read_timeout_s=TIMEOUT_S).add_comment("8", "text")


def r2(host: str, port: int, scheme: str) -> None:
    R2("key", "key", "bucket", f"{scheme}://{host}:{port}", "https://a.example", read_timeout_s=TIMEOUT_S).check()


def smtp(host: str, port: int, scheme: str) -> None:
    letter = EmailMessage()
    letter["To"] = "admin@figurative.example"
    Smtp(host, port, "tls" if scheme == "https" else "none", "", "", "robot@figurative.example", TIMEOUT_S).send(letter)


CLIENTS = [claude, hubspot, clickup, r2, smtp]


def said(call: Callable[[str, int, str], None], host: str, port: int, scheme: str = "http") -> str:
    """Return the client's words, without the service and the call."""
    with pytest.raises(TransientError) as caught:
        call(host, port, scheme)
    line = str(caught.value)
    assert not re.search(r"Error|Exception|Disconnected\b", line), line
    return line.partition(": ")[2]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_describe_connect_failure_by_its_cause(client: Callable[[str, int, str], None]) -> None:
    """A slip in the address, a service that is not started, one that speaks no TLS: each has its own words."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert said(client, "127.0.0.1", port) == "nothing listens there"
    assert said(client, "nowhere.invalid", port, "https") == "the host name is unknown"
    with Listener(SILENCE, greeting=b"220 mail.example\r\n") as plain:
        assert said(client, "127.0.0.1", plain.port, "https") == "no TLS there"


@pytest.mark.parametrize("client", CLIENTS[:4], ids=lambda client: client.__name__)
@pytest.mark.parametrize(
    ("part", "words"),
    [
        (HANG_UP, {"the connection was cut", "no whole answer came back"}),
        (SILENCE, {"no answer in time"}),
        (GARBAGE, {"the connection was cut", "no whole answer came back"}),
    ],
    ids=["hangs up", "is silent", "speaks another tongue"],
)
def test_describe_failure_of_open_connection_by_its_cause(
    client: Callable[[str, int, str], None], part: Callable[[bytes], bytes | None], words: set[str]
) -> None:
    """The words of an outage, for a call that was begun."""
    with Listener(part) as service:
        assert said(client, "127.0.0.1", service.port) in words


def test_describe_unknown_failure_uses_default_words() -> None:
    """A pool that is exhausted, a network that is down, and whatever else there is."""

    class PoolTimeout(Exception):  # noqa: N818  as httpx has it
        pass

    assert describe_failure(PoolTimeout()) == "no answer in time"
    assert describe_failure(OSError(101, "Network is unreachable")) == "there is no way to that host"
    assert describe_failure(ValueError("half an answer")) == "no whole answer came back"
