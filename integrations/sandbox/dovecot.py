"""Run Dovecot as a stand-in: a real, private server that starts in a few hundredths of a second."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from integrations.sandbox.certificate import self_signed
from integrations.sandbox.imap_account import ImapServer, Security

if TYPE_CHECKING:
    from collections.abc import Collection

_START_TIMEOUT_S = 10.0
_ATTEMPTS = 3  # another process may take the port after we probed it and before Dovecot binds it
# The capabilities of Dovecot 2.3 after login. `without` removes some of them.
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "
    "I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY"
)


# dovecot.conf(5), of version 2.3.
_CONFIGURATION = """\
protocols = imap
listen = {host}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
{tls}{capability}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {uid}
first_valid_gid = 0
mail_location = {mail_format}:{folder}/mail
mail_fsync = never
mail_max_userip_connections = 0
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {clear_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  # Without it no wrong password delays the next login from this address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot(ImapServer):
    """Dovecot 2.3 with its own configuration in a temporary folder. The system's is neither read nor changed.

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
        mail_format: Literal["maildir", "sdbox"] = "maildir",
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
            RuntimeError: the server did not start. The message is its log.
        """
        executable = self.executable()
        if executable is None:
            raise RuntimeError("Dovecot is not installed: apt install dovecot-imapd")
        for _ in range(_ATTEMPTS):
            folder = self._launch(executable)
            if self._listens(folder):
                return
            log = folder / "log"
            reason = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "it left no log"
            self.stop()
        raise RuntimeError(f"Dovecot did not start: {reason}")

    def _launch(self, executable: str) -> Path:
        # Dovecot's login processes refuse to run as root, so root runs all of it as the user `nobody`.
        account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        # A short path: the names of Dovecot's sockets must fit into 108 bytes.
        self._folder = folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
        self.port = _free_port()
        configuration = folder / "dovecot.conf"
        configuration.write_text(self._configuration(folder, account), encoding="utf-8")
        (folder / "users").write_text(f"{self.username}:{{PLAIN}}{self.password}\n", encoding="utf-8")
        root = os.getuid() == 0
        if root:
            for each in (folder, *folder.iterdir()):
                os.chown(each, account.pw_uid, account.pw_gid)
        self._process = subprocess.Popen(  # noqa: S603  our own configuration, no shell
            [executable, "-F", "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
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

    def _configuration(self, folder: Path, account: pwd.struct_passwd) -> str:
        clear_port, tls_port = (0, self.port) if self.security == "tls" else (self.port, 0)
        offered = " ".join(word for word in CAPABILITIES.split() if word not in self._without)
        return _CONFIGURATION.format(
            host=self.host,
            folder=folder,
            tls=self._tls(folder),
            capability=f"imap_capability = {offered}\n" if self._without else "",
            user=account.pw_name,
            group=grp.getgrgid(account.pw_gid).gr_name,
            uid=account.pw_uid,
            gid=account.pw_gid,
            mail_format=self._mail_format,
            prefix=self._namespace_prefix,
            separator=self._separator,
            clear_port=clear_port,
            tls_port=tls_port,
        )

    def _tls(self, folder: Path) -> str:
        """Return the lines about TLS, after making the certificate that they name."""
        if self.security == "none":
            return "ssl = no\ndisable_plaintext_auth = no\n"
        certificate = self_signed(folder)
        self.certificate_path = certificate.path
        return f"ssl = required\nssl_cert = <{certificate.path}\nssl_key = <{certificate.key_path}\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
