"""An HTTP server on loopback, with requests and answers as values, and connections that can break on purpose."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, as it came over the wire."""

    method: str
    path: str  # percent-encoded as it was sent, without the query
    query_string: str  # as it was sent, without the question mark
    headers: Mapping[str, str]  # names in lower case
    raw: bytes = field(repr=False)
    body: Any  # the parsed JSON; None when empty, not JSON, or not declared as JSON
    at: float  # seconds since the epoch

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in parts, each decoded: a slash or an @ inside a part stays in it."""
        return tuple(unquote(part) for part in self.path.strip("/").split("/"))

    @property
    def query(self) -> dict[str, list[str]]:
        """Every parameter's values, decoded, in the order they were sent."""
        return parse_qs(self.query_string, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int = 200
    body: object = None  # bytes and str as they are, None for nothing, anything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """Return the body's bytes and their default content type."""
        if self.body is None:
            return b"", "text/plain"
        if isinstance(self.body, bytes | str):
            return self.body if isinstance(self.body, bytes) else self.body.encode(), "text/html; charset=utf-8"
        return json.dumps(self.body).encode(), "application/json;charset=utf-8"


class Server(ThreadingHTTPServer):
    """A server with a thread for every connection. `serve` answers each request on its connection, or breaks it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, serve: Callable[[Connection, Recorded], None]) -> None:
        self.serve = serve
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Connection)

    def server_bind(self) -> None:
        """Bind without a name lookup."""
        # HTTPServer's own method asks the resolver for the name of 127.0.0.1, which can take seconds and is never used.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Record the connection, and serve it."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection, and close it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the port, and every connection that a client keeps alive."""
        super().server_close()
        for each in self._open.copy():
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client has closed it already
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnected. Any other error is our own bug, and is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """A client's connection, kept alive until one side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second must not wait for an ACK
    server: Server

    def do_GET(self) -> None:
        """Read one request and pass it to `serve`. It must have a `Content-Length`, which R2 requires too."""
        target = urlsplit(self.path)
        if "transfer-encoding" in self.headers:
            self.close_connection = True
            self.send(Answer(411, "Length Required"))
            return
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = json.loads(raw) if "json" in headers.get("content-type", "") else None
        except ValueError:
            body = None
        request = Recorded(self.command, target.path, target.query, headers, raw, body, time.time())
        self.server.serve(self, request)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Log nothing: `StandIn.requests` is the log."""

    def send(self, answer: Answer) -> None:
        """Send an answer."""
        body = self._send_head(answer)
        if self.command != "HEAD":
            self.wfile.write(body)

    def trickle(self, answer: Answer, released: threading.Event) -> None:
        """Send an answer at one byte a second, then close. Stop early when `released` is set."""
        for byte in self._send_head(answer):
            if released.wait(1.0):
                break
            self.wfile.write(bytes([byte]))
        self.close_connection = True

    def reset(self) -> None:
        """Close with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closed here, not by the base class: its shutdown would send a FIN before the RST.
        os.close(self.connection.detach())
        self.close_connection = True

    def _send_head(self, answer: Answer) -> bytes:
        body, content_type = answer.encoded()
        headers = {"content-type": content_type, "content-length": str(len(body))}
        headers |= {name.lower(): value for name, value in answer.headers.items()}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        return body
