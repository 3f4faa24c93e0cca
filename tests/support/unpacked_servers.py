"""Real IMAP servers beside whichever is installed: each unpacked aside, with a configuration of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.sandbox.dovecot_configuration import Version, configuration
from integrations.sandbox.imap_account import ImapServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CYRUS_HOW = "needs Cyrus: CYRUS=<directory with Debian's cyrus-imapd and what it depends on, unpacked>, as in .ci/run"
DOVECOT_HOW = "needs root and Dovecot 2.4: DOVECOT_24=<root directory with all that it depends on>, as in .ci/run"
START_S = 20.0
NOBODY = 65534  # user and group, on every Debian

# imapd.conf(5). The account's mailbox is made at its first login.
_CYRUS = """\
configdirectory: {folder}/config
defaultpartition: default
partition-default: {folder}/spool
cyrus_user: {user}
allowplaintext: yes
altnamespace: no
unixhierarchysep: no
autocreate_quota: 0
munge8bit: no
virtdomains: userid
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {folder}/passwords
"""
# See cyrus.conf(5).
_CYRUS_SERVICES = """\
START {{
}}
SERVICES {{
  imap cmd="{program} -C {folder}/imapd.conf" listen="127.0.0.1:{port}" proto=tcp4 prefork=0
}}
EVENTS {{
}}
"""


class UnpackedServer(ImapServer):
    """A server with one account, in a folder of its own."""

    def __init__(self) -> None:
        super().__init__("support@figurative.example", "sandbox")

    def stop(self) -> None:
        """Stop the server and delete every message."""
        self._running.close()

    @contextmanager
    def _folder(self, within: Path) -> Iterator[Path]:
        """A new folder and a free port. What the block adds to `_running` is undone with them, or when it fails."""
        with ExitStack() as running:
            folder = Path(tempfile.mkdtemp(prefix="imap-", dir=within))
            running.callback(shutil.rmtree, folder)
            with socket.socket() as probe:
                probe.bind((self.host, 0))
                self.port = probe.getsockname()[1]
            self._running = running
            yield folder
            self._running = running.pop_all()

    def _launch(self, command: Sequence[str | Path], libraries: str = "", user: int | None = None) -> None:
        """Start the program, and wait until it listens."""
        process = subprocess.Popen(
            command,
            env=os.environ | ({"LD_LIBRARY_PATH": libraries} if libraries else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        self._running.callback(_end, process)
        over_s = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < over_s:
            try:
                socket.create_connection((self.host, self.port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError(f"{type(self).__name__} did not start")


class Cyrus(UnpackedServer):
    """Cyrus: everything below INBOX, dots between, and rights. Any password is right."""

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        root, user = Path(os.environ["CYRUS"]), NOBODY if os.getuid() == 0 else None
        with self._folder(Path("/tmp")) as folder:  # noqa: S108  The names of its sockets must fit into 108 bytes.
            for name in ("config/proc", "config/socket", "spool"):
                (folder / name).mkdir(parents=True)
            given = {"folder": folder, "user": pwd.getpwuid(user or os.getuid()).pw_name, "port": self.port}
            program = root / "usr/lib/cyrus/bin/imapd"
            (folder / "imapd.conf").write_text(_CYRUS.format(**given))
            (folder / "cyrus.conf").write_text(_CYRUS_SERVICES.format(**given, program=program))
            self._running.enter_context(_any_password(folder / "passwords"))
            _give(folder, user)
            settings = ("-C", folder / "imapd.conf", "-M", folder / "cyrus.conf", "-p", folder / "pid")
            libraries = ":".join(sorted({str(path.parent) for path in root.rglob("*.so*")}))
            self._launch([root / "usr/sbin/cyrmaster", "-D", *settings], libraries, user)


class Dovecot24(UnpackedServer):
    """Dovecot 2.4, whose configuration is not that of 2.3."""

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        root = Path(os.environ["DOVECOT_24"])
        with self._folder(root / "tmp") as folder:
            (folder / "mail").mkdir()
            inside = Path("/") / folder.relative_to(root)
            written = configuration(
                Version("2.4.0", (2, 4, 0)),
                host=self.host,
                folder=inside,
                mail_format="maildir",
                account=pwd.getpwuid(NOBODY),
                certificate=None,
                capabilities="",
                prefix="",
                separator="/",
                clear_port=self.port,
                tls_port=0,
            )
            (folder / "dovecot.conf").write_text(written)
            (folder / "users").write_text(f"{self.username}:{{PLAIN}}{self.password}\n")
            _give(folder, NOBODY)
            program = ("/usr/sbin/dovecot", "-F", "-c", inside / "dovecot.conf")
            self._launch(["chroot", f"--userspec={NOBODY}:{NOBODY}", root, *program])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _give(folder: Path, user: int | None) -> None:
    for path in (folder, *folder.rglob("*")) if user else ():
        os.chown(path, user, user)


@contextmanager
def _any_password(path: Path) -> Iterator[None]:
    """Stand in for saslauthd, and say yes to every password."""

    class Asked(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)  # login, password, service and realm, each with its length before it
            self.request.sendall(struct.pack(">H", 2) + b"OK")

    with socketserver.ThreadingUnixStreamServer(str(path), Asked) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield
        server.shutdown()
