"""A relay in front of a mail server, for the faults that the server itself would never show."""

from __future__ import annotations

import select
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

Kind = Literal["close", "reset", "silence", "garbage", "trickle"]

GARBAGE = b"<html><body>Please log in to the network.</body></html>\r\n"
BYTE_EVERY_S = 0.7
PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Break:
    """A fault in one command of the client."""

    kind: Kind
    command: bytes  # what stands in its bytes; b"" for the next one, whatever it is
    after: bool  # the server carries it out, and its answer is what is lost; else it never hears of it
    skip: int = 0  # such commands that go through first


class Relay:
    """Passes everything on between its clients and one server on 127.0.0.1: a context manager."""

    def __init__(self, server_port: int, *, answer_piece_bytes: int = PIECE_BYTES) -> None:
        """`answer_piece_bytes` is how much of an answer its client is sent at a time."""
        self._answer_piece_bytes = answer_piece_bytes
        self.connections = 0  # that clients have made
        self.breaks: list[Break] = []  # those to come; each happens once
        self.heard = 0  # pieces that clients have sent, about one a command
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            try:
                self._relay(client, server)
            except OSError:  # one of the two has hung up
                return

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        tail = b""
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(PIECE_BYTES)
                if not data:
                    return
                if ready is server:
                    self.returned(data)
                    for start in range(0, len(data), self._answer_piece_bytes):
                        client.sendall(data[start : start + self._answer_piece_bytes])
                    continue
                self.heard += 1
                broken = self._take(tail + data)
                tail = data[-8:]
                if broken and not broken.after:
                    self._break(client, broken.kind, b"")
                    return
                server.sendall(self.passed(data))
                if broken:
                    self._break(client, broken.kind, server.recv(PIECE_BYTES))
                    return

    def passed(self, data: bytes) -> bytes:
        """Return the bytes that the server is given for those of a client."""
        return data

    def returned(self, data: bytes) -> None:
        """Hear what the server said."""

    def _take(self, data: bytes) -> Break | None:
        with self._lock:
            for at, each in enumerate(self.breaks):
                if each.command in data:
                    if not each.skip:
                        return self.breaks.pop(at)
                    self.breaks[at] = Break(each.kind, each.command, each.after, each.skip - 1)
        return None

    def _break(self, client: socket.socket, kind: Kind, answer: bytes) -> None:
        match kind:
            case "close":
                return  # with a FIN
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "silence":
                while client.recv(PIECE_BYTES):  # until it gives up
                    continue
            case "garbage":
                client.sendall(GARBAGE)
            case "trickle":
                for byte in answer:
                    client.sendall(bytes([byte]))
                    self._stopped.wait(BYTE_EVERY_S)
