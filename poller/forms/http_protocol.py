"""Connections that must say soon what they want, and of which there are not too many.

uvicorn waits for ever for the first request of a connection, so whoever opens as many as there may be and keeps silent
would turn the forms off. And its own answer to one too many is no problem in the sense of RFC 9457.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from poller.forms.problems import CONTENT_TYPE, later

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

CONNECTIONS = 500  # at once; those beyond are told to come later
RETRY_S = 10.0
REQUEST_S = 15.0  # for the header of a request, from when it may come


class PromptProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, which hangs up where the header of a request does not come, or has no time for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self.app = _crowded
        self.loop.call_later(REQUEST_S, self._hang_up, None)

    def on_response_complete(self) -> None:
        """The next request may come, or what is left of a body that was not read."""
        ended = self.cycle
        super().on_response_complete()
        self.loop.call_later(REQUEST_S, self._hang_up, ended)

    def _hang_up(self, ended: RequestResponseCycle | None) -> None:
        """Unless a request has begun since the one that has ended."""
        if self.cycle is ended:
            self.transport.close()


async def _crowded(_scope: object, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """The answer to a request on a connection too many, which is its last."""
    problem = later("too many connections are open", RETRY_S)
    body = json.dumps(problem.as_json()).encode()
    headers = problem.headers | {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": given})
    await send({"type": "http.response.body", "body": body})
