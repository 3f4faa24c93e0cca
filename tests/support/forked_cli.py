"""Run `poller` in a process that is forked from one with everything loaded: it starts in milliseconds.

The command, its environment, its signals and its end are the real ones; only the loading is shared. `Forks` is the
tests' side. `serve` is the other one: a process of one thread, which forks a watcher for each command, which forks the
command, writes down its id, waits for it, and writes down how it ended.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import forkserver
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import botocore.session
import pytest

from integrations import r2
from poller.__main__ import main
from poller.dispatch.clients import services
from poller.model import Outcome
from poller.rendering import template
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from tests.support import kill_points
from tests.support.state_tables import copy_tables
from tests.support.statements import share_statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poller.config.settings import Settings
    from poller.workflow.journal import Journal

PROJECT = Path(__file__).parents[2]
LONGEST_BYTES = 1 << 17  # of what is asked: an environment


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has run."""

    returncode: int  # as `subprocess` counts: minus the number of the signal that killed it
    stdout: str
    stderr: str


class Fork:
    """A command that runs."""

    def __init__(self, report: IO[str], stdout: IO[str], stderr: IO[str]) -> None:
        """Keep the reading ends. Standard error may be read while the command runs."""
        self.stderr = stderr
        self._report, self._stdout = report, stdout
        self._pid = int(report.readline())

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def end(self, number: int = 0) -> Ended:
        """Wait for its end, after a signal if one is given, and return its output that was not read yet."""
        if number:
            self.send_signal(number)
        with self._report, self._stdout, self.stderr:
            written = self.stderr.read()
            return Ended(self.returncode, self._stdout.read(), written)

    @cached_property
    def returncode(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        return int(self._report.readline())


class Forks:
    """The process that commands are forked from; loaded when the first one begins."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is one in which the settings can work."""
        self._environment = environment
        self._server: subprocess.Popen[bytes] | None = None

    def begin(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        cwd: Path,
        death: kill_points.Death | None = None,
    ) -> Fork:
        """Run `poller` with these arguments, in no environment but this; with a `death`, until then."""
        asked = Asked(arguments, dict(environment), str(cwd), death and asdict(death))
        pipes = [os.pipe() for _ in range(3)]
        written = [end for _, end in pipes]
        socket.send_fds(self._socket, [json.dumps(asdict(asked)).encode()], written)
        for end in written:
            os.close(end)
        report, stdout, stderr = (os.fdopen(end) for end, _ in pipes)
        return Fork(report, stdout, stderr)

    def close(self) -> None:
        """End the process that commands are forked from."""
        if self._server:
            self._socket.close()
            self._server.kill()
            self._server.wait()

    @cached_property
    def _socket(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Not a script: the process that parses would load it anew for every mail.
            command = [sys.executable, "-c", f"from tests.support.forked_cli import serve; serve({theirs.fileno()})"]
            environment = os.environ | self._environment | {"PYTHONPATH": str(PROJECT)}
            self._server = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        return ours


def load_clients(settings: Settings) -> None:
    """Load the modules that the clients load when they are first made, Claude's when it is first asked, and letters."""
    # What each client would read and make anew is the same for all: a megabyte of JSON and 130 hooks for S3, and the
    # package's metadata for each part of HubSpot. That is a third of what a command does with one mail.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)  # type: ignore[attr-defined]
    r2.Session = functools.cache(r2.Session)  # type: ignore[misc,assignment]
    importlib.metadata.version = functools.cache(importlib.metadata.version)
    made = services(settings)
    assert made.claude
    _ = made.claude._client.messages.with_raw_response
    template._environment()


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Have queues, ticks, and a message that waits for another looked at soon, and digests of keys made fast."""
    patch.setattr("poller.daemon.accepted_keys._ROUNDS", 1)
    for name, seconds in (("LOOK_S", 0.05), ("SHARED_LOOK_S", 0.05), ("OWN_LOOK_S", 0.1)):
        patch.setattr(f"poller.workflow.dbos_runtime.{name}", seconds)
    patch.setattr("poller.workflow.journal.AGAIN_S", 0.3)
    patch.setattr("poller.daemon.daemon.TICK_S", 0.8)
    patch.setattr("poller.daemon.loop.TICK_S", 0.3)


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that crosses the socket, beside the writing ends of three pipes."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    death: dict[str, Any] | None


def compile_statements() -> None:
    """Have the statements compiled that work on a message needs, by working on one in a state of its own."""

    def work(journal: Journal) -> WorkResult:
        journal.step(StepName.CREATE_TICKET, lambda _: {})
        return WorkResult(Outcome.SUPPORT)

    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(f"sqlite:///{directory}/state.sqlite", Path(directory), work)
        engine.start()
        engine.submit("0123456789abcdef")
        while engine.in_hand():
            time.sleep(0.01)
        engine.store.remember("warm", "1")
        engine.stop()


def serve(number: int) -> None:
    """Fork the commands that are requested on the socket of this number, until it is closed."""
    # Loaded here, for all commands: the tests' own process has its own.
    import dbos._sys_db_postgres  # noqa: PLC0415
    import dbos._sys_db_sqlite  # noqa: F401, PLC0415
    import sqlalchemy.dialects.sqlite  # noqa: F401, PLC0415

    import poller.daemon.loop  # noqa: PLC0415
    import poller.monitoring.status_file  # noqa: F401, PLC0415
    from poller.config import loader  # noqa: PLC0415

    load_clients(loader.load())
    shorten_waits(pytest.MonkeyPatch())
    copy_tables(pytest.MonkeyPatch())
    share_statements(pytest.MonkeyPatch())
    compile_statements()
    forkserver.ensure_running()
    # The collector writes into every object, so each command would have its own copy of the loaded modules.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # No watcher is waited for.
    with socket.socket(fileno=number) as asking:
        while True:
            asked, ends, _, _ = socket.recv_fds(asking, LONGEST_BYTES, 3)
            if not asked:
                return
            if not os.fork():
                asking.close()
                _watch(Asked(**json.loads(asked)), *ends)
            for end in ends:
                os.close(end)


def _watch(asked: Asked, report: int, stdout: int, stderr: int) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        os.close(report)
        for end, stream in ((stdout, 1), (stderr, 2)):
            os.dup2(end, stream)
            os.close(end)
        _run(asked)
    for end in (stdout, stderr):
        os.close(end)
    with os.fdopen(report, "w") as written:
        print(child, file=written, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=written)
    os._exit(0)


def _run(asked: Asked) -> NoReturn:
    # The server that parses is the parent's and lives on; whether it does, only the parent can ask the system.
    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined,assignment]
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.cwd)
    sys.argv = ["poller", *asked.arguments]
    if asked.death:
        kill_points.arm(kill_points.Death(**asked.death))
    try:
        main()
    except SystemExit as ended:
        _end(ended)
    raise AssertionError("the command came back")


def _end(ended: SystemExit) -> NoReturn:
    """End as the interpreter does, but for taking all that is loaded apart: that takes a third of a command's time.

    Any other exception ends the command as it does without us.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(int(ended.code or 0))
