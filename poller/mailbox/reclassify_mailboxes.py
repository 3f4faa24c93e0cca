"""The two mailboxes into which a person drags a message to have it dispatched as what it is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, TransientError
from poller.config.settings import Labels
from poller.errors import MessageGoneError
from poller.mailbox.inbox import Inbox
from poller.model import Category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.config.settings import Settings

OFF = "-"  # in place of a name

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def names(labels: Labels) -> dict[Category, str]:
    """Which mailbox it is for each category, but for those that are turned off."""
    every = {Category.SUPPORT: labels.reclassify_support, Category.MODELISATION: labels.reclassify_modelisation}
    return {category: name for category, name in every.items() if name != OFF}


def stranded(labels: Labels, count: Callable[[str], int]) -> dict[str, int]:
    """How many messages lie in those of the usual names that are looked into no more; `count` says how many lie in one.

    Only mailboxes in which any lie are named; of other names that they once had nobody knows any more.
    """
    usual = [Labels.model_fields[field].default for field in ("reclassify_support", "reclassify_modelisation")]
    unwatched = set(usual) - set(names(labels).values())
    return {name: lying for name in sorted(unwatched) if (lying := count(name))}


class Trays:
    """The mailboxes, each as a `Source`; what lies in one is known by the same reference as in the inbox."""

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        """Nothing is connected before the first call; `inbox` is asked how many messages there are."""
        self._labels, self._inbox, self._made = settings.labels, inbox, False
        self._seen: dict[Category, frozenset[str]] = {}  # what lay in each at the last look
        self.names = names(settings.labels)
        self.sources = {category: Inbox(settings, within=name) for category, name in self.names.items()}
        for source in self.sources.values():
            source.behind = inbox

    def scan(self) -> Iterator[tuple[str, Category]]:
        """The references of what lies in them, each with the category that it is to have.

        A mailbox in which nothing lies costs one round trip. They are made at the first look, so that they are found.
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
                # What one of them cannot give stops neither the other nor the inbox.
                log.warning("tray_left", mailbox=self.names[category], reason=str(error))
                continue
            self._seen[category] = frozenset(found)
            yield from ((reference, category) for reference in found)

    def holds(self, reference: str) -> bool:
        """Whether the message lay in one of them at the last look."""
        return any(reference in seen for seen in list(self._seen.values()))

    def lying(self) -> Iterator[tuple[str, Category]]:
        """The same for whoever must know all of it: nothing is made, and what cannot be read is an error."""
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
                # Whoever cannot have it does without: all other mail goes on.
                log.warning("tray_not_made", mailbox=name, reason=str(error))
        for name, count in stranded(self._labels, lambda name: self._inbox.count([name])[name]).items():
            log.warning("tray_stranded", mailbox=name, messages=count)
        self._made = True

    def close(self) -> None:
        """End every session that is not in use."""
        for source in self.sources.values():
            source.close()
