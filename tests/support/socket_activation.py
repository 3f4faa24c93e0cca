"""A unix socket that starts a process for each connection, as systemd does with Accept=yes."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def activated(path: Path, command: Sequence[str]) -> Iterator[Path]:
    """Listen on a socket, and give its path. The connection is standard input and output of the command."""
    own = os.environ | {"TMPDIR": str(path.parent)}
    started: list[subprocess.Popen[bytes]] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it is closed
                return
            with connection:
                started.append(subprocess.Popen(command, stdin=connection, stdout=connection, env=own))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for process in started:
                process.kill()
                process.wait()
