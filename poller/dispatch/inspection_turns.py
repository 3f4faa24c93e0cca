"""Let few messages of a process inspect their files at a time, so that the others keep the workers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from poller.workflow.errors import DependencyPendingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# While the files of one message are inspected, another one fetches its mail. Two workers of four remain for tickets.
AT_ONCE = 2


class InspectionTurns:
    """The messages whose files are being inspected, and those that wait for a turn, in the order they came."""

    def __init__(self, wake: Callable[[str], object] = lambda _: None) -> None:
        """Begin without any. `wake` resumes a message that waits, or does nothing where it does not wait any more."""
        self._wake = wake
        self._lock = threading.Lock()
        self._taken = 0
        self._line: dict[str, None] = {}

    @contextmanager
    def turn(self, reference: str) -> Iterator[None]:
        """Hold a turn, and wake the first message of the line at its end.

        Raises:
            DependencyPendingError: there is none now. The message is in the line.
        """
        with self._lock:
            if self._taken >= AT_ONCE:
                self._line[reference] = None
                raise DependencyPendingError("the files of other messages are being inspected", is_turn=True)
            self._taken += 1
            self._line.pop(reference, None)
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
                first = next(iter(self._line), None)
                if first is not None:
                    del self._line[first]
            if first is not None:
                self._wake(first)
