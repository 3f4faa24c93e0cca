"""The facts that are kept across messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from poller.model import WorkResult


class FactStore(Protocol):
    """The stored facts, which all messages share."""

    def remember(self, key: str, value: str) -> str:
        """Keep a short text under a key, for good; returns the one that was kept first."""

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """What is kept under each key; one under which nothing is kept is missing."""

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """The last keys that begin so and were kept since then, the latest first, each with what is kept under it."""

    def result(self, reference: str, before: str = "") -> WorkResult:
        """Return the result of the work on a message, or of its last correction: WORKING while it is at work.

        With `before`, the result before the correction of that id. For an unknown message, as after `poller purge`, the
        outcome is FORGOTTEN and there is nothing else.
        """
