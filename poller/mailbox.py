"""One IMAP session on the mailbox that customers write to. The only module that knows imapclient."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import structlog
from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from integrations.deadline import CALL_S, Deadline, watch
from integrations.errors import ConfigurationError, TransientError
from poller.journal import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from poller.settings import Imap

PIECE_BYTES = 1 << 20
HEADER_BYTES = 1 << 18  # of a header, what is looked at before the message is fetched
# What went wrong on the way to the server, in words; the first that fits.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "the host name is unknown"),
    (ConnectionRefusedError, "nothing listens there"),
    (TimeoutError, "no answer in time"),
    (ssl.SSLError, "no TLS there: look at IMAP_SECURITY and IMAP_PORT"),
    (ConnectionError, "the connection was cut"),
    (IMAPClientAbortError, "the connection was cut"),
    (EOFError, "the connection was cut"),
    (OSError, "there is no way to that host"),
    (IMAPClientError, "the server says no"),
)
BUSY = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "ALERT", "OVERQUOTA", "THROTTLED", "CONTACTADMIN")
# The verdict of the server's filter or of a person (RFC 9051 section 2.3.2), and as Thunderbird writes it.
JUNK = {b"$junk", b"junk"}
NOT_JUNK = {b"$notjunk", b"notjunk", b"nonjunk"}
BATCH = 50  # messages a FETCH: the measured knee, and at most 13 MB of headers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# imapclient logs literals, that is mails, at DEBUG.
logging.getLogger("imapclient").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it is seen before it is fetched."""

    uid: int
    size_bytes: int  # RFC822.SIZE
    received_at: datetime  # INTERNALDATE, aware, UTC
    header: bytes  # as it came, at most HEADER_BYTES
    junk: bool | None = None  # what its keywords say of it; None when they say nothing, or both
    keywords: frozenset[str] = frozenset()  # and flags, in lower case: their case means nothing


