"""The messages in hand, and those that wait: given to the engine, and taken up again when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.workflow.engine import Engine
    from poller.workflow.status import Standing

AT_ONCE = 500  # messages that are asked for at a time
SHORT_WAIT_S = 30.0  # what `poller once` waits out before it leaves the rest for later


class Workload:
    """What the engine of this process has to do with."""

    def __init__(self, engine: Engine, progress: Callable[[], object]) -> None:
        """`progress` is called at each message that is got on with."""
        self._engine, self.progress = engine, progress
        self.working: set[str] = set()
        self.waiting: dict[str, Standing] = {}
        self._unasked: list[str] = []  # of those at work, since when all of them were last asked for
        self._waited: dict[str, datetime] = {}  # since when each message waits that `once` has to do with

    def begin(self) -> None:
        """Go on with what was in hand when the process last ended; the engine has been started."""
        # Of these the mailbox may show nothing any more: what is left to do is behind the label.
        self.working = self._engine.in_hand()
        # Filed already, perhaps: where the answer to the label was lost, the mailbox does not show it any more.
        self.waiting = self._engine.to_be_labelled()

    def submit(self, reference: str) -> None:
        """Begin with a message, or a correction."""
        self._engine.rest(False)
        self._engine.submit(reference, at_once=not self.working)
        self.working.add(reference)

    def resume(self, reference: str, seen: Standing) -> None:
        """Take a message up again that stands so."""
        self.progress()
        self._engine.rest(False)
        self._engine.resume(reference, seen)
        self.waiting.pop(reference, None)
        self.working.add(reference)

    def tick(self) -> dict[str, Standing]:
        """Take up what is due again; where the messages stand that have stopped since the last tick."""
        now = datetime.now(UTC)
        tried: set[str] = set()
        for reference, standing in list(self.waiting.items()):
            gate = standing.result["gate"] if standing.result else ""
            if gate in tried or not self._due(standing, now):
                continue
            self.resume(reference, standing)
            if gate and not self._engine.gate(gate).open:
                tried.add(gate)  # One message tries the service; the others would only be sent away again.
        # Of a long queue some at a time, in turn; by no clock, for machines that share it have their own.
        self._unasked = self._unasked or list(self.working)
        asked, self._unasked = self._unasked[:AT_ONCE], self._unasked[AT_ONCE:]
        stopped = {ref: s for ref, s in self._engine.standings(asked).items() if s.outcome != "working"}
        self.working -= stopped.keys()
        self._engine.rest(not self.working)
        self.waiting |= {ref: standing for ref, standing in stopped.items() if standing.outcome == "waiting"}
        return stopped

    def soon(self) -> bool:
        """Whether any wait is over, or will be within half a minute of the moment at which it began."""
        now, patience = datetime.now(UTC), timedelta(seconds=SHORT_WAIT_S)
        # An answer asks again every few seconds, for as long as the message that it answers waits.
        limits = {reference: self._waited.setdefault(reference, now) + patience for reference in self.waiting}
        return any(self._due(standing, limits[reference]) for reference, standing in self.waiting.items())

    def _due(self, standing: Standing, now: datetime) -> bool:
        until = standing.until
        if name := standing.result["gate"] if standing.result else "":
            gate = self._engine.gate(name)
            if gate.closed_until or gate.proven:
                # What this process knows of the service is newer than what the message was told.
                until = gate.closed_until or now
        return until is not None and until <= now
