"""Open a connection to the IMAP server, secure it, log in, and report what goes wrong in our words."""

from __future__ import annotations

import logging
import socket
import ssl
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog
from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, ProtocolError
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from integrations.errors import CertificateError, ConfigurationError, TransientError
from integrations.net.deadline import Deadline, watch
from integrations.net.trust import trusting
from poller.imap.listing import pass_over
from poller.imap.login import log_in
from poller.imap.login_refusals import expect_taken
from poller.imap.responses import asked_s, code, said
from poller.imap.spool import emptied, is_content
from poller.logs import places

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator

    from poller.config.settings import ImapSettings
    from poller.imap.spool import Spool

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CUT, SILENT, REFUSES = "the connection was cut", "no answer in time", "the server says no"
# What went wrong on the way to the server, in words; the first that fits.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "the host name is unknown"),
    (ConnectionRefusedError, "nothing listens there"),
    (TimeoutError, SILENT),
    (ssl.SSLError, "no TLS there: look at IMAP_SECURITY and IMAP_PORT"),
    (ConnectionError, CUT),
    (IMAPClientAbortError, CUT),
    (EOFError, CUT),
    (OSError, "there is no way to that host"),
    (IMAPClientError, REFUSES),
)
# Errors of imapclient and of ours at an answer which is no base64, no ASCII, no number, or lacks a part.
NONSENSE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
NAME = "figurative-poller"
VERSION = version(NAME)
WORDS_CHARS = 200  # of a refusal that is quoted
ID_TRIES = 2  # after which a server is not told who we are: once may be chance, and some give a stranger no mailbox
_cut_at_id: Counter[tuple[str, int]] = Counter()  # by server: ends of the connection at ID, in a row
# imapclient logs literals, that is mails, at DEBUG.
logging.getLogger("imapclient").setLevel(logging.INFO)


class ConnectionCutError(TransientError):
    """The server has ended the connection in mid-call, or has not answered.

    One message may be at fault, at which it does so each time.
    """


class _Watched:
    """Base of the imaplib clients that registers the connection with the deadline of the call."""

    sock: socket.socket
    mo: re.Match[bytes]  # imaplib's, of the line before a literal
    spool: Spool | None = None  # takes the next content of a message, which then counts as empty
    _is_in_row = _is_spooled = False

    def readline(self) -> bytes:
        """Register the connection, and read a line.

        Every answer begins here, the greeting too, for which the client waits before its caller holds it.
        """
        watch(self.sock)
        return super().readline()  # type: ignore[misc,no-any-return]  # imaplib's

    def read(self, size: int) -> bytes:
        """Read a literal."""
        read: Callable[[int], bytes] = super().read  # type: ignore[misc]  # imaplib's
        if not (self.spool and is_content(self.mo.string)):
            return read(size)
        spool, self.spool, self._is_spooled = self.spool, None, True
        spool.take_literal(read, size)
        return b""

    def _append_untagged(self, typ: str, dat: object) -> None:
        if self._is_spooled and isinstance(dat, tuple):
            dat, self._is_spooled = (emptied(dat[0]), dat[1]), False
        self._is_in_row = typ == "FETCH" and isinstance(dat, tuple)  # behind a literal, and before what closes the row
        super()._append_untagged(typ, dat)  # type: ignore[misc]  # imaplib's

    def _get_line(self) -> bytes:
        """Read a line, and pass over the blank one that some servers send behind a literal."""
        line: bytes = super()._get_line()  # type: ignore[misc]  # imaplib's
        if self._is_in_row and not line:
            line = super()._get_line()  # type: ignore[misc]  # imaplib's
        self._is_in_row = False
        return line


class _Plain(_Watched, IMAP4WithTimeout):  # type: ignore[misc]
    pass


class _Tls(_Watched, IMAP4_TLS):  # type: ignore[misc]
    pass


class Client(IMAPClient):  # type: ignore[misc]
    """imapclient, more lenient in what it takes, and able to write a message to a file while it comes."""

    def _create_IMAP4(self) -> _Plain | _Tls:  # noqa: N802  imapclient's name
        if self.ssl:
            return _Tls(self.host, self.port, self.ssl_context, self._timeout.connect)
        return _Plain(self.host, self.port, self._timeout.connect)

    @contextmanager
    def spooling(self, spool: Spool) -> Iterator[None]:
        """Write the first content of a message that a FETCH in the block gives to the spool. Its row has b"" for it."""
        self._imap.spool = spool
        try:
            yield
        finally:
            self._imap.spool = None

    def _proc_folder_list(self, folder_data: Iterable[bytes | tuple[bytes, ...] | None]) -> list[Any]:
        """Parse the lines of a LIST one by one: imapclient takes all or none of them."""
        found = []
        for line in folder_data:
            try:
                found += super()._proc_folder_list([line])
            except (ProtocolError, *NONSENSE):
                pass_over(line, "its line is malformed")
        return found

    def _raw_command_untagged(self, command: bytes, *args: Any, **kwargs: Any) -> Any:
        """Run a command. A SEARCH that is answered in several lines counts as one: imapclient takes no more."""
        lines = super()._raw_command_untagged(command, *args, **kwargs)
        if command != b"SEARCH":
            return lines
        if not any(lines) and self._imap.untagged_responses.pop("ESEARCH", None):
            # Its ranges may name UIDs that are not there, and an empty mailbox it is not.
            raise ProtocolError("SEARCH is answered with ESEARCH, which was not asked for")
        return [b" ".join(filter(None, lines))]


