"""What a library may do to the process that reads a file with it.

A process imports the module of what it does. So nothing of a library may be imported here.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING

from poller.inspection import worker
from poller.model import ModelFacts
from tests.support.bad_processes import hang

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hoard(say: Connection, *_: object) -> None:
    worker._send(say, ModelFacts(triangles=7), stage="drawing")
    raise SystemExit(1)


def lie(say: Connection, *_: object) -> None:
    worker._send(say, stage="done", picture=b"<html>", media_type="image/png")


def babble(say: Connection, *_: object) -> None:
    say.send_bytes(b"\x80\x04no JSON at all")


def stammer(say: Connection, *_: object) -> None:
    os.write(say.fileno(), b"\0\0\0\x10{")  # sixteen bytes, of which one comes
    hang()


def leave(say: Connection, *_: object) -> None:
    say.close()
    hang()


def nest(say: Connection, *_: object) -> None:
    say.send_bytes(b"[" * 100_000)


def claim(say: Connection, *_: object) -> None:
    facts = asdict(ModelFacts()) | {"triangles": float("inf")}
    say.send_bytes(json.dumps({"stage": ["done"], "facts": facts}).encode())


def flood(say: Connection, *_: object) -> None:
    say.send_bytes(json.dumps({"stage": "done", "no_picture": "x" * 1_000_000}).encode())
