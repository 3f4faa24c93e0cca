"""Tests of the `forms` command."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import httpx2 as httpx

from tests.support.form_site import CUSTOMER

if TYPE_CHECKING:
    from tests.conftest import Office


def test_forms_command_serves_posts(office: Office) -> None:
    """`poller forms` takes posts until it is told to stop, and says where it listens."""
    process = office.begin("forms", "--port", "0", FORMS_NAMES="contact", FORMS_PUBLIC="contact")
    port = next(json.loads(line)["port"] for line in process.stderr if "forms_listening" in line)
    assert httpx.post(f"http://127.0.0.1:{port}/forms/contact", json=CUSTOMER).status_code == 202
    process.send_signal(signal.SIGTERM)
    assert process.end().returncode == 0
    assert office.mailboxes() == {"INBOX": 1}


def test_forms_on_occupied_port_exit_78_with_one_line(office: Office) -> None:
    """And 78, on which systemd does not start it again and again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = office.begin("forms", "--port", port, FORMS_NAMES="contact", FORMS_PUBLIC="contact").end()
    assert process.returncode == 78
    assert process.stderr.strip() == f"poller: 127.0.0.1 port {port} cannot be listened on: Address already in use"
