"""IMAP session on the mailbox that customers write to. `connection` opens it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NoReturn

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, IMAPClientReadOnlyError, ProtocolError

from integrations.errors import ConfigurationError, TransientError
from integrations.net.deadline import CALL_S, Deadline
from poller.errors import MessageGoneError, MessageWithheldError
from poller.imap import gmail, idle, move, rights, search
from poller.imap.connection import (
    NONSENSE,
    REFUSES,
    ConnectionCutError,
    drop,
    dropped_unless_done,
    imap_errors,
    logged_in,
)
from poller.imap.fetch import HEADER_BYTES, ITEMS, LEAST, MessageSummary, arrival_of, body_of
from poller.imap.keywords import Keywords
from poller.imap.listing import mailboxes
from poller.imap.namespace import Hierarchy
from poller.imap.responses import code, is_bug, is_busy, is_gone, said
from poller.imap.search import Counts
from poller.imap.spool import RENEWED_BYTES, Spool, SpoolError

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from poller.config.settings import ImapSettings
    from poller.imap.connection import Client

PIECE_BYTES = 1 << 20
BATCH = 50  # messages a FETCH: the measured knee, and at most 13 MB of headers


class DaySearchError(TransientError):
    """The server cannot tell when messages arrived: one that is damaged is enough. It says so, hangs up or is silent.

    This session is of no more use.
    """


class ImapSession:
    """A selected mailbox on its own connection, for one thread at a time.

    Every method raises TransientError when the connection or the server fails. The session is then of no further use.
    """

    def __init__(self, client: Client, name: str, deadline_s: float) -> None:
        """Take over a client that is logged in; see `connect`."""
        self._client, self._deadline_s = client, deadline_s
        # Believed as they are after login: Exchange announces MOVE only then.
        self._capabilities = {capability.upper() for capability in client.capabilities()}
        self._hierarchy = Hierarchy(client, self._capabilities)
        self._keywords = Keywords(client)
        self._select(name)

    def _select(self, name: str) -> int:
        selected = self._client.select_folder(name)
        self._entered = name
        # Some servers tell it by STATUS alone, or not at all. Then a mailbox that is made anew shows by its messages.
        told = selected.get(b"UIDVALIDITY") or search.status(self._client, name, "UIDVALIDITY").get(b"UIDVALIDITY")
        self.uidvalidity = told if isinstance(told, int) else 0
        self._keywords.select(name, selected.get(b"PERMANENTFLAGS"))
        return int(selected.get(b"EXISTS", 0))

    def close(self) -> None:
        """Log out, or drop the connection where that fails."""
        try:
            with Deadline(self._deadline_s):
                self._client.logout()
        except (OSError, IMAPClientError):
            drop(self._client)

    def refresh(self) -> None:
        """Learn what has come since the last command. A dead session raises here."""
        with self._call("NOOP"):
            self._client.noop()

    def counts(self) -> Counts | None:
        """Return the number of messages and UIDNEXT, None where the server does not tell them of an open mailbox.

        RFC 3501 section 6.3.10 advises against STATUS on the selected mailbox. But all servers answer it, and no other
        command is as cheap.
        """
        with self._call("STATUS"):
            told = search.status(self._client, self._entered, "MESSAGES", "UIDNEXT", "UIDVALIDITY")
        messages, next_uid, uidvalidity = (told.get(name) for name in (b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"))
        if isinstance(uidvalidity, int) and uidvalidity != self.uidvalidity:
            raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)
        return Counts(messages, next_uid) if isinstance(messages, int) and isinstance(next_uid, int) else None

    def uids(self, since: date | None = None, counts: Counts | None = None) -> list[int]:
        """Return the UIDs not marked deleted that arrived on that day or later, in order of arrival.

        `counts` are those of this moment, where they are known.

        Raises:
            DaySearchError: the server cannot compare days. Another connection gives the UIDs of all days.
        """
        counts = counts or self.counts()
        messages = counts.messages if counts else self.reselect()
        try:
            with self._call("SEARCH"):
                return self._search(messages, since)
        except ConnectionCutError as error:
            if since is None:
                raise
            raise DaySearchError(str(error), outcome_unknown=False) from error

    def _search(self, messages: int, since: date | None) -> list[int]:
        try:
            return search.uids(self._client, messages, since)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            if since is None or (is_busy(error) and not is_bug(error)):
                raise
            raise DaySearchError(f"IMAP SEARCH SINCE: {REFUSES}{code(error)}", outcome_unknown=False) from error

    def reselect(self) -> int:
        """Select the mailbox once more, and return how many messages are in it.

        A server may let a session go on in a mailbox that is gone: Dovecot does so in an empty one, for good. The cost
        grows with the number of messages, 2 ms for a thousand.

        Raises:
            TransientError: also when the mailbox has been made anew (another UIDVALIDITY).
        """
        before = self.uidvalidity
        with self._call("SELECT"):
            messages = self._select(self._entered)
        if self.uidvalidity != before:
            raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)
        return messages

    def last_uid(self) -> int:
        """Return the UID of the last message, marked deleted or not, or 0 when there is none."""
        with self._call("SEARCH"):
            return search.last_uid(self._client)

    def new_uids(self, first: int, known: Collection[int]) -> list[int]:
        """Return the UIDs from `first` on and the known ones that are still here, none marked deleted, in order."""
        with self._call("SEARCH"):
            return search.new_uids(self._client, first, known)

    def present(self, uids: Sequence[int]) -> list[int]:
        """Return those of the UIDs that are still here, and not marked as deleted."""
        with self._call("SEARCH"):
            return search.present(self._client, uids)

    def fetch_summaries(self, uids: Sequence[int], refused: set[int] | None = None) -> Iterator[MessageSummary]:
        """Yield size, date and header of each message that is still here, in the order asked for.

        A message that the server does not give, where it gives others, is added to `refused`. Without such a set it is
        an error, for callers that must not miss any.
        """
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            rows = self._rows(batch)
            # A server may send rows that were not requested, and none for a message that is gone.
            for uid in (uid for uid in batch if uid in rows):
                arrival = arrival_of(uid, rows[uid])
                if arrival:
                    yield arrival
                elif refused is None:
                    raise TransientError(f"IMAP FETCH: the server does not give UID {uid}", outcome_unknown=False)
                else:
                    refused.add(uid)

    def _rows(self, uids: Sequence[int], items: Sequence[str] = ITEMS) -> Mapping[int, Mapping[bytes, Any]]:
        """Fetch these items by UID. A message that is gone has no row, and one that is refused has an empty row."""
        with self._call("FETCH", size_bytes=len(uids) * HEADER_BYTES):
            try:
                return self._client.fetch(uids, items)  # type: ignore[no-any-return]
            except IMAPClientAbortError:
                raise
            except (IMAPClientError, *NONSENSE) as error:
                # What the library says of a response may quote a mail.
                is_answer = isinstance(error, IMAPClientError) and not isinstance(error, ProtocolError)
                if is_answer and is_busy(error) and not is_bug(error):
                    raise
                if items is LEAST:
                    return {} if is_gone(error) else {uids[0]: {}}
        # One message must not cost its neighbours, and one may have a date that breaks the library.
        if len(uids) == 1:
            return self._rows(uids, LEAST)
        return {uid: row for one in uids for uid, row in self._rows([one]).items()}

    def write(self, uid: int, limit_bytes: int, file: IO[bytes]) -> int:
        """Write a message to the file while it comes, at most `limit_bytes` of it, and return how many were written.

        It comes by one command, which costs a server half of what many pieces do. Nothing is marked as read.

        Raises:
            MessageGoneError: it was taken away.
            MessageWithheldError: it is there, and the server does not give it.
            OSError: the file does not take it.
        """
        spool = Spool(file, limit_bytes)
        try:
            with self._call("FETCH", size_bytes=RENEWED_BYTES), self._client.spooling(spool):
                # A server may also send it as a string.
                spool.take(self._piece(uid, 0, limit_bytes))
        except SpoolError as error:
            raise error.__cause__ or error from error
        return spool.size_bytes

    def pieces(self, uid: int, limit_bytes: int) -> Iterator[bytes]:
        """Yield a message in pieces, at most `limit_bytes` of it. Nothing is marked as read.

        Raises:
            MessageGoneError: it was taken away.
            MessageWithheldError: it is there, and the server does not give it.
        """
        offset = 0
        while offset < limit_bytes:
            size = min(PIECE_BYTES, limit_bytes - offset)
            with self._call("FETCH", size_bytes=size):
                piece = self._piece(uid, offset, size)
            yield piece[: limit_bytes - offset]
            offset += len(piece)
            # A server that gives more than a piece gives all of the message, whatever it is asked for.
            if len(piece) != size:
                return

    def _piece(self, uid: int, offset: int, size: int) -> bytes:
        try:
            row = self._client.fetch([uid], [f"BODY.PEEK[]<{offset}.{size}>"]).get(uid, {})
        except (IMAPClientAbortError, ProtocolError):
            raise
        except IMAPClientError as error:
            # As in `_rows`: a refusal may be about this message alone, which is damaged.
            if is_gone(error) or is_bug(error) or not is_busy(error):
                self._raise_missing(uid)
            raise
        piece = body_of(row, b"", offset)
        if piece is None:
            self._raise_missing(uid)
        if not isinstance(piece, bytes):
            raise TypeError("a piece is bytes")  # imapclient may parse a response as a number or a list
        return piece

    def _raise_missing(self, uid: int) -> NoReturn:
        # A server answers as if it were gone for a message that it cannot read, too.
        self._client.noop()  # which tells the session what was expunged
        if search.present(self._client, [uid]):
            raise MessageWithheldError
        raise MessageGoneError("FETCH")

    def mark_seen(self, uids: Sequence[int]) -> None:
        """Mark messages as read."""
        with self._call("STORE", size_bytes=len(uids) * HEADER_BYTES):
            self._client.add_flags(uids, [b"\\Seen"], silent=True)

    def label(
        self, uids: Sequence[int], mailbox: str, keyword: str, others: Sequence[str], labels: Iterable[str] = ()
    ) -> None:
        """File messages under a mailbox, which is created when missing, and mark them where the server allows it.

        `others` are our keywords for the outcomes that it is not. `labels` are the mailboxes of these: at Gmail a
        message may bear several. A message that is gone already is no error. A message that the server did not file is
        one.

        Raises:
            ConfigurationError: the server refuses a mailbox of that name.
        """
        with self._call("LABEL", size_bytes=len(uids) * HEADER_BYTES, quoting=True):
            name = self._hierarchy.ensure(mailbox)
            others_there = {self._hierarchy.names(label)[0] for label in labels}
            try:
                self._file(uids, name, keyword, others, others_there)
            except IMAPClientError as error:
                if not is_gone(error):
                    raise
                # A person has taken one of them in the meantime. The server says so now, and files the others.
                self._client.noop()
                if left := search.present(self._client, uids):
                    self._file(left, name, keyword, others, others_there)

    def _file(
        self, uids: Sequence[int], name: str, keyword: str, others: Sequence[str], others_there: Iterable[str]
    ) -> None:
        # MOVE is atomic. Without it, a message that bears the keyword may have been copied before.
        marked = () if self._has("MOVE") else self._keywords.marked(uids, keyword)
        self._keywords.mark(uids, keyword, others)
        if not self._keywords.keeps(keyword):
            marked = uids
        if self._has("X-GM-EXT-1"):
            gmail.relabel(self._client, uids, name, others_there)
        self._move(uids, name, marked)

    def keeps(self, keyword: str) -> bool:
        """Return whether a message that `label` files bears the keyword from then on."""
        return self._keywords.keeps(keyword)

    def missing_rights(self, mailboxes: Iterable[str]) -> list[str]:
        """Return the rights without which nothing can be filed, as lines for a person.

        `mailboxes` are those that are filed into, by the names that `label` takes. One that is missing is passed over.
        """
        with self._call("MYRIGHTS"):
            found = [] if self._keywords.may_delete else [f"{self._entered!r}: \\Deleted is not permitted there"]
            if self._has("ACL"):
                there = [name for mailbox in mailboxes if (name := self._hierarchy.find(mailbox))]
                found += rights.missing(self._client, self._entered, there)
        return found

    def shortcomings(self, keyword: str) -> list[str]:
        """Return what the server cannot do, and what is done instead, as lines for a person."""
        return [
            words
            for lacking, words in (
                (not self._has("MOVE"), "no MOVE: messages are copied, then removed"),
                (not self._has("MOVE", "UIDPLUS"), "no UIDPLUS: what was filed stays here, marked as deleted"),
                (not self._has("IDLE"), "no IDLE: new mail is seen every imap.poll_interval_s"),
                (not self.keeps(keyword), "no keywords: the mailbox alone tells the outcome"),
                (not self.uidvalidity, "no UIDVALIDITY: after the mailbox is made anew, restart the daemon"),
            )
            if lacking
        ]

    def select(self, mailbox: str) -> bool:
        """Select another mailbox, by the name that `label` takes. Return False when there is none.

        From then on every UID is of that mailbox.
        """
        with self._call("SELECT"):
            name = self._hierarchy.find(mailbox)
            if name is not None:
                self._select(name)
        return name is not None

    def select_sent(self) -> bool:
        """Select the mailbox of sent mail, which the server marks as such (RFC 6154). Return False if it marks none."""
        with self._call("SELECT"):
            name = next((each.name for each in mailboxes(self._client) if b"\\sent" in each.flags), None)
            if name is not None:
                self._select(name)
        return name is not None

    def count(self, mailbox: str) -> int:
        """Return how many messages another mailbox has, by the name that `label` takes, or 0 where there is none."""
        with self._call("STATUS"):
            name = self._hierarchy.find(mailbox)
            # STATUS gives nothing for a mailbox that was deleted after it was last listed.
            return int(search.status(self._client, name, "MESSAGES").get(b"MESSAGES", 0)) if name else 0

    def ensure(self, mailbox: str) -> str:
        """Return the server's name of a mailbox, which is created when missing. The name is as `label` takes it.

        Raises:
            ConfigurationError: the server refuses that name.
        """
        with self._call("CREATE", quoting=True):
            return self._hierarchy.ensure(mailbox)

    def move(self, uids: Sequence[int], mailbox: str) -> None:
        """Move messages to the mailbox of this exact name, and leave their keywords as they are."""
        with self._call("MOVE", size_bytes=len(uids) * HEADER_BYTES, quoting=True):
            self._move(uids, mailbox, uids)

    def supersede_receipts(self, begins: str, mailbox: str, but: str) -> None:
        """Mark our mails whose Message-ID begins with `begins` as read, and move them to another mailbox.

        The mail with the Message-ID `but` is left as it is.
        """
        with self._call("SETTLE"):
            name = self._hierarchy.ensure(mailbox)
            words = ["HEADER", "Message-ID"]
            uids = self._client.search([*words, begins, "NOT", *words, but, "UNDELETED"])
            if uids:
                self._client.add_flags(uids, [b"\\Seen"], silent=True)
            if uids and name != self._entered:
                self._move(uids, name, uids)

    def append(self, mailbox: str, raw: bytes, *, seen: bool = False, unless: str = "") -> None:
        """Append a message to a mailbox, by the name that `label` takes, which is created when missing.

        Nothing is appended if a message with the Message-ID `unless` lies there. That must be of our own making,
        because it becomes part of a command.

        Raises:
            PermanentError: the server rejects it.
        """
        with self._call("APPEND", size_bytes=len(raw)):
            name = self._hierarchy.ensure(mailbox)
            if unless and move.holds(self._client, unless, name, self._entered):
                return
            move.append(self._client, name, raw, [b"\\Seen"] if seen else [])

    def append_stream(self, mailbox: str, content: IO[bytes], size_bytes: int) -> None:
        """Append a message to the mailbox of this exact name.

        `content` is the whole message, with CRLF, and is read in pieces. When this raises, the message may have been
        appended nevertheless.

        Raises:
            PermanentError: the server rejects it, and `detail` says why in its words.
        """
        with self._call("APPEND", size_bytes=size_bytes):
            move.stream(self._client, mailbox, content, size_bytes)

    def with_message_id(self, message_id: str) -> list[int]:
        """Return the UIDs of the messages with a Message-ID of our own making.

        What a stranger wrote must not become part of a command.
        """
        with self._call("SEARCH"):
            return sorted(self._client.search(["HEADER", "Message-ID", message_id, "UNDELETED"]))

    def matching(self, words: str) -> list[int]:
        """Return the UIDs of the messages that a person describes by these words, see `search.matching`."""
        with self._call("SEARCH"):
            return search.matching(self._client, words)

    def _has(self, *names: str) -> bool:
        """Return whether the server announces one of these capabilities."""
        return any(name.encode() in self._capabilities for name in names)

    def _move(self, uids: Sequence[int], name: str, doubtful: Collection[int]) -> None:
        move.move(self._client, self._capabilities, uids, (self._entered, name), doubtful)

    @property
    def can_idle(self) -> bool:
        """Return whether `idle` is possible."""
        return b"IDLE" in self._capabilities

    def idle(self, seconds: float, bell: socket.socket) -> Iterator[None]:
        """Yield when the server begins to watch and at each new message, until `seconds` have passed or the bell rings.

        What came before it began to watch is not reported: scan once more after the first yield. No other call is
        allowed meanwhile (RFC 2177).
        """
        return idle.idle(self._client, seconds, bell, self._deadline_s)

    @contextmanager
    def _call(self, command: str, *, size_bytes: int = 0, quoting: bool = False) -> Iterator[None]:
        """Run a command within the deadline, which allows for `size_bytes` of transfer, and translate its errors."""
        with imap_errors(command, quoting=quoting), Deadline(self._deadline_s, size_bytes=size_bytes):
            yield


def connect(imap: ImapSettings, deadline_s: float = CALL_S) -> ImapSession:
    """Open a session on the configured mailbox. Each call takes no longer than the deadline and what it moves takes.

    Raises:
        TransientError: the server is out of reach, or busy.
        ConfigurationError: it refuses the login, its certificate is not to be trusted, or there is no such mailbox.
    """
    client = logged_in(imap, deadline_s)
    with dropped_unless_done(client), imap_errors("SELECT"), Deadline(deadline_s):
        return _select(client, imap, deadline_s)


def _select(client: Client, imap: ImapSettings, deadline_s: float) -> ImapSession:
    try:
        return ImapSession(client, imap.mailbox, deadline_s)
    except IMAPClientReadOnlyError as error:
        raise ConfigurationError(
            f"IMAP server: mailbox {imap.mailbox!r} is read-only for {imap.username}: nothing can be filed from it"
        ) from error
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        if is_busy(error):
            raise
        raise ConfigurationError(
            f"IMAP server: mailbox {imap.mailbox!r} cannot be opened: {said(error)}: check IMAP_MAILBOX"
        ) from error
