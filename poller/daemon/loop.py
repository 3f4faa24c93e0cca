"""The clock and the signals: the daemon as it runs for months."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.background import BackgroundScheduler

from integrations.errors import ConfigurationError, TransientError
from poller import logs
from poller.daemon import malloc, sd_notify
from poller.daemon.daemon import TICK_S, Daemon
from poller.daemon.reload import Tried, try_beside
from poller.mailbox.watcher import Idle
from poller.monitoring.poll_health import Pulse
from poller.monitoring.reporter import Lookout
from poller.parsing import parser_process
from poller.workflow.engine import STOP_S

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from apscheduler.events import JobExecutionEvent

    from poller.config.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WATCH_S = 5.0  # how often those who watch are told
FEED_S = 5.0  # how often the watchdog is fed while the messages in hand are waited for
DIGEST_S = 60.0  # how often it is asked whether the week's letter is due

WORK = {"poll", "tick"}  # the jobs without which the daemon is none
STOP, RELOAD = "stop", "reload"
Asked = str | Tried | BaseException  # what is to end a loop: STOP, RELOAD and its outcome, or what a job raised


def run(read: Callable[[], Settings]) -> None:
    """Work until SIGTERM or SIGINT, then finish the messages in hand; on SIGHUP do so, and go on with new settings.

    `read` gives the settings in force; what it raises at a SIGHUP is logged, and the old ones stay.

    Raises:
        ConfigurationError: settings that cannot work, at the start or on the way.
    """
    malloc.tighten()
    parser_process.warm_up()
    # A put into a SimpleQueue may interrupt a get, as a signal does; one into an Event may wait for itself for ever.
    asked: SimpleQueue[Asked] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.put(STOP))
    # Where a terminal is hung up nobody wants settings to be read.
    signal.signal(signal.SIGHUP, lambda *_: asked.put(STOP if sys.stderr.isatty() else RELOAD))
    settings: Settings | None = read()
    proven: Collection[str] = ()
    while settings:
        loop = Loop(settings, asked, proven)
        settings, proven = loop.run(read), loop.proven


class Loop:
    """One daemon by the clock, with the settings that it began with."""

    def __init__(self, settings: Settings, asked: SimpleQueue[Asked], proven: Collection[str] = ()) -> None:
        """Nothing is connected yet; `proven` are the services that have taken these settings already."""
        self._settings, self._asked = settings, asked
        self._daemon = Daemon(settings, progress=lambda: sd_notify.tell(sd_notify.WATCHDOG))
        self._daemon.trust(proven)
        self.proven: Collection[str] = ()  # the services that have taken the settings to go on with
        self._trying: Settings | None = None  # those read anew that are being tried
        self._pulse = Pulse(settings.imap.poll_interval_s)
        self._looking = threading.Lock()
        self._faults: set[tuple[str, str, tuple[str, ...]]] = set()  # of other jobs than WORK, each told once
        daemon = self._daemon
        self._lookout = Lookout(
            settings, daemon.status, self._pulse, memory=daemon.memory, smtp=daemon.smtp, claude=daemon.claude
        )
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._idle = Idle(settings.imap, self.wake)

    def run(self, read: Callable[[], Settings]) -> Settings | None:
        """Work until something is asked: the settings to go on with, None when it was asked to stop.

        Raises:
            ConfigurationError: settings that cannot work, at the start or on the way.
        """
        ended: Settings | BaseException | None = None
        self._daemon.start()
        try:
            self._begin()
            with self._idle:
                ended = self._wait(read)
                log.info("daemon_stopping")
            self._scheduler.shutdown(wait=True)
            self._lookout.alert()
        finally:
            # Who goes on with new settings needs the state, which what is not finished would keep.
            self._finish(STOP_S if ended is None or isinstance(ended, BaseException) else None)
            self._lookout.close()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _finish(self, timeout_s: int | None) -> None:
        """Stop the daemon, which may take it so long; a wait for the messages in hand is no hang."""
        with ThreadPoolExecutor(1) as beside:
            stopped = beside.submit(self._daemon.stop, timeout_s)
            while wait([stopped], FEED_S).not_done:
                sd_notify.tell(sd_notify.WATCHDOG)
        stopped.result()

    def wake(self) -> None:
        """Look into the mailbox now; from any thread."""
        self._scheduler.modify_job("poll", next_run_time=datetime.now(UTC))

    def _begin(self) -> None:
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR)
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # which would log it with its words
        once = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        # Beside the poll at work one more may wait for its turn: whoever wakes us has seen what that one may have not.
        twice = once | {"max_instances": 2}
        interval_s = self._settings.imap.poll_interval_s
        self._scheduler.add_job(
            self._poll, "interval", seconds=interval_s, id="poll", next_run_time=datetime.now(UTC), **twice
        )
        self._scheduler.add_job(self._tick, "interval", seconds=TICK_S, id="tick", **once)
        self._scheduler.add_job(self._watch, "interval", seconds=WATCH_S, id="watch", **once)
        self._scheduler.add_job(self._report, "interval", seconds=WATCH_S, id="report", **once)
        self._scheduler.add_job(self._lookout.sum_up, "interval", seconds=DIGEST_S, id="digest", **once)
        if self._lookout.canary:
            self._scheduler.add_job(self._lookout.fly, "interval", seconds=WATCH_S, id="canary", **once)
        if self._lookout.metrics.start():
            # By a clock of its own: it reads the memory, which may be out of reach for long.
            self._scheduler.add_job(self._lookout.metrics.tell, "interval", seconds=WATCH_S, id="metrics", **once)
        # Not after the first poll: a mail server that is down when the machine starts must not keep the unit from it.
        sd_notify.tell(sd_notify.READY, self._status())
        self._scheduler.start()

    def _failed(self, event: JobExecutionEvent) -> None:
        """A daemon that goes on without polling is worse than none; what is merely told must not stop the mail."""
        if event.job_id in WORK:
            self._asked.put(event.exception)
            return
        fault = event.job_id, type(event.exception).__name__, tuple(logs.places(event.exception))
        if fault not in self._faults:
            self._faults.add(fault)
            log.error("job_failed", job=event.job_id, error=fault[1], frames=list(fault[2]))

    def _wait(self, read: Callable[[], Settings]) -> Settings | BaseException | None:
        """Until the loop is to end: with which settings to go on, or None to stop, or what a job raised."""
        while True:
            asked = self._asked.get()
            if asked == RELOAD:
                self._read_anew(read)
            elif isinstance(asked, Tried):
                if asked.settings is not self._trying:
                    continue  # They were read anew since, and these are no more to go on with.
                if not asked.problems:
                    self.proven = asked.proven
                    log.info("settings_reloaded")
                    return asked.settings
                self._keep(asked.problems)
            else:
                fault = asked if isinstance(asked, BaseException) else None
                # Of anything but settings the words may quote a mail; the log has its type and place.
                why = str(fault) if isinstance(fault, ConfigurationError) else "finishing the messages in hand"
                sd_notify.tell(sd_notify.STOPPING, sd_notify.status(why))
                return fault

    def _read_anew(self, read: Callable[[], Settings]) -> None:
        sd_notify.tell(*sd_notify.reloading(), sd_notify.status("reading the settings anew"))
        self._trying = None
        try:
            self._trying = read()
        except ConfigurationError as error:
            self._keep(str(error).splitlines())
            return
        try_beside(self._trying, self._asked.put)

    def _keep(self, problems: Sequence[str]) -> None:
        """Go on with the settings that we have."""
        for problem in problems:
            log.error("settings_refused", problem=problem.strip())
        log.error("settings_kept", why="the new ones cannot be used, so the old ones stay in force")
        sd_notify.tell(sd_notify.READY, self._status())

    def _poll(self) -> None:
        with self._looking:
            self._pulse.began()
            try:
                self._daemon.poll()
            except TransientError as error:
                log.warning("poll_failed", reason=str(error))
                self._later(self._pulse.failed(datetime.now(UTC), str(error)))
            except ConfigurationError as fault:
                self._daemon.heed("imap", fault)
                self._later(self._pulse.failed(datetime.now(UTC), str(fault), refused=True))
            else:
                self._pulse.good(datetime.now(UTC))
        self._watch()

    def _later(self, delay_s: float) -> None:
        self._scheduler.modify_job("poll", next_run_time=datetime.now(UTC) + timedelta(seconds=delay_s))

    def _tick(self) -> None:
        try:
            self._daemon.tick()
        except TransientError as error:
            log.warning("tick_failed", reason=str(error))

    def _watch(self) -> None:
        """Tell the service manager how we are."""
        # The watchdog is fed when a poll has ended, well or not, and while none is late. Not from a poll that hangs:
        # that is what a restart mends. A mail server that is down it does not mend, so that is no reason to starve.
        beat = (sd_notify.WATCHDOG,) if self._pulse.beats() else ()
        sd_notify.tell(self._status(), *beat)

    def _status(self) -> str:
        status = self._daemon.status()
        return sd_notify.status(
            self._pulse.status(
                datetime.now(UTC),
                in_hand=len(status.in_progress),
                waiting=len(status.waiting),
                out_of_reach=status.unreachable,
                unreadable=len(status.unreadable),
            )
        )

    def _report(self) -> None:
        """Tell those outside of this machine; a poll does not wait for them."""
        self._idle.look_after()
        self._lookout.report()
