"""Submit messages to the engine, and resume those that wait when they are due."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from integrations.errors import TransientError
from poller.daemon.retry_requests import EVERYTHING
from poller.dispatch.receive import TOO_OFTEN
from poller.model import Outcome
from poller.workflow.corrections import message_of
from poller.workflow.errors import StateUnavailableError
from poller.workflow.retry import LONGEST_WAIT_S
from poller.workflow.steps import AT_THE_END

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from poller.workflow.engine import Engine
    from poller.workflow.status import MessageStatus

AT_ONCE = 500  # messages whose status is queried at a time
SHORT_WAIT_S = 30.0  # `poller once` waits for shorter waits and leaves the rest for later


class Scheduler:
    """The messages that this process works on, and those that wait.

    What this process has not tried yet is due at once, however long an earlier process was told to wait.
    """

    def __init__(
        self, engine: Engine, progress: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the arguments. `progress` is called for each message that is started or resumed.

        `clock` returns seconds and is monotonic.
        """
        self._engine, self.progress, self._clock = engine, progress, clock
        self.working: set[str] = set()
        self.waiting: dict[str, MessageStatus] = {}
        self._unseen: dict[str, MessageStatus] = {}  # by reference: what waits, in the state, and no scan has found yet
        self._tried: set[str] = set()  # those of `waiting` that this process has tried
        self._asked: set[str] = set()  # what a person asks to have tried now, see `retry_requests`
        self._unasked: list[str] = []  # messages at work whose status is still to be queried in this round
        self._woken: set[str] = set()  # messages that another thread has resumed since the last tick
        self._since_s: dict[str, float] = {}  # when each waiting message was first seen by a tick, by `clock`
        self._waited: dict[str, datetime] = {}  # when `poller once` first saw each waiting message

    def begin(self) -> None:
        """Load the unfinished messages of the previous process. The engine must be running."""
        # A scan may not find these: labelled already, a message has left the inbox before its last steps.
        self.working = self._engine.in_hand()
        for reference, status in self._engine.waiting().items():
            # Likewise: if the response to the labelling was lost, the message has already left the inbox.
            if status.result.step in AT_THE_END:
                self.waiting[reference] = status
            else:
                self._unseen[message_of(reference)] = status

    def waiting_messages(self) -> list[MessageStatus]:
        """Return the status of each message that keeps a person waiting, as `poller status` counts them.

        A message that is filed, and waits for its receipt alone, is not one of them.
        """
        waiting = dict(self.waiting)
        known = set(map(message_of, [*waiting, *list(self.working)]))
        unseen = [status for reference, status in list(self._unseen.items()) if reference not in known]
        return [each for each in (*waiting.values(), *unseen) if each.result.final_outcome is Outcome.WAITING]

    def submit(self, reference: str) -> None:
        """Start work on a message or a correction, while the queue is polled."""
        self._engine.submit(reference, at_once=not self.working)
        self.working.add(reference)

    def resume(self, reference: str, seen: MessageStatus) -> None:
        """Resume a waiting or failed message, unless its status is no longer `seen`."""
        self.progress()
        self._engine.poll_queue()
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
        self._engine.poll_queue()
        with suppress(TransientError, StateUnavailableError):
            status = self._engine.store.statuses([reference]).get(reference)
            if status and status.outcome is Outcome.WAITING:
                self._engine.resume(reference, status)

    def try_now(self, asked: Collection[str]) -> None:
        """Have the next tick try messages of these names, as in `retry_requests`, whatever they wait for."""
        self._asked.update(asked)

    def tick(self) -> dict[str, MessageStatus]:
        """Resume what is due, and return the status of the messages that have stopped since the last call."""
        now = datetime.now(UTC)
        while self._woken:
            reference = self._woken.pop()
            self._to_work(reference)
        self._take_up_asked(now)
        in_trial: set[str] = set()
        for reference, status in sorted(self.waiting.items(), key=lambda each: each[0] in self._tried):
            service = status.service if self._is_untried(reference, status) else status.result.breaker
            if service in in_trial or not (self._due(reference, status, now) or self._has_waited_longest(reference)):
                continue
            self.resume(reference, status)
            if service and not self._answers(service):
                in_trial.add(service)  # One message tries the service. The others would only be deferred again.
        # Query a long queue in parts, in turn. No timestamps: machines that share the database have their own clocks.
        self._unasked = self._unasked or list(self.working)
        asked, self._unasked = self._unasked[:AT_ONCE], self._unasked[AT_ONCE:]
        stopped = {ref: s for ref, s in self._engine.store.statuses(asked).items() if s.outcome is not Outcome.WORKING}
        self.working -= stopped.keys()
        self._engine.poll_queue_for(self.working | self._woken)
        waiting = {ref: status for ref, status in stopped.items() if status.outcome is Outcome.WAITING}
        self.waiting |= waiting
        for reference in stopped:
            self._unseen.pop(message_of(reference), None)
        self._tried = (self._tried - stopped.keys()) | waiting.keys()
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
        return any(self._due(reference, status, limits[reference]) for reference, status in self.waiting.items())

    def _has_waited_longest(self, reference: str) -> bool:
        """Return whether a message has waited here for as long as any may.

        The time that it waits for may come from a clock that was ahead.
        """
        now_s = self._clock()
        return now_s - self._since_s.setdefault(reference, now_s) >= LONGEST_WAIT_S

    def _take_up_asked(self, now: datetime) -> None:
        for reference in self._asked - {EVERYTHING}:
            last, status = self._engine.store.last(reference)
            if status and status.outcome is Outcome.WAITING:
                self.waiting[last] = status  # It may wait outside of the mailbox, where no scan finds it.
        for reference, status in self.waiting.items():
            if EVERYTHING in self._asked or message_of(reference) in self._asked:
                self._tried.discard(reference)
                if status.service:
                    self._engine.breaker(status.service).try_now(now)
        self._asked.clear()

    def _is_untried(self, reference: str, status: MessageStatus) -> bool:
        """Return whether this process has still to try the message. One that waits for its turn has nothing to try."""
        return reference not in self._tried and status.result.reason != TOO_OFTEN

    def _answers(self, service: str) -> bool:
        breaker = self._engine.breaker(service)
        return breaker.is_closed and breaker.has_succeeded

    def _due(self, reference: str, status: MessageStatus, now: datetime) -> bool:
        until = status.result.until
        if name := status.result.breaker:
            breaker = self._engine.breaker(name)
            if breaker.open_until or breaker.has_succeeded:
                # This process knows newer facts about the service than the message recorded.
                until = breaker.open_until or now
        if self._is_untried(reference, status):
            held_until = self._engine.breaker(status.service).open_until if status.service else None
            until = min(until or now, held_until or now)
        return until is not None and until <= now
