"""Keep the beginnings of the mails that people corrected, which Claude is shown as examples.

They are read from the mailbox when they are needed, and lie in memory alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from poller.dispatch.job import LazyMessage
from poller.errors import MessageGoneError
from poller.learning import embedding, lessons
from poller.triage.wording.reading import text_of
from poller.workflow.corrections import correction_of, last_of_each
from poller.workflow.errors import DependencyPendingError, MessageUnavailableError
from poller.workflow.status import received_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poller.config.settings import ImapSettings
    from poller.learning.embedding import Vector
    from poller.learning.lessons import Lesson
    from poller.mailbox.source import MessageSource
    from poller.model import Request
    from poller.workflow.corrections import Correction
    from poller.workflow.facts import FactStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KEPT: Final = 200  # corrections, the last ones
AT_ONCE: Final = 5  # mails that one request has read, so that its ticket need not wait for all of them


class CorrectedMails:
    """The corrected mails that were read so far."""

    def __init__(self, source: MessageSource, spool: Path, imap: ImapSettings) -> None:
        """Read nothing yet. `spool` is the directory of the spool files."""
        self._source, self._spool, self._imap = source, spool, imap
        self._known: dict[str, tuple[Vector, Lesson] | None] = {}  # by the correction's id; None: it cannot be read
        self._reading = threading.Lock()

    def nearest(self, vector: Vector, store: FactStore) -> list[Lesson]:
        """Return the most similar of those that are known, having read a few that are not.

        Raises:
            StateUnavailableError: the state store is out of reach.
        """
        if self._reading.acquire(blocking=False):
            try:
                self._read(store)
            finally:
                self._reading.release()
        return lessons.nearest(vector, [each for each in list(self._known.values()) if each])

    def _read(self, store: FactStore) -> None:
        """Read some of the last corrections that are not known yet, and drop what is none of them any more."""
        ids = list(last_of_each(store.corrections()).values())[-KEPT:]
        for dropped in self._known.keys() - set(ids):
            del self._known[dropped]
        new = [each for each in reversed(ids) if each not in self._known][:AT_ONCE]
        read: list[tuple[Correction, Request]] = []
        for correction in filter(None, map(correction_of, new)):
            try:
                if request := self._fetch(correction, store):
                    read.append((correction, request))
            except (MessageGoneError, DependencyPendingError):
                self._known[correction.id] = None
            except MessageUnavailableError as error:
                log.warning("corrected_mail_not_read", ref=correction.reference, reason=str(error))
                break
        try:
            vectors = embedding.embed([text_of(request) for _, request in read])
        except embedding.EmbeddingFailedError as error:
            log.warning("corrected_mail_not_read", reason=str(error))
            # One of them may be more than the process can bear. All are given up, so that the others get their turn.
            self._known |= dict.fromkeys(correction.id for correction, _ in read)
            return
        for vector, (correction, request) in zip(vectors, read, strict=True):
            self._known[correction.id] = vector, lessons.lesson_of(request, correction.category)

    def _fetch(self, correction: Correction, store: FactStore) -> Request | None:
        """Read a corrected mail from where it is filed. Return None while the correction is at work.

        Raises:
            MessageGoneError: it is not there, or the correction did not come to its end.
            DependencyPendingError: the mail server has it, and does not give it.
            MessageUnavailableError: it cannot be read now.
        """
        outcome = store.result(correction.reference).final_outcome
        if outcome.is_open:
            return None
        at = received_at(store.journal(correction.id))
        if at is None or outcome is not correction.category.outcome:
            raise MessageGoneError(correction.id)
        path = self._spool / f"corrected-{correction.reference}.eml"
        message = LazyMessage(correction.reference, self._source, path, self._imap)
        message.filed(correction.category.outcome, at)
        try:
            return message.request
        finally:
            message.discard()


def examples_for(mails: CorrectedMails | None, store: FactStore, vector: Vector | None) -> Sequence[Lesson]:
    """Return what Claude is shown beside an embedded request. Nothing where it is off, or the request has no vector."""
    return mails.nearest(vector, store) if mails and vector else ()
