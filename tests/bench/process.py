"""A real daemon, `poller run` in a process of its own, on services that stand in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox

STOP_S = 90.0
TOLD_EVERY_S = 10.0
# `python -m poller` as on a server: rich is there for the tests, and structlog imports it where it can.
_PROGRAM = "import runpy, sys; sys.modules['rich'] = None; runpy.run_module('poller', run_name='__main__')"


class Daemon:
    """Started and killed any number of times on one state."""

    def __init__(self, settings: dict[str, str], directory: Path) -> None:
        # Whatever is installed beside it: an opinion takes longer than all the rest of a mail.
        self._settings, self._directory = {"LEARNING_MODE": "off"} | settings, directory
        self.log = directory / "log"
        self.ended_by_itself: list[int] = []  # exit codes
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process, "it was not started"
        return self._process.pid

    @property
    def up(self) -> bool:
        """Whether it has come so far as to look into the mailbox."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return b'"daemon_started"' in log.read()

    def start(self) -> None:
        """Begin, or begin again."""
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            # Not in the checkout: its config.toml and .env are somebody's real ones.
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "run"],
                env=os.environ | self._settings,
                cwd=self._directory,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the terminal is for the bench
            )

    def look(self) -> None:
        """Begin again where it ended without being asked, and remember that it did."""
        if self._process and (code := self._process.poll()) is not None:
            self.ended_by_itself.append(code)
            self.start()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.look()
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask it to end: its exit code, or minus nine when it has to be made to."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            code = self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process = None
        return code


def drain(box: Sandbox, daemon: Daemon, deadline: float, tell: Callable[[str], object], every_s: float = 0.2) -> bool:
    """Wait until the inbox is empty; False when that takes until after the deadline (on the monotonic clock)."""
    told = time.monotonic()
    with box.imap.session() as client:
        while time.monotonic() < deadline:
            daemon.look()
            left = client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"]
            if not left:
                return True
            if time.monotonic() - told > TOLD_EVERY_S:
                told = time.monotonic()
                tell(f"{left} mails left")
            time.sleep(every_s)
    return False
