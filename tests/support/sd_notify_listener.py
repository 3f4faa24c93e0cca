"""systemd's end of the socket on which a service says how it is (sd_notify(3))."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_BYTES = 1 << 16


class Manager:
    """Hears what the daemon says: a context manager."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._listener.bind(self.address)
        self._listener.settimeout(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def until(self, field: str) -> dict[str, str]:
        """The next message with this field in it; those before it are passed over."""
        while True:
            fields = dict(line.split("=", 1) for line in self._listener.recv(LONGEST_BYTES).decode().splitlines())
            if field in fields:
                return fields
