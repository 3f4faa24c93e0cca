"""Set and read our keywords in a selected mailbox, where the server keeps them (RFC 9051 section 2.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, ProtocolError

from poller.imap.fetch import flags_of
from poller.imap.responses import is_gone, said
from poller.imap.search import present

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from imapclient import IMAPClient

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Keywords:
    """Keywords in the selected mailbox of a session, as far as the server is known to keep them. See `select`."""

    def __init__(self, client: IMAPClient) -> None:
        self._client, self._mailbox = client, ""
        self._permanent_flags: Sequence[bytes] = ()
        self._proved: set[str] = set()  # keywords that the server was seen to keep

    def select(self, mailbox: str, permanent_flags: Sequence[bytes] | None) -> None:
        """Record which mailbox was selected, and its PERMANENTFLAGS, None where the server does not tell them."""
        self._mailbox, self._permanent_flags = mailbox, permanent_flags or ()
        # Where none are told, every flag may be set (RFC 9051 section 7.1).
        self.may_delete = permanent_flags is None or b"\\deleted" in {flag.lower() for flag in permanent_flags}

    def keeps(self, keyword: str) -> bool:
        """Return whether a message keeps the keyword once it was put on it."""
        return b"\\*" in self._permanent_flags or keyword.encode() in self._permanent_flags

    def mark(self, uids: Sequence[int], keyword: str, others: Sequence[str]) -> None:
        """Put the keyword on messages and take the others off, where the server keeps it.

        Some servers say that they keep keywords, and then refuse or drop them. So the first use of each is verified.
        """
        if not self.keeps(keyword):
            return
        try:
            self._client.remove_flags(uids, others, silent=True)
            self._client.add_flags(uids, [keyword], silent=True)
        except (IMAPClientAbortError, ProtocolError):
            raise
        except IMAPClientError as error:
            if is_gone(error):
                raise
            self._give_up("keyword_refused", keyword=keyword, reason=said(error))
            return
        if keyword in self._proved:
            return
        here = set(present(self._client, uids))
        if here <= set(self.marked(uids, keyword)):
            self._proved |= {keyword} if here else set()
        else:
            self._give_up("keyword_not_kept", keyword=keyword)

    def _give_up(self, event: str, **fields: str) -> None:
        # No error: the mailbox tells the outcome, and the keyword only repeats it.
        log.warning(event, mailbox=self._mailbox, **fields)
        self._permanent_flags = ()

    def marked(self, uids: Sequence[int], keyword: str) -> Collection[int]:
        """Return the UIDs of those messages that bear the keyword, all of them where the server keeps none."""
        if not self.keeps(keyword):
            return uids
        rows = self._client.fetch(uids, ["FLAGS"])
        return [uid for uid in uids if keyword.encode().lower() in flags_of(rows.get(uid, {}))]
