"""The two mailboxes into which a person drags a message to have it dispatched as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError
from poller.inbox import Inbox
from poller.journal import MessageGoneError
from poller.request import Category

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.settings import Labels, Settings

OFF = "-"  # in place of a name

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def names(labels: Labels) -> dict[Category, str]:
    """Which mailbox it is for each category, but for those that are turned off."""
    every = {Category.SUPPORT: labels.reclassify_support, Category.MODELISATION: labels.reclassify_modelisation}
    return {category: name for category, name in every.items() if name != OFF}


class Trays:
    """The mailboxes, each as a `Source`; what lies in one is known by the same reference as in the inbox."""

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        """Nothing is connected before the first call; `inbox` is asked how many messages there are."""
        self._inbox, self._made = inbox, False
        self.names = names(settings.labels)
        self.sources = {category: Inbox(settings, within=name) for category, name in self.names.items()}

    def scan(self) -> Iterator[tuple[str, Category]]:
        """The references of what lies in them, each with the category that it is to have.

        A mailbox in which nothing lies costs one round trip. They are made at the first look, so that they are found.
        """
        if not self._made:
            self._make()
        return self.lying()

    def lying(self) -> Iterator[tuple[str, Category]]:
        """The same, and nothing is made."""
        counts = self._inbox.count(list(self.names.values()))
        for category, source in self.sources.items():
            if not counts[self.names[category]]:
                source.close()
                continue
            try:
                found = source.scan()
            except MessageGoneError:  # A person has just deleted the mailbox.
                continue
            yield from ((reference, category) for reference in found)

    def _make(self) -> None:
        for name in self.names.values():
            try:
                self._inbox.ensure(name)
            except ConfigurationError as error:
                # Whoever cannot have it does without: all other mail goes on.
                log.warning("tray_not_made", mailbox=name, reason=str(error))
        self._made = True

    def close(self) -> None:
        """End every session that is not in use."""
        for source in self.sources.values():
            source.close()
