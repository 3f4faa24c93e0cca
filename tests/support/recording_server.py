"""A server on loopback that plays a part, and keeps every byte it is sent."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


def http(answer: bytes) -> Callable[[bytes], bytes | None]:
    """The same answer to every request, once it is complete."""

    def reply(request: bytes) -> bytes | None:
        header, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", header)
        asks_first = b"100-continue" in header.lower()  # a refusal may come instead: RFC 9110 section 10.1.1
        return answer if end and (asks_first or len(body) >= int(length[1] if length else 0)) else None

    return reply


def lines(answers: dict[bytes, bytes], otherwise: bytes) -> Callable[[bytes], bytes | None]:
    """The answer to the first of these words that stands in a line; `{tag}` in it is the line's first word."""

    def reply(line: bytes) -> bytes | None:
        if not line.endswith(b"\n"):
            return None if line.isascii() else b""
        found = next((answers[word] for word in answers if word in line.upper()), otherwise)
        return found.replace(b"{tag}", line.split(maxsplit=1)[0] if line.strip() else b"*")

    return reply


class Listener:
    """A server that takes one connection after the other: a context manager.

    `reply` is given the bytes that came since its last answer, and gives None to wait for more, b"" to hang up. After
    an answer of HTTP it hangs up, too. With a context it speaks TLS from the first byte, or, where it `upgrades`, after
    it has answered STARTTLS. A client that says nothing for `silence_s` is hung up on; None is never.
    """

    def __init__(
        self,
        reply: Callable[[bytes], bytes | None],
        *,
        greeting: bytes = b"",
        context: ssl.SSLContext | None = None,
        upgrades: bool = False,
        silence_s: float | None = 5,
    ) -> None:
        self.received = b""  # all that was sent by every client, as it reads behind TLS; no handshake
        self.connections = 0
        self._reply, self._greeting, self._context, self._upgrades = reply, greeting, context, upgrades
        self._silence_s = silence_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                connection.settimeout(self._silence_s)
                with connection, suppress(OSError):
                    if self._context and not self._upgrades:
                        connection = self._context.wrap_socket(connection, server_side=True)
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(self._greeting)
            unanswered = b""
            while piece := connection.recv(65536):
                self.received += piece
                unanswered += piece
                reply = self._reply(unanswered)
                if reply is None:
                    continue
                connection.sendall(reply)
                if not reply or reply.startswith(b"HTTP/"):
                    return
                if self._context and self._upgrades and b"STARTTLS" in unanswered.upper():
                    self._greeting, self._upgrades = b"", False
                    self._talk(self._context.wrap_socket(connection, server_side=True))
                    return
                unanswered = b""