class Mailbox:
    """A selected mailbox on its own connection; for one thread at a time.

    Every method raises TransientError when the connection or the server fails; the session is then of no further use.
    """

    def __init__(self, client: IMAPClient, name: str, deadline_s: float) -> None:
        """Take over a client that is logged in; see `connect`."""
        self._client, self._deadline_s = client, deadline_s
        self._capabilities = {capability.upper() for capability in client.capabilities()}
        selected = client.select_folder(name)
        self.uidvalidity: int = selected.get(b"UIDVALIDITY", 0)
        self._permanent_flags: Sequence[bytes] = selected.get(b"PERMANENTFLAGS", ())
        personal = client.namespace().personal if b"NAMESPACE" in self._capabilities else None
        self._prefix: str = personal[0][0] if personal else ""
        self._separator: str = personal[0][1] if personal else client.list_folders()[0][1].decode()
        self._existing: set[str] = set()

    def close(self) -> None:
        """Log out, or drop the connection where that fails."""
        try:
            with Deadline(self._deadline_s):
                self._client.logout()
        except (OSError, IMAPClientError):
            _drop(self._client)

    def refresh(self) -> None:
        """See what has come since the last command; a session that is dead says so here."""
        with self._call("NOOP"):
            self._client.noop()

    def uids(self, since: date | None = None) -> list[int]:
        """Every message that is not marked deleted and arrived on that day or later, in order of arrival."""
        criteria: list[str | date] = ["UNDELETED"] if since is None else ["UNDELETED", "SINCE", since]
        with self._call("SEARCH"):
            # SEARCH promises no order, and the oldest customer comes first.
            return sorted(self._client.search(criteria))

    def present(self, uids: Sequence[int]) -> list[int]:
        """Those of the messages that are still here."""
        with self._call("SEARCH"):
            found = self._client.search(["UID", ",".join(map(str, uids)), "UNDELETED"]) if uids else []
            return [uid for uid in uids if uid in found]

    def arrivals(self, uids: Sequence[int]) -> Iterator[Arrival]:
        """Size, date and header of each message that is still here, in the order asked for."""
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            rows = self._headers(batch)
            for uid in batch:
                # A server may send rows that nobody asked for, and none for a message that is gone.
                row: dict[bytes, Any] = rows.get(uid, {})
                header = row.get(b"BODY[HEADER]<0>")
                if header is not None and b"INTERNALDATE" in row:
                    received_at = row[b"INTERNALDATE"].astimezone(UTC)
                    keywords = frozenset(flag.decode("ascii", "replace").lower() for flag in row.get(b"FLAGS", ()))
                    yield Arrival(uid, row[b"RFC822.SIZE"], received_at, header, _junk(row.get(b"FLAGS", ())), keywords)

    def _headers(self, uids: Sequence[int]) -> dict[int, dict[bytes, Any]]:
        """What `arrivals` asks for; a message that the server cannot give is left out, and its neighbours are not."""
        wanted = ["FLAGS", "RFC822.SIZE", "INTERNALDATE", f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"]
        with self._call("FETCH", size_bytes=len(uids) * HEADER_BYTES):
            try:
                return self._client.fetch(uids, wanted)  # type: ignore[no-any-return]
            except IMAPClientAbortError:
                raise
            except IMAPClientError:
                if len(uids) == 1:
                    log.warning("message_unreadable", uid=uids[0], uidvalidity=self.uidvalidity)
                    return {}
        return {uid: row for one in uids for uid, row in self._headers([one]).items()}

    def pieces(self, uid: int, limit_bytes: int) -> Iterator[bytes]:
        """A message in pieces, and no more of it than the limit; nothing is marked as read.

        Raises:
            MessageGoneError: it was taken away.
        """
        offset = 0
        while offset < limit_bytes:
            size = min(PIECE_BYTES, limit_bytes - offset)
            with self._call("FETCH", size_bytes=size):
                row = self._client.fetch([uid], [f"BODY.PEEK[]<{offset}.{size}>"]).get(uid, {})
            piece = row.get(b"BODY[]<%d>" % offset)
            if piece is None:
                raise MessageGoneError("FETCH")
            yield piece
            offset += len(piece)
            if len(piece) < size:
                return

    def label(self, uids: Sequence[int], mailbox: str, keyword: str, others: Sequence[str]) -> None:
        """File messages under a mailbox, which is created when missing, and mark them where the server allows it.

        `others` are our keywords for the outcomes that it is not. A message that is gone already is no error.
        """
        with self._call("LABEL"):
            name = self._ensure(mailbox)
            if self.keeps(keyword):
                self._client.remove_flags(uids, others, silent=True)
                self._client.add_flags(uids, [keyword], silent=True)
            self._move(uids, name)

    def keeps(self, keyword: str) -> bool:
        """Whether a message that `label` files bears the keyword from then on."""
        return b"\\*" in self._permanent_flags or keyword.encode() in self._permanent_flags

    def enter(self, mailbox: str) -> bool:
        """Select another mailbox, by the name that `label` takes; False when there is none.

        Every UID is of that one from now on.
        """
        with self._call("SELECT"):
            name = self._name(mailbox)
            if not self._exists(name):
                return False
            self.uidvalidity = self._client.select_folder(name)[b"UIDVALIDITY"]
        return True

    def move(self, uids: Sequence[int], mailbox: str) -> None:
        """Put messages into the mailbox of this exact name, and leave their keywords as they are."""
        with self._call("MOVE"):
            self._move(uids, mailbox)

    def _move(self, uids: Sequence[int], name: str) -> None:
        """MOVE (RFC 6851), or what it stands for: COPY, mark as deleted, UID EXPUNGE (RFC 4315) of these alone."""
        if b"MOVE" in self._capabilities:
            self._client.move(uids, name)
            return
        self._client.copy(uids, name)
        self._client.add_flags(uids, [b"\\Deleted"], silent=True)
        # Without UIDPLUS an EXPUNGE would take everybody's deleted messages: ours then just stay marked.
        if b"UIDPLUS" in self._capabilities:
            self._client.uid_expunge(uids)

    def _ensure(self, mailbox: str) -> str:
        """The server's name of a mailbox, created and subscribed when it was missing."""
        name = self._name(mailbox)
        if not self._exists(name):
            self._client.create_folder(name)
            self._client.subscribe_folder(name)
            self._existing.add(name)
        return name

    def _name(self, mailbox: str) -> str:
        """The server's name of a mailbox."""
        name = mailbox.replace("/", self._separator)
        return name if name.startswith(self._prefix) else self._prefix + name

    def _exists(self, name: str) -> bool:
        if name not in self._existing:
            self._existing = {found for _, _, found in self._client.list_folders()}
        return name in self._existing

    @contextmanager
    def _call(self, command: str, *, size_bytes: int = 0) -> Iterator[None]:
        """What is asked of the server in it, and how much may come back."""
        with _translated(command), Deadline(self._deadline_s, size_bytes=size_bytes):
            yield


def _junk(flags: Iterable[bytes]) -> bool | None:
    keywords = {flag.lower() for flag in flags}
    junk, not_junk = bool(keywords & JUNK), bool(keywords & NOT_JUNK)
    return None if junk == not_junk else junk


class _Watched:
    """What is put before a client of imaplib's: the deadline of the call is to know its connection."""

    sock: socket.socket

    def readline(self) -> bytes:
        """Every answer begins here, the greeting too, which the client waits for before anybody has hold of it."""
        watch(self.sock)
        return super().readline()  # type: ignore[misc,no-any-return]  # imaplib's


class _Plain(_Watched, IMAP4WithTimeout):  # type: ignore[misc]
    pass


class _Tls(_Watched, IMAP4_TLS):  # type: ignore[misc]
    pass


class _Client(IMAPClient):  # type: ignore[misc]
    def _create_IMAP4(self) -> _Plain | _Tls:  # noqa: N802  imapclient's name
        if self.ssl:
            return _Tls(self.host, self.port, self.ssl_context, self._timeout.connect)
        return _Plain(self.host, self.port, self._timeout.connect)


def connect(imap: Imap, deadline_s: float = CALL_S) -> Mailbox:
    """A session on the configured mailbox; no call on it takes longer than the deadline and what it moves takes.

    Raises:
        TransientError: the server is out of reach, or busy.
        ConfigurationError: it refuses the login, its certificate is not to be trusted, or there is no such mailbox.
    """
    context = ssl.create_default_context()
    with _translated(f"server {imap.host}:{imap.port}"), _verified(imap), Deadline(deadline_s):
        timeout = SocketTimeout(connect=min(imap.timeout_s, 10), read=imap.timeout_s)
        tls = imap.security == "tls"
        client = _Client(imap.host, imap.port, ssl=tls, ssl_context=context if tls else None, timeout=timeout)
    try:
        # imapclient keeps imaplib's debug hook on, which copies and formats every literal: eighteen times slower.
        client._imap.debug = 0  # noqa: SLF001  there is no public switch
        client.normalise_times = False
        with _translated("STARTTLS"), _verified(imap), Deadline(deadline_s):
            if imap.security == "starttls":
                client.starttls(context)
        with _translated("login"), Deadline(deadline_s):
            _log_in(client, imap)
        with _translated("SELECT"), Deadline(deadline_s):
            return _select(client, imap, deadline_s)
    except BaseException:
        _drop(client)
        raise


def _drop(client: IMAPClient) -> None:
    """Close the connection, which the other side or a failed handshake may have closed already."""
    with suppress(OSError):
        client.shutdown()


@contextmanager
def _verified(imap: Imap) -> Iterator[None]:
    """No password goes to a server that cannot prove who it is."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(f"IMAP server {imap.host}: certificate is refused: {error.verify_message}") from error
    except CapabilityError as error:
        raise ConfigurationError(f"IMAP server {imap.host} offers no STARTTLS: check IMAP_SECURITY") from error


def _log_in(client: IMAPClient, imap: Imap) -> None:
    try:
        # LOGIN cannot carry every password; PLAIN can (RFC 4616).
        login = client.plain_login if b"AUTH=PLAIN" in client.capabilities() else client.login
        login(imap.username, imap.password.get_secret_value())
    except LoginError as error:
        # imapclient calls a connection cut in mid-login a LoginError, too.
        if isinstance(error.__context__, IMAPClientAbortError) or _is_busy(error):
            raise TransientError("IMAP login: the server is not available", outcome_unknown=False) from error
        raise ConfigurationError("IMAP login refused: check IMAP_USERNAME and IMAP_PASSWORD") from error


def _select(client: IMAPClient, imap: Imap, deadline_s: float) -> Mailbox:
    try:
        return Mailbox(client, imap.mailbox, deadline_s)
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        if _is_busy(error):
            raise
        raise ConfigurationError(
            f"IMAP server: mailbox {imap.mailbox!r} cannot be opened: check IMAP_MAILBOX"
        ) from error


def _is_busy(error: IMAPClientError) -> bool:
    """Whether a refusal is one of the moment: RFC 5530, and what Gmail and Exchange say besides."""
    return any(f"[{code}]" in str(error).upper() for code in BUSY)


@contextmanager
def _translated(call: str) -> Iterator[None]:
    """Whatever fails on a connection is worth another try on a new one; the answer's text stays out of the message."""
    try:
        yield
    except (OSError, IMAPClientError, EOFError) as error:
        why = next(words for kind, words in REASONS if isinstance(error, kind))
        raise TransientError(f"IMAP {call}: {why}", outcome_unknown=False) from error
