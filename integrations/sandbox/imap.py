"""A real IMAP server with one account: Dovecot where it is installed, else pymap, which is written in Python."""

from __future__ import annotations

import asyncio
import logging
from argparse import Namespace

from integrations.sandbox.dovecot import Dovecot
from integrations.sandbox.event_loop import EventLoop
from integrations.sandbox.imap_account import ImapServer, Message

__all__ = ["Dovecot", "Message", "Pymap", "imap_server"]


class Pymap(ImapServer):
    """pymap with its mailboxes in memory, patched to keep keywords. No TLS, no NAMESPACE, no CONDSTORE."""

    def __init__(self, username: str = "support@figurative.example", password: str = "sandbox") -> None:  # noqa: S107
        super().__init__(username, password)
        self._event_loop: EventLoop | None = None
        self._listener: asyncio.Server | None = None

    def start(self) -> None:
        """Listen on a port that the system chooses."""
        self._event_loop = EventLoop("Pymap")
        self._listener = self._event_loop.run(self._listen())
        self.port = self._listener.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop the server. Its mailboxes were only in memory."""
        if self._event_loop is not None and self._listener is not None:
            self._event_loop.loop.call_soon_threadsafe(self._listener.close)
            self._event_loop.close()
            self._event_loop = self._listener = None

    async def _listen(self) -> asyncio.Server:
        # Imported here: where Dovecot is installed, pymap is not needed, and its import takes a while.
        from proxyprotocol.reader import ProxyProtocolReader  # noqa: PLC0415
        from pymap.backend.dict import Config, DictBackend  # noqa: PLC0415
        from pymap.backend.dict.mailbox import MailboxData  # noqa: PLC0415
        from pymap.imap import IMAPServer  # noqa: PLC0415
        from pymap.parsing.specials.flag import Recent, Wildcard, get_system_flags  # noqa: PLC0415
        from pysasl.hashing import Cleartext  # noqa: PLC0415

        # It logs every line of every message, into the log of the process that runs it.
        logging.getLogger("pymap").setLevel(logging.WARNING)
        # Its hash keeps the processor busy for an eighth of a second at each login.
        Config._get_hash_context = classmethod(lambda *_: Cleartext())  # type: ignore[method-assign, assignment] # noqa: SLF001
        # Otherwise pymap answers OK to a keyword and drops it: its mailboxes do not announce \* in PERMANENTFLAGS.
        kept = get_system_flags() - {Recent} | {Wildcard}
        MailboxData.permanent_flags = property(lambda _: kept)  # type: ignore[method-assign, assignment]
        arguments = Namespace(
            host=self.host,
            port=0,
            debug=False,
            cert=None,
            key=None,
            tls=False,
            passlib_cfg=None,
            proxy_protocol=None,
            demo_data=False,
            demo_user=self.username,
            demo_password=self.password,
        )
        backend, config = await DictBackend.init(arguments)
        config.apply_context()
        serve = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(backend.login, config))
        return await asyncio.start_server(serve, self.host, 0)


def imap_server() -> Dovecot | Pymap:
    """Return the best IMAP server that is installed, not yet started."""
    return Dovecot() if Dovecot.executable() else Pymap()
