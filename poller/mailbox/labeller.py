"""One outcome's label, put on by any number of threads: messages that finish together are filed together.

A STORE or MOVE of fifty messages takes little longer than one of a single message. So while a thread files, those that
come wait, and then one of them files what all of them have. Nobody waits for company: who comes alone files at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.mailbox.source import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.config.settings import Labels
    from poller.imap.pool import Sessions
    from poller.imap.session import Mailbox


MOST = 8  # messages; at 3 s a message they still fit into one imap.timeout_s


@dataclass(slots=True, eq=False)
class _Wish:
    """What a thread wants filed, and what has become of it."""

    uids: Sequence[int]
    uidvalidity: int  # what they are good under
    tried: bool = False
    filed: bool = False
    failure: TransientError | ConfigurationError | None = None  # of all that were tried together


class Labelling:
    """At most MOST messages at a time, for a server has to file all of them while one answer is waited for.

    One that did not manage in time is given one message, and then more again.
    """

    def __init__(self, sessions: Sessions, labels: Labels, outcome: str) -> None:
        """Nothing is connected before the first message is filed."""
        others = [name for name in KEYWORDS if name != outcome]
        self._sessions, self._mailbox, self._keyword = sessions, getattr(labels, outcome), KEYWORDS[outcome]
        self._other_keywords = [KEYWORDS[name] for name in others]
        self._other_mailboxes = [getattr(labels, name) for name in others]
        self._changed = threading.Condition()
        self._wishes: list[_Wish] = []  # one of each thread that is here
        self._filing = False  # one of these is at it
        self._most = MOST  # for the next turn

    def file(self, uids: Sequence[int], uidvalidity: int) -> None:
        """File the copies of a message, alone or together with others; see `Mailbox.label`.

        Raises:
            TransientError: it may or may not have been filed, the next try finds out.
            ConfigurationError: the server will have no mailbox of that name, or not let us in.
        """
        wish = _Wish(uids, uidvalidity)
        with self._changed:
            self._wishes.append(wish)
        try:
            if self._has_turn(wish):
                self._file_all(wish)
        finally:
            with self._changed:
                self._wishes.remove(wish)
        if wish.failure:
            raise wish.failure
        if not wish.filed:
            with self._sessions.one(uidvalidity) as session:
                self._label(session, [wish])

    def _has_turn(self, wish: _Wish) -> bool:
        """Wait until nobody files; False when by then another thread has tried what this one wants."""
        with self._changed:
            self._changed.wait_for(lambda: wish.tried or not self._filing)
            self._filing = self._filing or not wish.tried
            return not wish.tried

    def _file_all(self, first: _Wish) -> None:
        """File what everybody here wants; what comes while a session is waited for is still among it."""
        batch: list[_Wish] = []
        answers = False
        try:
            with self._sessions.one(first.uidvalidity) as session:
                batch = self._alike(first, self._most)
                try:
                    self._label(session, batch)
                except TransientError:
                    answers = len(batch) > 1 and _answers(session)
                    self._most = self._most if answers else 1
                    raise
        except (TransientError, ConfigurationError) as error:
            # Without a session nobody here gets on.
            batch = batch or self._alike(first, len(self._wishes))
            # Where the server has answered it may be the trouble of one: then each is filed by itself.
            for each in () if answers else batch:
                each.failure = error
        else:
            self._most = min(2 * self._most, MOST)
            for each in batch:
                each.filed = True
        finally:
            with self._changed:
                for each in batch or [first]:
                    each.tried = True
                self._filing = False
                self._changed.notify_all()

    def _alike(self, first: _Wish, most: int) -> list[_Wish]:
        """This one and what else is wanted now under its UIDVALIDITY, and was not tried yet."""
        with self._changed:
            others = [each for each in self._wishes if not each.tried and each.uidvalidity == first.uidvalidity]
            others.remove(first)
            return [first, *others[: most - 1]]

    def _label(self, session: Mailbox, batch: Sequence[_Wish]) -> None:
        uids = [uid for each in batch for uid in each.uids]
        session.label(uids, self._mailbox, self._keyword, self._other_keywords, self._other_mailboxes)


def _answers(session: Mailbox) -> bool:
    """Whether the server has ended what it was asked, well or not; else all of that is in doubt."""
    try:
        session.refresh()
    except TransientError:
        return False
    return True
