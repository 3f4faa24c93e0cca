"""Find messages by what they say, in the polled mailbox and in those where messages are filed or reclassified.

The state holds nothing of this, so the mail server is asked each time.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.errors import MessageGoneError
from poller.imap import session as imap_session
from poller.mailbox import reclassify_mailboxes
from poller.mailbox.download import fetch_reference
from poller.mailbox.source import KEYWORDS
from poller.mime import headers
from poller.mime.addresses import author_and_sender
from poller.own_mail import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import date

    from poller.config.settings import Settings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession
    from poller.mailbox.variants import Variants

MOST = 200  # messages of one mailbox that are read for one search, the last ones first
_OURS = re.compile(rb"^%s:" % HEADER.encode(), re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FoundMail:
    """What a mail says of itself. Untrusted, and personal data: it is shown, and never kept."""

    reference: str
    mailbox: str  # where it lies, as the settings name it
    sender: str  # the address to answer, "" if there is none
    subject: str  # decoded, one line


def search(settings: Settings, variants: Variants, words: str) -> Iterator[FoundMail]:
    """Yield the mails from an address, with a Message-ID, or with all words in the subject.

    At most MOST are read in each mailbox, and each mail is yielded once.

    Raises:
        TransientError: the mailbox is out of reach, or the server cannot search so.
    """
    yield from _read(settings, variants, lambda session: session.matching(words)[: -MOST - 1 : -1], lambda _: True)


def read(settings: Settings, variants: Variants, references: Collection[str], since: date) -> dict[str, FoundMail]:
    """Return the mails of these references that arrived since then, by reference.

    Raises:
        TransientError: the mailbox is out of reach.
    """
    left = set(references)
    found: dict[str, FoundMail] = {}
    for mail in _read(settings, variants, lambda session: session.uids(since)[::-1] if left else [], left.__contains__):
        found[mail.reference] = mail
        left.discard(mail.reference)
    return found


def _read(
    settings: Settings, variants: Variants, uids_of: Callable[[ImapSession], list[int]], wanted: Callable[[str], bool]
) -> Iterator[FoundMail]:
    """Yield the wanted mails among these UIDs of each mailbox, each once, without our own."""
    seen: set[str] = set()
    with closing(imap_session.connect(settings.imap)) as session:
        for mailbox in _mailboxes(settings):
            if mailbox != settings.imap.mailbox and not session.select(mailbox):
                continue
            for arrival in session.fetch_summaries(uids_of(session), set()):
                if _OURS.search(arrival.header):
                    continue
                with suppress(MessageGoneError):  # A person took it between the search and the fetch.
                    named = fetch_reference(session, arrival, settings.imap, variants.account(settings.imap))
                    reference = variants.named(session, {arrival.uid: named}).get(arrival.uid, named)
                    if reference not in seen and wanted(reference):
                        seen.add(reference)
                        yield _described(arrival, reference, mailbox)


def _mailboxes(settings: Settings) -> list[str]:
    filed = [getattr(settings.labels, outcome) for outcome in KEYWORDS]
    # The polled one first: it is open.
    return [settings.imap.mailbox, *filed, *reclassify_mailboxes.names(settings.labels).values()]


def _described(arrival: MessageSummary, reference: str, mailbox: str) -> FoundMail:
    header = headers.take_apart(arrival.header)
    _, sender = author_and_sender(header)
    return FoundMail(reference, mailbox, sender.addr_spec, headers.decode(header.first(b"subject")))
