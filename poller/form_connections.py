"""Connections that must say soon what they want.

uvicorn waits for ever for the first request of a connection, so whoever opens as many as there may be and keeps silent
would turn the forms off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

REQUEST_S = 15.0  # for the header of a request, from when it may come


class PromptProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, which hangs up where the header of a request does not come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See asyncio.Protocol."""
        super().connection_made(transport)
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
