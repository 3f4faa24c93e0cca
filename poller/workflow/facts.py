"""The facts that are kept across messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from poller.model import Outcome
from poller.workflow.results import WorkResult

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from poller.workflow.status import Entry


class FactStore(Protocol):
    """The stored facts, which all messages share."""

    def remember(self, key: str, value: str) -> str:
        """Keep a short text under a key, for good, and return the text that was kept there first."""

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what is kept under each key. A key under which nothing is kept is missing."""

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """Return the last keys with this prefix kept since then, the latest first, each with its text."""

    def facts(self, prefix: str) -> dict[str, str]:
        """Return the texts kept under the keys that begin with `prefix`, by key."""

    def result(self, reference: str, before: str = "") -> WorkResult:
        """Return the result of the work on a message, or of its last correction: WORKING while it is at work.

        With `before`, the result before the correction of that id. For an unknown message, as after `poller purge`, the
        outcome is FORGOTTEN and there is nothing else.
        """

    def corrections(self) -> list[str]:
        """Return the ids of all corrections, the first begun first. They are few."""

    def journal(self, reference: str) -> list[Entry]:
        """Return everything that was recorded about a message, in order."""


class InMemoryFacts:
    """The facts of one run without a state store, as of `poller try --live`. It knows of no other message."""

    def __init__(self) -> None:
        """Begin without any fact."""
        self._kept: dict[str, str] = {}

    def remember(self, key: str, value: str) -> str:
        """Keep a text under a key, and return the text that was kept there first."""
        return self._kept.setdefault(key, value)

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what is kept under each key."""
        return {key: self._kept[key] for key in keys if key in self._kept}

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """Return the last keys with this prefix. All of them were kept since this run began."""
        del since
        return [item for item in reversed(self._kept.items()) if item[0].startswith(prefix)][:limit]

    def facts(self, prefix: str) -> dict[str, str]:
        """Return the texts kept under the keys that begin with `prefix`, by key."""
        return {key: text for key, text in self._kept.items() if key.startswith(prefix)}

    def result(self, reference: str, before: str = "") -> WorkResult:
        """Return that nothing is recorded of the message."""
        del reference, before
        return WorkResult(Outcome.FORGOTTEN)

    def corrections(self) -> list[str]:
        """Return that there is none."""
        return []

    def journal(self, reference: str) -> list[Entry]:
        """Return that nothing is recorded of the message."""
        del reference
        return []
