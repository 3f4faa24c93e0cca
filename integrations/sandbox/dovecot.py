"""Run Dovecot as a stand-in: a real, private server that starts in a few hundredths of a second."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.sandbox.certificate import self_signed
from integrations.sandbox.dovecot_configuration import MailFormat, Version, configuration, version_of
from integrations.sandbox.imap_account import ImapServer, Security

if TYPE_CHECKING:
    from collections.abc import Collection

_START_TIMEOUT_S = 10.0
_VERSION_TIMEOUT_S = 10.0
_REASON_CHARS = 500  # of what a server says that does not start
_SAID = "said"  # the file of what it prints
_SHORT_CHARS = 40  # of a path, below which there are others
_ATTEMPTS = 3  # another process may take the port after we probed it and before Dovecot binds it
# The capabilities of Dovecot 2.3 after login, which 2.4 has too. `without` removes some of them.
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "
    "I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY"
)


class DovecotError(RuntimeError):
    """The server did not start. The message is one line that says why."""


class Dovecot(ImapServer):
    """Dovecot 2.3 or 2.4 with a configuration of its own in a temporary folder.

    The system's is neither read nor changed.

    `namespace_prefix` and `separator` are those of the personal namespace: "" and "/", or "INBOX." and ".".
    Capabilities in `without` are not announced, as on a server that lacks them: `without={"MOVE", "UIDPLUS"}`.
    """

    def __init__(
        self,
        username: str = "support@figurative.example",
        password: str = "sandbox",  # noqa: S107  a stand-in's
        *,
        security: Security = "none",
        namespace_prefix: str = "",
        separator: str = "/",
        without: Collection[str] = (),
        mail_format: MailFormat = "maildir",
    ) -> None:
        super().__init__(username, password)
        self.security = security
        self._namespace_prefix = namespace_prefix
        self._separator = separator
        self._without = set(without)
        self._mail_format = mail_format
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def mail_directory(self) -> Path:
        """Return the directory with the messages of a running server."""
        if self._folder is None:
            raise RuntimeError("Dovecot does not run")
        return self._folder / "mail"

    @staticmethod
    def executable() -> str | None:
        """Return the path of the server program, None when it is not installed."""
        return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

    def start(self) -> None:
        """Start the server and wait until it listens.

        Raises:
            DovecotError: the server did not start.
        """
        executable = self.executable()
        if executable is None:
            raise DovecotError("Dovecot is not installed: apt install dovecot-imapd")
        version = _version(executable)
        for _ in range(_ATTEMPTS):
            folder = self._launch(executable, version)
            if self._listens(folder):
                return
            reason = _reason(folder)
            self.stop()
        raise DovecotError(f"Dovecot {version.text} did not start: {reason}")

    def _launch(self, executable: str, version: Version) -> Path:
        # Dovecot's login processes refuse to run as root, so root runs all of it as the user `nobody`.
        account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._folder = folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir=_short_directory()))
        self.port = _free_port()
        file = folder / "dovecot.conf"
        file.write_text(self._configuration(folder, account, version), encoding="utf-8")
        (folder / "users").write_text(f"{self.username}:{{PLAIN}}{self.password}\n", encoding="utf-8")
        root = os.getuid() == 0
        if root:
            for each in (folder, *folder.iterdir()):
                os.chown(each, account.pw_uid, account.pw_gid)
        with (folder / _SAID).open("wb") as said:  # what is wrong with its configuration, as it has no log then
            self._process = subprocess.Popen(  # noqa: S603  our own configuration, no shell
                [executable, "-F", "-c", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # its own process group, so that Ctrl-C at the terminal does not reach it
                user=account.pw_uid if root else None,
                group=account.pw_gid if root else None,
                extra_groups=[] if root else None,
            )
        return folder

    def stop(self) -> None:
        """End the server, and delete its folder with every message in it."""
        if self._process is not None:
            if self._process.poll() is None:
                # The whole process group: the master process alone waits a second for its children.
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def reset(self) -> None:
        """Delete every message, and every mailbox but INBOX, from the disk: a session takes ten times as long."""
        shutil.rmtree(self.mail_directory, ignore_errors=True)

    def _listens(self, folder: Path) -> bool:
        """Wait until the server listens and return True, or False when it did not start.

        Dovecot writes its process id once it has bound its port, and exits at once when it cannot.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if (folder / "run" / "master.pid").exists():
                return True
            time.sleep(0.005)
        return False

    def _configuration(self, folder: Path, account: pwd.struct_passwd, version: Version) -> str:
        """Return the configuration, after making the certificate that it names."""
        certificate = None if self.security == "none" else self_signed(folder)
        self.certificate_path = certificate.path if certificate else None
        clear_port, tls_port = (0, self.port) if self.security == "tls" else (self.port, 0)
        offered = " ".join(word for word in CAPABILITIES.split() if word not in self._without)
        return configuration(
            version,
            host=self.host,
            folder=folder,
            mail_format=self._mail_format,
            account=account,
            certificate=certificate,
            capabilities=offered if self._without else "",
            prefix=self._namespace_prefix,
            separator=self._separator,
            clear_port=clear_port,
            tls_port=tls_port,
        )


def _version(executable: str) -> Version:
    try:
        ended = subprocess.run(  # noqa: S603  the program that we run anyway
            [executable, "--version"], capture_output=True, text=True, check=False, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DovecotError(f"{executable} --version: {error}") from error
    version = version_of(ended.stdout)
    if version is None:
        raise DovecotError(f"{executable} --version tells no version: {_one_line(ended.stdout + ended.stderr)}")
    return version


def _reason(folder: Path) -> str:
    """Return in one line what a server said that did not start: on its terminal, else in its log."""
    for file in (folder / _SAID, folder / "log"):
        if file.exists() and (said := _one_line(file.read_text(encoding="utf-8", errors="replace"))):
            return said
    return "it does not say why"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARS]


def _short_directory() -> str:
    """Return a directory for temporary files whose path is short: the names of the sockets must fit into 108 bytes."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _SHORT_CHARS else "/tmp"  # noqa: S108  mkdtemp makes a directory of its own there


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
