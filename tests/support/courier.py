"""Courier's IMAP server on a Maildir of its own, beside whichever server is installed."""

from __future__ import annotations

import os
import shutil
import socketserver
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Self

from tests.support.loopback_server import served

HOW = "needs Courier: COURIER=<directory with Debian's courier-imap and what it depends on, unpacked>, as in .ci/run"
CAPABILITIES = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"


class Courier:
    """A server and one account: a context manager. Login is ours, everything behind it is Courier's."""

    host, security, username, password, port = "127.0.0.1", "none", "support@figurative.example", "sandbox", 0

    def __enter__(self) -> Self:
        self._maildir = Path(tempfile.mkdtemp(prefix="courier-")) / "Maildir"
        for name in ("cur", "new", "tmp"):
            (self._maildir / name).mkdir(parents=True)
        maildir = self._maildir

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                _serve(self.rfile, self.wfile, maildir)

        self._running = ExitStack()
        self._running.callback(shutil.rmtree, self._maildir.parent)
        self.port = self._running.enter_context(served(Session))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def deliver(self, raw: bytes, name: str) -> None:
        """As a delivery agent does."""
        (self._maildir / "new" / name).write_bytes(raw)

    def mailboxes(self) -> dict[str, list[bytes]]:
        """The messages of each mailbox, by its path, without those marked as deleted."""
        found: dict[str, list[bytes]] = {}
        for path in sorted([*self._maildir.glob("**/cur/*"), *self._maildir.glob("**/new/*")]):
            if "T" not in path.name.partition(":2,")[2]:
                folder = path.parent.parent.name
                found.setdefault("" if folder == "Maildir" else folder, []).append(path.read_bytes())
        return found


def _serve(client: IO[bytes], answers: IO[bytes], maildir: Path) -> None:
    answers.write(b"* OK ready\r\n")
    while line := client.readline():
        tag, name = line.split()[:2]
        if name.upper() == b"LOGIN":
            break
        answers.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
    else:
        return
    root = Path(os.environ["COURIER"])
    libraries = sorted({str(path.parent) for path in root.rglob("*.so*")})
    environment = {
        "LD_LIBRARY_PATH": ":".join(libraries),
        "AUTHENTICATED": "support",
        "IMAP_CAPABILITY": CAPABILITIES,
        "IMAP_KEYWORDS": "1",
        "IMAP_USELOCKS": "0",
    }
    with subprocess.Popen(
        [root / "usr" / "bin" / "imapd", maildir.name],
        cwd=maildir.parent,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin
        assert stdout
        while b"PREAUTH" not in (greeting := stdout.readline()):
            assert greeting
        answers.write(tag + b" OK logged in\r\n")
        back = threading.Thread(target=_pass_on, args=(stdout, answers))
        back.start()
        while line := client.readline():
            stdin.write(line)
        stdin.close()
        back.join()


def _pass_on(stdout: IO[bytes], answers: IO[bytes]) -> None:
    with suppress(OSError):  # the client has gone
        while piece := stdout.read(65536):
            answers.write(piece)
