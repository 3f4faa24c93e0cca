"""The record of one message in a list, and the executions that replay it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from poller.workflow.facts import InMemoryFacts
from poller.workflow.history import dispensable
from poller.workflow.journal import Journal
from poller.workflow.retry import RetryPolicy
from poller.workflow.shared_lock import SharedLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.errors import ConfigurationError
    from poller.workflow.circuit_breaker import CircuitBreaker
    from poller.workflow.retry import Attempt

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


class ProcessDiedError(BaseException):
    """A kill -9 at this very point."""


class JournalRecord:
    """The entries of a message by position, given back to the execution that replays them, and its clock."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        self.facts = InMemoryFacts()
        self.breakers: dict[str, CircuitBreaker] = {}
        self.faults: list[tuple[str, ConfigurationError]] = []
        self.now = START
        self.lease_epoch = 0
        self.step_lock = SharedLock()

    def ask_again(self) -> None:
        """Forget everything behind the last failure, as a person's retry does."""
        while "fatal" not in self.entries[-1][1]:
            self.entries.pop()

    def resume(self, visible_after_s: float = 10.0) -> None:
        """Delete what the waiting step can do without, as `Engine.resume` does."""
        name = self.entries[-1][0]
        history = [entry for _, entry in takewhile(lambda each: each[0] == name, reversed(self.entries))][::-1]
        settled = self.now - timedelta(seconds=visible_after_s)
        if count := dispensable(history, lambda tried: tried <= settled):
            del self.entries[-count:]

    def execution(self, **retry_policy: Any) -> Journal:
        """Begin, or resume, the message."""
        position = 0

        def record(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            nonlocal position
            if position == len(self.entries):
                self.entries.append((name, make()))
            assert self.entries[position][0] == name
            position += 1
            return self.entries[position - 1][1]

        def introduce(change: str) -> bool:
            if position < len(self.entries) and self.entries[position][0] != change:
                return False
            record(change, dict)
            return True

        return Journal(
            "0123456789abcdef",
            record,
            step_lock=self.step_lock,
            breakers=self.breakers,
            retry_policy=RetryPolicy(**retry_policy),
            halt=lambda service, fault: self.faults.append((service, fault)),
            store=self.facts,
            introduce=introduce,
            lease_epoch=lambda: self.lease_epoch,
            now=lambda: self.now,
        )


def raising(error: BaseException) -> Callable[[Attempt], Any]:
    """Return a try that ends in this error."""

    def act(_: Attempt) -> Any:
        raise error

    return act