def logged_in(imap: ImapSettings, deadline_s: float) -> Client:
    """Connect to the configured server, log in and return the client.

    Raises:
        TransientError: the server is out of reach, or busy.
        ConfigurationError: it refuses the login, or its certificate is not to be trusted.
    """
    server = imap.host, imap.port
    while True:
        client = _logged_in(imap, deadline_s)
        if _cut_at_id[server] >= ID_TRIES:
            return client
        try:
            with dropped_unless_done(client), imap_errors("ID"), Deadline(deadline_s):
                _introduce(client)
        except ConnectionCutError:
            _cut_at_id[server] += 1
            log.info("id_not_answered")
        else:
            _cut_at_id[server] = 0
            return client


def _logged_in(imap: ImapSettings, deadline_s: float) -> Client:
    expect_taken(imap)
    context = None if imap.security == "none" else trusting(imap.ca_file, "IMAP_CA_FILE")
    with imap_errors(f"server {imap.host}:{imap.port}"), _verified(imap), Deadline(deadline_s):
        timeout = SocketTimeout(connect=min(imap.timeout_s, 10), read=imap.timeout_s)
        tls = imap.security == "tls"
        client = Client(imap.host, imap.port, ssl=tls, ssl_context=context if tls else None, timeout=timeout)
    with dropped_unless_done(client):
        # imapclient keeps imaplib's debug hook on, which copies and formats every literal: eighteen times slower.
        client._imap.debug = 0  # noqa: SLF001  there is no public switch
        client.normalise_times = False
        with imap_errors("STARTTLS"), _verified(imap), Deadline(deadline_s):
            if imap.security == "starttls":
                client.starttls(context)
        with imap_errors("login"), Deadline(deadline_s):
            log_in(client, imap)
    return client


@contextmanager
def dropped_unless_done(client: Client) -> Iterator[None]:
    """Close the connection if the block fails. The block makes the client fit for use."""
    with ExitStack() as undo:
        undo.callback(drop, client)
        yield
        undo.pop_all()


def drop(client: Client) -> None:
    """Close the connection, which the other side or a failed handshake may have closed already."""
    with suppress(OSError):
        client.shutdown()


@contextmanager
def _verified(imap: ImapSettings) -> Iterator[None]:
    """Raise CertificateError where the server cannot prove its identity, so that it gets no password."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(f"IMAP server {imap.host}: certificate is refused: {error.verify_message}") from error
    except CapabilityError as error:
        raise ConfigurationError(f"IMAP server {imap.host} offers no STARTTLS: check IMAP_SECURITY") from error


def _introduce(client: Client) -> None:
    """Tell the server who we are (RFC 2971): some refuse every mailbox to a client that does not ("Unsafe Login")."""
    if b"ID" in client.capabilities():
        try:
            client.id_({"name": NAME, "version": VERSION})
        except IMAPClientAbortError:
            raise
        except (IMAPClientError, *NONSENSE) as error:
            log.info("id_refused", error=type(error).__name__)


@contextmanager
def imap_errors(call: str, *, quoting: bool = False) -> Iterator[None]:
    """Turn every failure on a connection into a TransientError, for another try on a new connection.

    The answer's text stays out of the error's message, but where a refusal is `quoting` no mail.
    """
    try:
        yield
    except (OSError, IMAPClientError, EOFError, *NONSENSE, MemoryError) as error:
        why = next((words for kind, words in REASONS if isinstance(error, kind)), "")
        if not why:
            why = "the server talks nonsense"
            # It may also be our own bug. Its text may quote the mail, so only its type and places are logged.
            log.warning("answer_not_understood", call=call, error=type(error).__name__, frames=places(error))
        detail = said(error) if isinstance(error, IMAPClientError) else ""
        is_refusal = isinstance(error, IMAPClientError) and not isinstance(error, ProtocolError | IMAPClientAbortError)
        words = f": {detail[:WORDS_CHARS]}" if quoting and is_refusal and detail else code(error)
        kind = ConnectionCutError if why in {CUT, SILENT} else TransientError
        raise kind(
            f"IMAP {call}: {why}{words}", detail=detail, retry_after_s=asked_s(error), outcome_unknown=False
        ) from error
