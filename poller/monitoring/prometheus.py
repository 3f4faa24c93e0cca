"""Serve the metrics to Prometheus on a port.

The server of prometheus-client answers on any path and waits for a silent client without end, so only its page is used.
"""

from __future__ import annotations

import socket
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

import structlog
from prometheus_client import MetricsHandler

from poller.logs import places

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    _Request = socket.socket | tuple[bytes, socket.socket]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TIMEOUT_S = 10.0  # for a client to send its request
MOST_BYTES = 1_000  # read at most of the answer of the server on the port


def is_served(listen: str) -> bool:
    """Return whether a poller serves its metrics at "host:port"."""
    host, _, port = listen.rpartition(":")
    asked = HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S)
    try:
        asked.request("GET", "/metrics")
        return b"# TYPE figurative_" in asked.getresponse().read(MOST_BYTES)
    except (OSError, HTTPException):
        return False
    finally:
        asked.close()


def served(listen: str, metrics: CollectorRegistry) -> ThreadingHTTPServer:
    """Create a server of one page at "host:port", which does not serve yet.

    A client that is too slow to ask is disconnected.

    Raises:
        OSError: the port is in use, or we may not use it.
    """
    host, _, port = listen.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]

    class Page(MetricsHandler):
        timeout = TIMEOUT_S
        registry = metrics

        def do_GET(self) -> None:  # noqa: N802  the standard library's name
            if self.path.partition("?")[0] == "/metrics":
                super().do_GET()
            else:
                self.send_error(HTTPStatus.NOT_FOUND, explain="Look at /metrics")

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

        def handle_error(self, request: _Request, client_address: object) -> None:
            """Ignore a client that hangs up in the middle of the answer: it asks again. A fault of ours is logged."""
            del request, client_address
            error = sys.exception()
            if error and not isinstance(error, OSError):
                log.error("metrics_failed", error=type(error).__name__, frames=places(error))

    return Server(address, Page)  # type: ignore[arg-type]  # of IPv6 an address has four parts
