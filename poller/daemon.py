"""The loop: look at the mailbox, hand what waits in it to the engine, take up again what is due."""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from integrations.errors import ConfigurationError, ServiceError, TransientError
from poller import notification
from poller.engine import Engine
from poller.inbox import Inbox
from poller.journal import Patience
from poller.pipeline import Pipeline
from poller.services import services

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.memory import Standing
    from poller.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FIRST_START = "first-start"  # under which the day of the first start is remembered
TICK_S = 1.0  # how soon a wait that is over is noticed
TOLD_AGAIN = timedelta(hours=1)
SHORT_WAIT_S = 30.0  # what `once` waits out before it leaves the rest for later


class Daemon:
    """One mailbox, from the look into it to the label on each message."""

    def __init__(self, settings: Settings, *, patience: Patience | None = None) -> None:
        """Nothing is connected yet."""
        self._settings = settings
        self._inbox = Inbox(settings)
        self._services = services(settings)
        pipeline = Pipeline(settings, self._services, self._inbox, settings.directory / "spool")
        self._engine = Engine(
            settings.state_url,
            settings.directory,
            pipeline,
            prepare=pipeline.clear,
            workers=settings.state.workers,
            patience=patience or Patience(give_up_after=timedelta(hours=settings.state.give_up_after_h)),
            takeover_s=settings.state.takeover_s,
        )
        self._working: set[str] = set()
        self._waiting: dict[str, Standing] = {}
        self._told: dict[str, datetime] = {}  # service -> when it was last seen to refuse us
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
        logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)  # what it would log is raised below
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        interval_s = self._settings.imap.poll_interval_s
        scheduler.add_job(
            self._poll_or_wait, "interval", seconds=interval_s, next_run_time=datetime.now(UTC), **options
        )
        scheduler.add_job(self._tick_or_wait, "interval", seconds=TICK_S, **options)
        scheduler.start()
        try:
            stop.wait()
            log.info("daemon_stopping")
            scheduler.shutdown(wait=True)
        finally:
            self._stop()
        if faults:
            raise faults[0]

    def once(self, finished: Callable[[str, Standing], None], *, everything: bool = False) -> dict[str, Standing]:
        """Drain the mailbox: where each message that was in it stands; `finished` hears of each as it ends.

        `everything` takes up old messages as well, from before `imap.since`.
        What has to wait for longer than half a minute is left for the next time.

        Raises:
            ConfigurationError: settings that cannot work.
            TransientError: the mailbox is out of reach.
        """
        seen: dict[str, Standing] = {}
        try:
            self._start(everything=everything)
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

    def _start(self, *, everything: bool = False) -> None:
        self._engine.start()
        first_start = self._engine.remember(FIRST_START, datetime.now(UTC).date().isoformat())
        if not everything:
            self._inbox.since = self._settings.imap.since or date.fromisoformat(first_start)
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
        except ConfigurationError as fault:
            self._heed("imap", fault)

    def _tick_or_wait(self) -> None:
        try:
            self._tick()
        except TransientError as error:
            log.warning("tick_failed", reason=str(error))

    def _poll(self) -> int:
        """Look into the mailbox once; how many messages were taken up."""
        with self._turn:
            references = self._inbox.scan()
            standings = self._engine.standings(references)
            before = len(self._working)
            for reference in references:
                try:
                    self._take_up(reference, standings.get(reference))
                except TransientError as error:
                    # The next one may have better luck, and this one is looked at again.
                    log.warning("message_left", ref=reference, reason=str(error))
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
            self._resume(reference, standing)
        else:
            # The same mail once more: the second copy goes where the first went.
            self._inbox.label(reference, standing.outcome)

    def _tick(self) -> dict[str, Standing]:
        """Take up what is due again; where the messages stand that have stopped since the last tick."""
        with self._turn:
            for service in list(self._engine.faults):
                self._heed(service, self._engine.faults.pop(service))
            now = datetime.now(UTC)
            tried: set[str] = set()
            for reference, standing in list(self._waiting.items()):
                gate = standing.result["gate"] if standing.result else ""
                if gate in tried or not self._due(standing, now):
                    continue
                self._resume(reference, standing)
                if gate and not self._engine.gate(gate).open:
                    tried.add(gate)  # One message tries the service; the others would only be sent away again.
            stopped = {ref: s for ref, s in self._engine.standings(self._working).items() if s.outcome != "working"}
            self._working -= stopped.keys()
            self._waiting |= {ref: standing for ref, standing in stopped.items() if standing.outcome == "waiting"}
            return stopped

    def _heed(self, service: str, fault: ConfigurationError) -> None:
        """Stop for settings that never worked; for some that did in this run, tell the admin once and wait."""
        if not self._engine.gate(service).proven:
            raise fault
        log.error("service_refused", service=service, reason=str(fault))
        now, told = datetime.now(UTC), self._told.get(service)
        self._told[service] = now
        # While it goes on it is seen every few minutes: it has been told of once.
        if told is None or now - told > TOLD_AGAIN:
            self._alert(service, fault)

    def _alert(self, service: str, fault: ConfigurationError) -> None:
        smtp, recipient = self._services.smtp, self._settings.notification.email
        if smtp is None or recipient is None:
            return
        sender, now = self._settings.sender, datetime.now(UTC)
        try:
            smtp.send(notification.refusal_alert(service, str(fault), sender=sender, recipient=recipient, now=now))
        except (ServiceError, ConfigurationError) as error:
            log.warning("alert_not_sent", service=service, reason=str(error))

    def _resume(self, reference: str, seen: Standing) -> None:
        self._engine.resume(reference, seen)
        self._waiting.pop(reference, None)
        self._working.add(reference)

    def _due(self, standing: Standing, now: datetime) -> bool:
        if gate := standing.result["gate"] if standing.result else "":
            # A gate that this process has not seen closed is open.
            closed_until = self._engine.gate(gate).closed_until
            return closed_until is None or closed_until <= now
        return standing.until is not None and standing.until <= now

    def _soon(self) -> bool:
        """Whether any wait is over, or shortly will be."""
        limit = datetime.now(UTC) + timedelta(seconds=SHORT_WAIT_S)
        return any(self._due(standing, limit) for standing in self._waiting.values())
