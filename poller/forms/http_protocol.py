"""Limit the number of connections, and close those that send no request soon.

uvicorn waits for ever for the first request of a connection, so a client that opens as many as are allowed, and sends
nothing, would turn the forms off. And uvicorn's own answer to one too many is no problem in the sense of RFC 9457.
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

CONNECTIONS = 500  # at once; further ones get the answer to come later
RETRY_S = 10.0
REQUEST_S = 15.0  # for the header of a request, from when the client may send it


class PromptProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, closed where a request's header does not come, or there are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the timer, and give a connection too many its answer. See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self.app = _crowded
        self.loop.call_later(REQUEST_S, self._hang_up, None)

    def on_response_complete(self) -> None:
        """Start the timer for the next request, or for the rest of a body that was not read."""
        ended = self.cycle
        super().on_response_complete()
        self.loop.call_later(REQUEST_S, self._hang_up, ended)

    def _hang_up(self, ended: RequestResponseCycle | None) -> None:
        """Close the connection, unless a request has begun since the one that has ended."""
        if self.cycle is ended:
            self.transport.close()


async def _crowded(_scope: object, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Answer a request on a connection too many, which is its last."""
    problem = later("too many connections are open", RETRY_S)
    body = json.dumps(problem.as_json()).encode()
    headers = problem.headers | {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": given})
    await send({"type": "http.response.body", "body": body})
