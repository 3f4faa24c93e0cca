"""Scan the two reclassify mailboxes, into which a person moves a message to change its category."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, TransientError
from poller.config.settings import LabelsSettings
from poller.errors import MessageGoneError
from poller.logs import Trouble
from poller.mailbox.inbox import Inbox
from poller.model import Category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.config.settings import Settings

OFF = "-"  # instead of a name: this reclassify mailbox is turned off

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def names(labels: LabelsSettings) -> dict[Category, str]:
    """Return the reclassify mailbox of each category, without those that are turned off."""
    every = {Category.SUPPORT: labels.reclassify_support, Category.MODELISATION: labels.reclassify_modelisation}
    return {category: name for category, name in every.items() if name != OFF}


def stranded(labels: LabelsSettings, count: Callable[[str], int]) -> dict[str, int]:
    """Return the number of messages in each default reclassify mailbox that is no longer scanned.

    `count` returns the number of messages in a mailbox. Empty mailboxes are left out. Mailboxes with other names that
    were configured earlier are unknown.
    """
    usual = [LabelsSettings.model_fields[field].default for field in ("reclassify_support", "reclassify_modelisation")]
    unwatched = set(usual) - set(names(labels).values())
    return {name: lying for name in sorted(unwatched) if (lying := count(name))}


class ReclassifyMailboxes:
    """The reclassify mailboxes, each as a `MessageSource`. A message has the same reference there as in the inbox."""

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        """Keep the settings. Nothing is connected before the first call.

        `inbox` counts the messages of each mailbox.
        """
        self._labels, self._inbox, self._made = settings.labels, inbox, False
        self._seen: dict[Category, frozenset[str]] = {}  # references in each at the last scan
        self.names = names(settings.labels)
        self._unscanned = {category: Trouble(log, "reclassify_mailbox_skipped") for category in self.names}
        self.sources = {category: Inbox(settings, within=name) for category, name in self.names.items()}
        for source in self.sources.values():
            source.behind = inbox
            source.variants = inbox.variants

    def scan(self) -> Iterator[tuple[str, Category]]:
        """Yield the reference and the requested category of each message in the reclassify mailboxes.

        An empty mailbox costs one round trip. Missing mailboxes are created at the first scan, so that people find
        them.
        """
        if not self._made:
            self._make()
        for category, source in self._filled():
            try:
                found = source.scan()
            except MessageGoneError:  # A person has just deleted the mailbox.
                self._seen.pop(category, None)
                continue
            except (TransientError, ConfigurationError) as error:
                # A failure of one mailbox stops neither the other one nor the inbox.
                self._unscanned[category].met(str(error), mailbox=self.names[category])
                continue
            self._unscanned[category].over()
            self._seen[category] = frozenset(found)
            yield from ((reference, category) for reference in found)

    def holds(self, reference: str) -> bool:
        """Return True if the message was in one of the mailboxes at the last scan."""
        return any(reference in seen for seen in list(self._seen.values()))

    def list_waiting(self) -> Iterator[tuple[str, Category]]:
        """Yield the same as `scan`, for callers that need all of it.

        No mailbox is created, and a message that cannot be read is an error.
        """
        for category, source in self._filled():
            with suppress(MessageGoneError):
                yield from ((reference, category) for reference in source.scan(all_or_none=True))

    def _filled(self) -> Iterator[tuple[Category, Inbox]]:
        counts = self._inbox.count(list(self.names.values()))
        for category, source in self.sources.items():
            if counts[self.names[category]]:
                yield category, source
            else:
                self._seen.pop(category, None)
                source.close()

    def _make(self) -> None:
        for name in self.names.values():
            try:
                self._inbox.ensure(name)
            except ConfigurationError as error:
                # A server that refuses to create the mailbox must not stop other mail.
                log.warning("reclassify_mailbox_not_created", mailbox=name, reason=str(error))
        for name, count in stranded(self._labels, lambda name: self._inbox.count([name])[name]).items():
            log.warning("reclassify_mailbox_unwatched", mailbox=name, messages=count)
        self._made = True

    def close(self) -> None:
        """Close every session that is not in use."""
        for source in self.sources.values():
            source.close()
