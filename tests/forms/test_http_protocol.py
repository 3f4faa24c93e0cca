"""Tests of connections: too many of them, and those that send no request."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx2 as httpx

from poller.forms import http_protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

from tests.support.form_site import CUSTOMER, Site


def test_connection_without_request_header_is_closed(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the header of a request, whole and in time, it is closed: the first and every later one."""
    monkeypatch.setattr(http_protocol, "REQUEST_S", 0.1)
    here = site()
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHost:", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /hea"):
        with socket.create_connection(("127.0.0.1", here.port), timeout=3) as connection:
            connection.sendall(said)
            while connection.recv(65536):
                pass


def test_excess_connection_gets_503_and_is_closed(site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is a problem like every other; earlier connections go on, and one that ends makes way."""
    monkeypatch.setattr(http_protocol, "CONNECTIONS", 1)
    here = site()
    assert here.client.get("/openapi.json").status_code == 200
    with httpx.Client(base_url=here.client.base_url, timeout=30) as another:
        refused = another.post("/forms/contact", json=CUSTOMER)
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert refused.json()["detail"] == "too many connections are open"
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("10", "close")
        assert here.post().status_code == 202
        here.client.close()
        while another.get("/openapi.json").status_code == 503:
            pass
