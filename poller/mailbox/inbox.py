"""The polled mailbox as the workers share it: the waiting messages, by reference."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from poller.errors import MessageGoneError, MessageWithheldError
from poller.imap.connection import ConnectionCutError
from poller.imap.pool import SessionPool
from poller.imap.session import DaySearchError
from poller.mailbox import outcome_mailboxes
from poller.mailbox.download import UidReusedError, fetch_references, reference_in, write
from poller.mailbox.labeller import BatchLabeller
from poller.mailbox.scanner import MailboxScanner, MailboxSnapshot, ScanScope
from poller.mailbox.source import KEYWORDS, Fetched
from poller.mailbox.variants import Variants
from poller.mailbox.withheld import WithheldMessages, moment
from poller.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession
    from poller.model import Receipt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_UIDS = 1 << 32  # each is less (RFC 9051 section 2.3.1.1)


class Inbox:
    """A `MessageSource` on IMAP, for any number of threads.

    The threads take turns at a few sessions, and a scan does not wait for a fetch. A message is known by its reference.
    UIDs are kept with the UIDVALIDITY they belong to (RFC 9051 section 2.3.1.1). When it changes, all of them are
    forgotten and read anew.
    """

    def __init__(self, settings: Settings, within: str = "") -> None:
        """Prepare the sessions. Nothing is connected before the first call.

        `within` names another mailbox of the account than the polled one, as `ImapSession.label` takes it. A message
        has the same reference in it. Where there is no such mailbox, every call that needs it raises MessageGoneError.
        """
        self._settings, self._imap, self._names = settings, settings.imap, settings.labels
        self._sessions = SessionPool(settings.imap, within)
        self._labelling = {
            outcome: BatchLabeller(self._sessions, settings.labels, outcome, self._references) for outcome in KEYWORDS
        }
        self.since: date | None = None  # messages from before this day (UTC) are left alone; None: no message is
        # Older messages that were taken up once are not left alone. `earliest_cutoff` gives the first day that ever was
        # `since`, `taken_up` which of some references are such messages.
        self.reach: Callable[[], date | None] = lambda: self.since
        self.taken_up: Callable[[Collection[str]], Collection[str]] = lambda _: ()
        self.progress: Callable[[], object] = lambda: None  # called at each message that a scan reads
        self.is_polled = False  # a scan may leave messages for the next one, which is not far, see `NewMessages.read`
        self.variants = Variants()  # by which messages are told apart that share a reference
        self._compared: dict[str, Mapping[int, MessageSummary]] = {}  # the copies of a reference compared last
        self.behind: Inbox | None = None  # another mailbox in which older messages may wait
        self._withheld = WithheldMessages()
        self._scanner, self._looking = MailboxScanner(settings.imap), threading.Lock()

    @property
    def account(self) -> str:
        """Return the name of the account. See `MessageSource`."""
        return self.variants.account(self._imap)

    @property
    def seen(self) -> MailboxSnapshot:
        """Return the mailbox as the last scan found it."""
        return self._scanner.seen

    @property
    def unreadable(self) -> dict[int, datetime]:
        """Return the UIDs of the messages that the server lists and does not give, each with since when."""
        since_s = {**self.seen.unread, **self._withheld.since_s(self.seen)}
        return {uid: moment(at_s) for uid, at_s in since_s.items()}

    def go_on_from(self, before: Inbox) -> None:
        """Go on from what an inbox of the same settings has found and was not given."""
        self._scanner.seen, self._withheld = before.seen, before._withheld

    def count(self, mailboxes: Collection[str]) -> dict[str, int]:
        """Count the messages in each of these mailboxes of the account. Each takes one round trip."""
        if not mailboxes:
            return {}
        with self._sessions.session() as session:
            return {name: session.count(name) for name in mailboxes}

    def ensure(self, mailbox: str) -> None:
        """Create a mailbox of the account when it is missing. See `ImapSession.ensure`."""
        with self._sessions.session() as session:
            session.ensure(mailbox)

    def move(self, reference: str, mailbox: str) -> None:
        """Move every copy of the message to another mailbox, which is created when missing. The keywords stay."""
        with self._verified(reference) as (session, copies):
            if copies:
                session.move(copies, session.ensure(mailbox))

    def close(self) -> None:
        """End every session that is not in use."""
        self._sessions.close()

    def scan(self, *, all_or_none: bool = False) -> list[str]:
        """Return the references of all messages that wait, the oldest first, each once.

        A scan requests only new messages, and checks whether those that waited are still there. Everything is scanned
        now and then, and whenever the number of messages is not the expected one. Where the server hangs up at a
        message, it takes several connections, see `new_messages`.

        Raises:
            TransientError: the server is out of reach, or gives none of the new messages at the first or second
                scan that requests them. With `all_or_none`, also where it does not give all.
        """
        # One scan at a time: a slow one must not overwrite the result of a later one.
        with self._looking:
            while True:
                try:
                    return self._scan(all_or_none=all_or_none)
                except (ConnectionCutError, DaySearchError) as error:
                    self.progress()
                    if not self._scanner.goes_on(error):
                        raise

    def _scan(self, *, all_or_none: bool) -> list[str]:
        with self._sessions.session(at_once=True) as session:
            view = ScanScope(session.uidvalidity, self.since, self.reach())
            self._scanner.scan(
                session, view, self.variants, self.taken_up, self.progress, self.is_polled, all_or_none=all_or_none
            )
        return self.seen.in_order()

    def tell_apart(self, reference: str) -> set[str]:
        """Give each message that only shares its reference with an earlier one a reference of its own. Return those.

        The messages here are compared with each other, and with the one that work under the reference began with.
        """
        with self._looking:
            seen = self.seen
            copies = seen.by_reference.get(reference, {})
            if not copies or self._compared.get(reference) == copies:
                return set()
            in_order = sorted(copies, key=lambda uid: (copies[uid].received_at, uid))
            with self._sessions.session(seen.uidvalidity) as session:
                found = self.variants.tell_apart(session, reference, in_order)
            self._scanner.rename(found)
            self._compared = {each: uids for each, uids in self._compared.items() if each in seen.by_reference}
            self._compared[reference] = {uid: copy for uid, copy in copies.items() if uid not in found}
        return set(found.values())

    def confirm(self, reference: str) -> bool:
        """Return whether the message is in the mailbox at this very moment, by its header.

        A server that was restored or repaired may give its UID to another message. Then everything is read anew.
        """
        seen = self.seen
        with self._sessions.session(seen.uidvalidity) as session:
            found = self._references(session, session.present(list(seen.copies(reference))))
        if others := set(found.values()) - {reference}:
            self._forget()
        return bool(found) and not others

    def _references(self, session: ImapSession, uids: Sequence[int]) -> dict[int, str]:
        return fetch_references(session, uids, self._imap, self.variants)

    def _expect(self, session: ImapSession, uids: Sequence[int], reference: str) -> None:
        if any(name != reference for name in self._references(session, uids).values()):
            raise UidReusedError

    def _forget(self) -> None:
        """Have everything read anew: a UID was found to mean another message."""
        with self._looking:
            log.warning("uids_reused", uidvalidity=self.seen.uidvalidity)
            self._scanner.forget()

    def fetch(self, reference: str, path: Path) -> Fetched:
        """Write the message to the path. See `MessageSource`.

        Of a message over the size limit only the first BEGINNING_BYTES are requested.
        """
        seen = self._look_for(reference)
        for uid, waiting in seen.copies(reference).items():
            try:
                with (
                    self._sessions.session(seen.uidvalidity, fetching=True) as session,
                    path.open("wb") as file,
                    suppress(MessageGoneError),
                ):
                    for arrival in [waiting] if waiting else session.fetch_summaries([uid]):
                        oversize_bytes = write(session, arrival, file, self._imap)
                        file.flush()
                        if reference_in(path, self.account) != reference:
                            self._expect(session, [uid], reference)
                        self._withheld.discard(reference)
                        return Fetched(arrival.received_at, oversize_bytes, arrival.junk)
            except UidReusedError:
                self._forget()
                raise
            except MessageWithheldError:
                self._withheld.add(reference, seen.by_reference)
                raise
            except ConnectionCutError as cut:
                if self._withheld.was_cut(reference, seen.by_reference) and self._is_there(uid, seen.uidvalidity):
                    self._withheld.add(reference, seen.by_reference)
                    raise MessageWithheldError from cut
                raise
        raise MessageGoneError(reference)

    def _is_there(self, uid: int, uidvalidity: int) -> bool:
        with self._sessions.session(uidvalidity) as session:
            return bool(session.present([uid]))

    def mark_seen(self, reference: str) -> None:
        """See `MessageSource`."""
        with self._verified(reference) as (session, copies):
            if copies:
                session.mark_seen(copies)

    @contextmanager
    def _verified(self, reference: str) -> Iterator[tuple[ImapSession, list[int]]]:
        """Yield a session and the UIDs of all copies of the message, after a look at what they mean by now."""
        seen = self._look_for(reference)
        copies = list(seen.copies(reference))
        try:
            with self._sessions.session(seen.uidvalidity) as session:
                self._expect(session, copies, reference)
                yield session, copies
        except UidReusedError:
            self._forget()
            raise

    def label(self, reference: str, outcome: Outcome) -> None:
        """See `MessageSource`. What only shares the reference is not labelled."""
        if len(self._look_for(reference).copies(reference)) > 1:
            self.tell_apart(reference)
        seen = self.seen
        if copies := list(seen.copies(reference)):
            try:
                self._labelling[outcome].file(reference, copies, seen.uidvalidity)
            except UidReusedError:
                self._forget()
                raise
        log.info("message_labelled", ref=reference, outcome=outcome, copies=len(copies))

    def fetch_filed(self, reference: str, outcome: Outcome, received_at: datetime, path: Path) -> Fetched:
        """See `MessageSource`."""
        return outcome_mailboxes.fetch(self._settings, reference, outcome, received_at, path, self.variants)

    def append(self, outcome: Outcome, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        """See `MessageSource`."""
        name, message_id = getattr(self._names, outcome), receipt.message_id
        if supersedes:
            outcome_mailboxes.supersede_receipts(self._settings, supersedes, name, message_id)
        with self._sessions.session() as session:
            session.append(name, receipt.raw, seen=not receipt.needs_person, unless=message_id if look else "")

    def was_sent(self, message_id: str) -> bool:
        """See `MessageSource`."""
        return outcome_mailboxes.was_sent(self._imap, message_id)

    def older(self, reference: str, message_ids: Iterable[str]) -> str:
        """See `MessageSource`."""
        wanted, seen = [message_id.encode() for message_id in message_ids], self.seen
        if not (copies := seen.by_reference.get(reference)):
            return ""
        came_at, uid = min((arrival.received_at, uid) for uid, arrival in copies.items())
        before = seen.before(came_at, uid)
        if self.behind:
            # UIDs order their own mailbox alone, and times are in whole seconds, so a tie counts as older.
            before += self.behind.seen.before(came_at, _UIDS)
        return next((name for name, header in before if any(message_id in header for message_id in wanted)), "")

    def was_brought_back(self, reference: str) -> bool:
        """Return whether a failed message was put back to be tried again.

        False means that only the same mail has come once more.
        """
        # A filed message bears the keyword wherever it is moved to, and a newly delivered one does not.
        copies = self.seen.by_reference.get(reference, {}).values()
        if any(KEYWORDS[Outcome.FAILED].lower() in arrival.keywords for arrival in copies):
            return True
        # Not every server keeps keywords. But only a message that was not moved still lies among the failures.
        return reference not in outcome_mailboxes.list_filed(self._settings, Outcome.FAILED, self.variants)

    def _look_for(self, reference: str) -> MailboxSnapshot:
        """Return what the last scan found, or scan now where that has no copy of the message."""
        has_more = True  # No scan here may have found it yet: another machine may have queued it.
        while has_more and not self.seen.copies(reference):
            self.scan()
            has_more = self.seen.has_more
        return self.seen
