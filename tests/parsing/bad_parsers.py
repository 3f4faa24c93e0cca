"""What a mail may do to the process that parses it.

A process imports the module of what it does. So nothing of the tests' libraries may be imported here.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from typing import TYPE_CHECKING

from poller import confinement
from poller.parsing import parser as parsing_parser
from poller.parsing import parser_process

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def recurse(*arguments: object) -> None:
    recurse(*arguments)


def hoard(*_: object) -> None:
    bytearray(8 << 30)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no space")


class Child:
    """The parsing process as it is, with another parser in it, and perhaps without the one for headers."""

    _answer = staticmethod(parser_process._answer)

    def __init__(
        self, parser: object, for_headers: object = parsing_parser.header_only, *, confined: bool = False
    ) -> None:
        self.parser, self.for_headers, self.confined = parser, for_headers, confined

    def __call__(self, *arguments: object) -> None:
        if not self.confined:  # it would keep the parser from what it is to do here
            confinement.confine = lambda *_, **__: None
        parsing_parser.parse = self.parser  # type: ignore[assignment]
        parsing_parser.header_only = self.for_headers  # type: ignore[assignment]
        self._answer(*arguments)  # type: ignore[arg-type]


def pickled(say: Connection, *_: object) -> None:
    say.send(["nothing"])


def another_file(say: Connection, *_: object) -> None:
    say.send_bytes(b"[]")
    say.send_bytes(json.dumps({"reference": "0" * 16}).encode())


def steal(path: Path, *_: object) -> None:
    path.with_name("other.eml").read_bytes()


def write_home(path: Path, *_: object) -> None:
    path.with_name("new").touch()


def connect(*_: object) -> None:
    socket.socket()
