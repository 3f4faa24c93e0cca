"""Know the messages whose header the server gives, and whose content it does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class WithheldMessages:
    """The withheld messages of one mailbox, by reference, for any number of threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._since: dict[str, datetime] = {}
        self._cut: set[str] = set()  # the connection was cut when they were last fetched

    def since(self) -> dict[str, datetime]:
        """Return since when each of them has been withheld; aware, UTC."""
        with self._lock:
            return dict(self._since)

    def add(self, reference: str, among: Collection[str]) -> None:
        """Add a message, and forget what is no longer `among` the waiting ones."""
        with self._lock:
            self._since = {each: at for each, at in self._since.items() if each in among}
            self._since.setdefault(reference, datetime.now(UTC))

    def discard(self, reference: str) -> None:
        """Take a message off that the server has given."""
        with self._lock:
            self._since.pop(reference, None)
            self._cut.discard(reference)

    def was_cut(self, reference: str, among: Collection[str]) -> bool:
        """Record that the connection was cut at a message. Return whether it was at the last time, too."""
        with self._lock:
            again = reference in self._cut
            self._cut = {*self._cut.intersection(among), reference}
            return again
