"""The loop: look at the mailbox, hand what waits in it to the engine, take up again what is due."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from integrations.errors import TransientError
from poller.engine import Engine, Standing
from poller.inbox import Inbox
from poller.journal import Patience
from poller.pipeline import Pipeline
from poller.services import services

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TICK_S = 1.0  # how soon a wait that is over is noticed
SHORT_WAIT_S = 30.0  # what `once` waits out before it leaves the rest for later


class Daemon:
    """One mailbox, from the look into it to the label on each message."""

    def __init__(self, settings: Settings, *, patience: Patience | None = None) -> None:
        """Nothing is connected yet."""
        self._settings = settings
        self._inbox = Inbox(settings)
        self._services = services(settings)
        self._engine = Engine(
            settings.state_url,
            settings.directory,
            Pipeline(settings, self._services, self._inbox, settings.directory / "spool"),
            workers=settings.state.workers,
            patience=patience or Patience(give_up_after=timedelta(hours=settings.state.give_up_after_h)),
        )
        self._working: set[str] = set()
        self._waiting: dict[str, Standing] = {}
        self._turn = threading.Lock()  # polls and ticks, one at a time

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then finish the messages in hand.

        Raises:
            ConfigurationError: settings that cannot work, at the start or on the way.
        """
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        faults: list[BaseException] = []

        def failed(event: JobExecutionEvent) -> None:
            # APScheduler logs what a job raises and goes on; a daemon that goes on without polling is worse than none.
            faults.append(event.exception)
            stop.set()

        self._start()
        scheduler = BackgroundScheduler(timezone=UTC)
        scheduler.add_listener(failed, EVENT_JOB_ERROR)
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        interval_s = self._settings.imap.poll_interval_s
        scheduler.add_job(
            self._poll_or_wait, "interval", seconds=interval_s, next_run_time=datetime.now(UTC), **options
        )
        scheduler.add_job(self._tick, "interval", seconds=TICK_S, **options)
        scheduler.start()
        try:
            stop.wait()
            log.info("daemon_stopping")
            scheduler.shutdown(wait=True)
        finally:
            self._stop()
        if faults:
            raise faults[0]

    def once(self, finished: Callable[[str, Standing], None]) -> dict[str, Standing]:
        """Drain the mailbox: where each message that was in it stands; `finished` hears of each as it ends.

        What has to wait for longer than half a minute is left for the next time.

        Raises:
            ConfigurationError: settings that cannot work.
            TransientError: the mailbox is out of reach.
        """
        seen: dict[str, Standing] = {}
        self._start()
        try:
            while self._poll() or self._working or self._soon():
                while self._working or self._soon():
                    time.sleep(TICK_S / 20)
                    for reference, standing in self._tick().items():
                        seen[reference] = standing
                        if standing.outcome != "waiting":
                            finished(reference, standing)
            return seen | self._waiting
        finally:
            self._stop()

    def _start(self) -> None:
        self._engine.start()
        log.info("daemon_started", services_off=self._services.off())

    def _stop(self) -> None:
        self._engine.stop()
        self._inbox.close()
        log.info("daemon_stopped")

    def _poll_or_wait(self) -> None:
        try:
            self._poll()
        except TransientError as error:
            log.warning("poll_failed", reason=str(error))

    def _poll(self) -> int:
        """Look into the mailbox once; how many messages were taken up."""
        with self._turn:
            references = self._inbox.scan()
            standings = self._engine.standings(references)
            before = len(self._working)
            for reference in references:
                self._take_up(reference, standings.get(reference))
            return len(self._working) - before

    def _take_up(self, reference: str, standing: Standing | None) -> None:
        if reference in self._working:
            return
        if standing is None:
            self._engine.submit(reference)
            self._working.add(reference)
        elif standing.outcome == "working":
            self._working.add(reference)
        elif standing.outcome == "waiting":
            self._waiting[reference] = standing
        elif not self._inbox.confirm(reference):
            return  # It was filed between the two looks.
        elif standing.outcome in {"failed", "gone"}:
            # Back in the mailbox: a person wants it tried again.
            self._resume(reference)
        else:
            # The same mail once more: the second copy goes where the first went.
            self._inbox.label(reference, standing.outcome)

    def _tick(self) -> dict[str, Standing]:
        """Take up what is due again; where the messages stand that have stopped since the last tick."""
        with self._turn:
            if self._engine.fault:
                raise self._engine.fault
            now = datetime.now(UTC)
            for reference in [ref for ref, standing in self._waiting.items() if self._due(standing, now)]:
                self._resume(reference)
            stopped = {ref: s for ref, s in self._engine.standings(self._working).items() if s.outcome != "working"}
            self._working -= stopped.keys()
            self._waiting |= {ref: standing for ref, standing in stopped.items() if standing.outcome == "waiting"}
            return stopped

    def _resume(self, reference: str) -> None:
        self._engine.resume(reference)
        self._waiting.pop(reference, None)
        self._working.add(reference)

    def _due(self, standing: Standing, now: datetime) -> bool:
        gate = self._engine.gates.get(standing.result["gate"]) if standing.result else None
        return bool((standing.until and standing.until <= now) or (gate and gate.open))

    def _soon(self) -> bool:
        """Whether any wait ends shortly."""
        limit = datetime.now(UTC) + timedelta(seconds=SHORT_WAIT_S)
        return any(standing.until and standing.until <= limit for standing in self._waiting.values())
