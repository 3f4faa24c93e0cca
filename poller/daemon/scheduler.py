"""Submit messages to the engine, and resume those that wait when they are due."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from integrations.errors import TransientError
from poller.model import Outcome
from poller.workflow.corrections import message_of
from poller.workflow.errors import StateUnavailableError
from poller.workflow.retry import LONGEST_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.workflow.engine import Engine
    from poller.workflow.status import MessageStatus

AT_ONCE = 500  # messages whose status is queried at a time
SHORT_WAIT_S = 30.0  # `poller once` waits for shorter waits and leaves the rest for later


class Scheduler:
    """The messages that this process works on, and those that wait."""

    def __init__(
        self, engine: Engine, progress: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the arguments. `progress` is called for each message that is started or resumed.

        `clock` returns seconds and is monotonic.
        """
        self._engine, self.progress, self._clock = engine, progress, clock
        self.working: set[str] = set()
        self.waiting: dict[str, MessageStatus] = {}
        self._unasked: list[str] = []  # messages at work whose status is still to be queried in this round
        self._woken: set[str] = set()  # messages that another thread has resumed since the last tick
        self._since_s: dict[str, float] = {}  # when each waiting message was first seen by a tick, by `clock`
        self._waited: dict[str, datetime] = {}  # when `poller once` first saw each waiting message

    def begin(self) -> None:
        """Load the unfinished messages of the previous process. The engine must be running."""
        # A scan may not find these: labelled already, a message has left the inbox before its last steps.
        self.working = self._engine.in_hand()
        # Likewise: if the response to the labelling was lost, the message has already left the inbox.
        self.waiting = self._engine.to_be_labelled()

    def submit(self, reference: str) -> None:
        """Start work on a message or a correction."""
        self._engine.pause_queue(False)
        self._engine.submit(reference, at_once=not self.working)
        self.working.add(reference)

    def resume(self, reference: str, seen: MessageStatus) -> None:
        """Resume a waiting or failed message, unless its status is no longer `seen`."""
        self.progress()
        self._engine.pause_queue(False)
        self._engine.resume(reference, seen)
        self._to_work(reference)

    def _to_work(self, reference: str) -> None:
        self.waiting.pop(reference, None)
        self._since_s.pop(reference, None)
        self.working.add(reference)

    def wake(self, reference: str) -> None:
        """Resume a message that waits for something that has just ended. Any thread may call this.

        Nothing happens if the message does not wait, or the database is out of reach: it is resumed when it is due.
        """
        self._woken.add(reference)
        self._engine.pause_queue(False)
        with suppress(TransientError, StateUnavailableError):
            status = self._engine.store.statuses([reference]).get(reference)
            if status and status.outcome is Outcome.WAITING:
                self._engine.resume(reference, status)

    def tick(self) -> dict[str, MessageStatus]:
        """Resume what is due, and return the status of the messages that have stopped since the last call."""
        now = datetime.now(UTC)
        while self._woken:
            reference = self._woken.pop()
            self._to_work(reference)
        tried: set[str] = set()
        for reference, status in list(self.waiting.items()):
            breaker = status.result.breaker
            if breaker in tried or not (self._due(status, now) or self._has_waited_longest(reference)):
                continue
            self.resume(reference, status)
            if breaker and not self._engine.breaker(breaker).is_closed:
                tried.add(breaker)  # One message tries the service. The others would only be deferred again.
        # Query a long queue in parts, in turn. No timestamps: machines that share the database have their own clocks.
        self._unasked = self._unasked or list(self.working)
        asked, self._unasked = self._unasked[:AT_ONCE], self._unasked[AT_ONCE:]
        stopped = {ref: s for ref, s in self._engine.store.statuses(asked).items() if s.outcome is not Outcome.WORKING}
        self.working -= stopped.keys()
        self._engine.pause_queue(not (self.working or self._woken))
        waiting = {ref: status for ref, status in stopped.items() if status.outcome is Outcome.WAITING}
        self.waiting |= waiting
        ended = {message_of(ref) for ref, status in stopped.items() if not status.result.final_outcome.is_open}
        if ended:
            self._waited.clear()  # Others may have waited for the message that has ended, and wait anew.
        for reference, status in list(self.waiting.items()):
            if status.result.behind in ended:
                self.resume(reference, status)
        return stopped

    def soon(self) -> bool:
        """Return True if a wait is over, or ends within half a minute of the moment at which it was first seen.

        Each message that ends gives the others another half minute.
        """
        now, short = datetime.now(UTC), timedelta(seconds=SHORT_WAIT_S)
        # An answer retries every few seconds as long as the message that it answers waits, so its limit must not move
        # before a message ends.
        limits = {reference: self._waited.setdefault(reference, now) + short for reference in self.waiting}
        return any(self._due(status, limits[reference]) for reference, status in self.waiting.items())

    def _has_waited_longest(self, reference: str) -> bool:
        """Return whether a message has waited here for as long as any may.

        The time that it waits for may come from a clock that was ahead.
        """
        now_s = self._clock()
        return now_s - self._since_s.setdefault(reference, now_s) >= LONGEST_WAIT_S

    def _due(self, status: MessageStatus, now: datetime) -> bool:
        until = status.result.until
        if name := status.result.breaker:
            breaker = self._engine.breaker(name)
            if breaker.open_until or breaker.has_succeeded:
                # This process knows newer facts about the service than the message recorded.
                until = breaker.open_until or now
        return until is not None and until <= now
