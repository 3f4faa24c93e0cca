"""Know the messages whose header the server gives, and whose content it does not."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from poller.mailbox.scanner import MailboxSnapshot


def moment(at_s: float) -> datetime:
    """Return the time of a moment on the monotonic clock, by the clock of the machine as it is set now; aware, UTC."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - at_s)


class WithheldMessages:
    """The withheld messages of one mailbox, by reference, for any number of threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._since_s: dict[str, float] = {}  # on the monotonic clock
        self._cut: set[str] = set()  # the connection was cut when they were last fetched

    def since_s(self, seen: MailboxSnapshot) -> dict[int, float]:
        """Return since when each of them has been withheld, by UID, on the monotonic clock."""
        with self._lock:
            return {uid: at_s for name, at_s in self._since_s.items() for uid in seen.by_reference.get(name, ())}

    def add(self, reference: str, among: Collection[str]) -> None:
        """Add a message, and forget what is no longer `among` the waiting ones."""
        with self._lock:
            self._since_s = {each: at_s for each, at_s in self._since_s.items() if each in among}
            self._since_s.setdefault(reference, time.monotonic())

    def discard(self, reference: str) -> None:
        """Take a message off that the server has given."""
        with self._lock:
            self._since_s.pop(reference, None)
            self._cut.discard(reference)

    def was_cut(self, reference: str, among: Collection[str]) -> bool:
        """Record that the connection was cut at a message. Return whether it was at the last time, too."""
        with self._lock:
            again = reference in self._cut
            self._cut = {*self._cut.intersection(among), reference}
            return again
