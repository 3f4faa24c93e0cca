"""Tell different requests apart that share Message-ID, From, Date and Subject, and so the reference.

A site's mailer may make its Message-IDs of the second, and anyone may copy four fields. The first message keeps the
reference. One of other content gets a reference of its own, made of the reference and the content. Whoever computes
references must know of it, so the state store keeps the references that are shared: they are few.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from poller.errors import MessageGoneError, MessageWithheldError
from poller.mailbox.account import account_of, recorded_account
from poller.mime.reference import BEGINNING_BYTES, content_digest, variant_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from poller.config.settings import ImapSettings
    from poller.imap.session import ImapSession
    from poller.workflow.store import StateStore

FACT = "variant-"  # key of a fact, before a reference: the digest of the message that keeps the reference

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Variants:
    """The shared references, as the state store knows them."""

    def __init__(self, store: StateStore | None = None) -> None:
        """Take over the store. Without one, no reference is known to be shared."""
        self._store, self._account = store, ""

    def account(self, imap: ImapSettings) -> str:
        """Return the name of the account in every reference, which is that of the first start."""
        self._account = self._account or (recorded_account(self._store, imap) if self._store else account_of(imap))
        return self._account

    def named(self, session: ImapSession, references: Mapping[int, str]) -> dict[int, str]:
        """Return the reference of each message by UID, given what its header says.

        Only a message whose reference is shared is read for it. Where the server does not give it, it is missing.
        """
        keepers = self._store.recall({FACT + each for each in references.values()}) if self._store else {}
        found = dict(references)
        for uid, reference in references.items():
            if keeper := keepers.get(FACT + reference):
                try:
                    found[uid] = _own(session, uid, reference, keeper)
                except MessageGoneError:
                    continue
                except MessageWithheldError:
                    del found[uid]
        return found

    def tell_apart(self, session: ImapSession, reference: str, uids: Iterable[int]) -> dict[int, str]:
        """Compare the messages of one reference, the first received first. Return the own references of the others.

        They are compared with the message that the work under the reference began with. Where an earlier release began
        it, and only one message is here, that is taken for the same.
        """
        in_order = list(uids)
        keeper = self._store.digest(reference) if self._store else ""
        if self._store is None or (not keeper and len(in_order) == 1):
            return {}
        found: dict[int, str] = {}
        for uid in in_order:
            with suppress(MessageGoneError):
                keeper = keeper or _digest(session, uid)
                own = _own(session, uid, reference, keeper)
                if own != reference:
                    found[uid] = own
        if found:
            # Recorded before anything is done under the new names: after a restart they are found again.
            self._store.remember(FACT + reference, keeper)
            log.warning("messages_told_apart", ref=reference, own=sorted(set(found.values())))
        return found


def _own(session: ImapSession, uid: int, reference: str, keeper: str) -> str:
    digest = _digest(session, uid)
    return reference if digest == keeper else variant_reference(reference, digest)


def _digest(session: ImapSession, uid: int) -> str:
    return content_digest(b"".join(session.pieces(uid, BEGINNING_BYTES)))
