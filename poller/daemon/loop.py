"""Run the daemon for months: schedule its jobs, and act on signals."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.background import BackgroundScheduler

from integrations.errors import ConfigurationError, TransientError
from poller import confinement, fork_server, logs
from poller.config.settings import changed_settings
from poller.daemon import malloc, sd_notify
from poller.daemon.clock import ClockWatch, Interval
from poller.daemon.daemon import TICK_S, Daemon
from poller.daemon.reload import ReloadCheck, check_in_background, read_anew
from poller.logs import Trouble
from poller.mailbox.watcher import MailboxWatcher
from poller.model import SERVICE_NAMES
from poller.monitoring import authserv
from poller.monitoring.poll_health import PollHealth
from poller.monitoring.reporter import HealthReporter
from poller.workflow.engine import STOP_S
from poller.workflow.errors import StateUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from apscheduler.events import JobExecutionEvent

    from poller.config.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WATCH_S = 5.0  # between two reports of the state
FEED_S = 5.0  # between two feeds of the watchdog while the messages in progress are finished
CLOCK_S = 5.0  # between two looks whether the clock was set
WEEK_S = 7 * 86_400.0  # between two warnings that no sender is verified
DIGEST_S = 60.0  # between two checks whether the week's digest is due

WORK = {"poll", "tick"}  # the jobs that the daemon cannot do without
STOP, RELOAD = "stop", "reload"
Asked = str | ReloadCheck | BaseException  # what a loop waits for: STOP, RELOAD and its outcome, or what a job raised


def run(read: Callable[[], Settings]) -> None:
    """Run the daemon until SIGTERM or SIGINT, then finish the messages in progress.

    On SIGHUP it finishes them too, and goes on with new settings. `read` returns the settings in force. What it raises
    at a SIGHUP is logged, and the old settings stay.

    Raises:
        ConfigurationError: settings that cannot work, at the start or on the way.
    """
    # A signal handler may put into a SimpleQueue during a get. Setting an Event during a wait may deadlock.
    asked: SimpleQueue[Asked] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.put(STOP))
    # SIGHUP from a terminal means that it was closed, and asks for no reload.
    signal.signal(signal.SIGHUP, lambda *_: asked.put(STOP if sys.stderr.isatty() else RELOAD))
    malloc.tune_malloc()
    fork_server.warm_up()
    if missing := confinement.missing():
        log.warning("parser_not_confined", missing=missing)
    settings: Settings | None = read()
    loop: Loop | None = None
    while settings:
        loop = Loop(settings, asked, loop)
        settings = loop.run(read)


class Loop:
    """One daemon and its schedule, with the settings that it began with."""

    def __init__(self, settings: Settings, asked: SimpleQueue[Asked], before: Loop | None = None) -> None:
        """Prepare the daemon. Nothing is connected yet.

        `before` is the loop that these settings are from. Where they are its own, what it has met still counts.
        """
        self.settings, self._asked = settings, asked
        same = before if before and before.settings is settings else None
        self.health: PollHealth = same.health if same else PollHealth(settings.imap.poll_interval_s)
        earlier = same.daemon if same else None
        self.daemon: Daemon = Daemon(settings, progress=sd_notify.feed_watchdog, before=earlier)
        daemon = self.daemon
        daemon.mark_verified(before.proven if before else ())
        self.proven: Collection[str] = ()  # the services that have accepted the settings to go on with
        self._trying: Settings | None = None  # newly read settings that are being checked
        self._looking = threading.Lock()
        self._unpolled = Trouble(log, "poll_failed")
        self._is_throttled = False  # the server asked at the last poll to be left alone for a while
        self._faults: set[tuple[str, str, tuple[str, ...]]] = set()  # of other jobs than WORK, each logged once
        self._reporter = HealthReporter(
            settings,
            daemon.status,
            self.health,
            store=daemon.store,
            smtp=daemon.smtp,
            claude=daemon.claude,
            hubspot=daemon.hubspot,
        )
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._idle = MailboxWatcher(settings.imap, self.wake)

    def run(self, read: Callable[[], Settings]) -> Settings | None:
        """Work until a stop, a reload or a fault. Return the settings to go on with, None for a stop.

        Raises:
            ConfigurationError: settings that cannot work, at the start or on the way.
            TransientError: the state is out of reach at the start, or another daemon's.
        """
        ended: Settings | BaseException | None = None
        try:
            self.daemon.start()
            self._begin()
            with self._idle:
                ended = self._wait(read)
                log.info("daemon_stopping")
            self._scheduler.shutdown(wait=True)
            self._beside(self._reporter.alert)
        finally:
            # To go on with new settings takes the state, which unfinished messages would keep: then no timeout applies.
            self._finish(STOP_S if ended is None or isinstance(ended, BaseException) else None)
            self._reporter.close()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _finish(self, timeout_s: int | None) -> None:
        """Stop the daemon within the timeout, None for no limit, and feed the watchdog meanwhile.

        A wait for the messages in progress is no hang.
        """
        with ThreadPoolExecutor(1) as beside:
            stopped = beside.submit(self.daemon.stop, timeout_s)
            while wait([stopped], FEED_S).not_done:
                sd_notify.feed_watchdog()
        stopped.result()

    def wake(self) -> None:
        """Poll the mailbox now, unless the server asked to be left alone. Any thread may call this."""
        if not self._is_throttled:
            self._scheduler.modify_job("poll", next_run_time=datetime.now(UTC))

    def _begin(self) -> None:
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR)
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # it would log the text of an error
        once = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        now = once | {"next_run_time": datetime.now(UTC)}
        # Beside the running poll one more may wait: IDLE may report a message that the running one has missed.
        twice = now | {"max_instances": 2}
        self._scheduler.add_job(self._poll, Interval(self.settings.imap.poll_interval_s), id="poll", **twice)
        self._scheduler.add_job(self._tick, Interval(TICK_S), id="tick", **once)
        self._scheduler.add_job(self._watch, Interval(WATCH_S), id="watch", **once)
        if not self.settings.imap.authserv_id:
            # Not a job of one run: APScheduler removes that itself, and fails if it is stopped at this moment.
            self._scheduler.add_job(authserv.warn, Interval(WEEK_S), [self.settings], id="senders", **now)
        reports = [("report", self._report, WATCH_S), ("digest", self._reporter.send_due_letters, DIGEST_S)]
        if self._reporter.canary:
            reports.append(("canary", self._reporter.run_canary, WATCH_S))
        if self._reporter.metrics.start():
            reports.append(("metrics", self._reporter.metrics.tell, WATCH_S))
        for name, act, every_s in reports:
            self._scheduler.add_job(self._beside, Interval(every_s), [act], id=name, **once)
        self.health.started()
        # Not after the first poll: a mail server that is down at boot must not keep the unit from starting.
        sd_notify.tell(sd_notify.READY, self._status())
        self._scheduler.start()

    def _failed(self, event: JobExecutionEvent) -> None:
        """End the loop when a job of WORK fails, and log the failure of any other job once.

        A daemon that goes on without polling is worse than none. But a failed report must not stop the mail.
        """
        if event.job_id in WORK:
            self._asked.put(event.exception)
            return
        fault = event.job_id, type(event.exception).__name__, tuple(logs.places(event.exception))
        if fault not in self._faults:
            self._faults.add(fault)
            log.error("job_failed", job=event.job_id, error=fault[1], frames=list(fault[2]))

    def _wait(self, read: Callable[[], Settings]) -> Settings | BaseException | None:
        """Wait for the end of the loop. Return the settings to go on with, None to stop, or what a job raised."""
        clock = ClockWatch()
        while True:
            try:
                asked = self._asked.get(timeout=CLOCK_S)
            except Empty:
                if step_s := clock.step_s():
                    # The jobs, and every time that this daemon keeps, belong to a clock that no longer is.
                    log.warning("clock_set", by_s=round(step_s))
                    self.proven = SERVICE_NAMES.keys() - self.daemon.status().unproven
                    self.health.clock_set(step_s)
                    if self._trying:
                        self._asked.put(RELOAD)  # No loop after this one knows what is being checked.
                    return self.settings
                continue
            if asked == RELOAD:
                self._read_anew(read)
            elif isinstance(asked, ReloadCheck):
                if asked.settings is not self._trying:
                    continue  # The settings were read anew since, so this result is outdated.
                if not asked.problems:
                    self.proven = asked.proven
                    log.info("settings_reloaded", changed=changed_settings(self.settings, asked.settings))
                    return asked.settings
                self._trying = None
                self._keep(asked.problems)
            else:
                fault = asked if isinstance(asked, BaseException) else None
                # The text of any other error may quote a mail. The log has its type and place.
                why = str(fault) if isinstance(fault, ConfigurationError) else "finishing the messages in hand"
                sd_notify.tell(sd_notify.STOPPING, sd_notify.status(why))
                return fault

    def _read_anew(self, read: Callable[[], Settings]) -> None:
        sd_notify.tell(*sd_notify.reloading(), sd_notify.status("reading the settings anew"))
        self._trying = None
        try:
            self._trying = read_anew(read, self.settings)
        except ConfigurationError as error:
            self._keep(str(error).splitlines())
        else:
            check_in_background(self._trying, self._asked.put)

    def _keep(self, problems: Sequence[str]) -> None:
        """Log the problems of the new settings, and go on with the old ones."""
        for problem in problems:
            log.error("settings_refused", problem=problem.strip())
        log.error("settings_reload_rejected", why="the new ones cannot be used, so the old ones stay in force")
        sd_notify.tell(sd_notify.READY, self._status())

    def _poll(self) -> None:
        with self._looking:
            self.health.began()
            self._is_throttled = False
            try:
                self.daemon.poll()
            except TransientError as error:
                self._unpolled.met(str(error))
                self._is_throttled = error.retry_after_s is not None
                self._later(self.health.failed(datetime.now(UTC), str(error), asked_s=error.retry_after_s))
            except StateUnavailableError:  # The outage is in the log already.
                self._later(self.health.hindered())
            except ConfigurationError as fault:
                self.daemon.handle_refusal("imap", fault)
                self._later(self.health.failed(datetime.now(UTC), str(fault), refused=True))
            else:
                self._unpolled.over()
                self.health.good(datetime.now(UTC))
                if self.daemon.has_more:
                    self._later(0)
        self._watch()

    def _later(self, delay_s: float) -> None:
        self._scheduler.modify_job("poll", next_run_time=datetime.now(UTC) + timedelta(seconds=delay_s))

    def _tick(self) -> None:
        with suppress(StateUnavailableError):  # The outage is in the log already.
            self.daemon.tick()
        self.health.ticked()

    def _beside(self, act: Callable[[], None]) -> None:
        """Run a job that the mail does not depend on, in so far as it can be done while the state takes nothing."""
        with suppress(StateUnavailableError), self.daemon.outage.failing_fast():  # The outage is in the log already.
            act()

    def _watch(self) -> None:
        """Report the status to the service manager, and feed its watchdog while polls end in time."""
        # A restart mends a poll or tick that hangs. It does not mend a mail server, so a failed poll feeds it as well.
        beat = (sd_notify.WATCHDOG,) if self.health.is_alive() else ()
        sd_notify.tell(self._status(), *beat)

    def _status(self) -> str:
        status = self.daemon.status()
        return sd_notify.status(
            self.health.status(
                datetime.now(UTC),
                in_hand=len(status.in_progress),
                waiting=len(status.waiting),
                out_of_reach=status.unreachable,
                unreadable=len(status.unreadable),
                outage=status.outage,
            )
        )

    def _report(self) -> None:
        """Report to the recipients outside of this machine, in a job of its own: a poll does not wait for them."""
        self._idle.look_after()
        self._reporter.report()
