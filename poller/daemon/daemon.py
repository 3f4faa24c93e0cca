"""Run one mailbox: scan it, work on its messages, and know what blocks them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, TransientError
from poller import child_process, fork_server
from poller.daemon import cutoff, retry_requests
from poller.daemon.accepted_keys import AcceptedKeys
from poller.daemon.admission import Admission
from poller.daemon.refusals import Refusals
from poller.daemon.scheduler import Scheduler
from poller.dispatch.clients import services
from poller.dispatch.job import WITHHELD
from poller.dispatch.pipeline import Pipeline
from poller.dispatch.receive import RATE_LIMITS
from poller.errors import MessageGoneError
from poller.logs import Trouble
from poller.mailbox import account
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.mailbox.variants import Variants
from poller.model import LABELS, SERVICE_NAMES, TICKETS, Outcome
from poller.monitoring.status import DaemonStatus, Wait
from poller.workflow import corrections, database
from poller.workflow.engine import STOP_S, Engine
from poller.workflow.errors import StateUnavailableError, StepDeferredError
from poller.workflow.retry import RetryPolicy
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from poller.config.settings import Settings
    from poller.workflow.journal import Journal
    from poller.workflow.results import WorkResult
    from poller.workflow.status import MessageStatus

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TICK_S = 1.0  # how often waits are checked for their end
PROBE_S = 5.0  # between two looks whether an outage of the state is over


class Daemon:
    """One mailbox, from the scan to the label on each message."""

    def __init__(
        self,
        settings: Settings,
        *,
        retry_policy: RetryPolicy | None = None,
        progress: Callable[[], object] = lambda: None,
        before: Daemon | None = None,
    ) -> None:
        """Prepare the daemon. Nothing is connected yet.

        `progress` is called at each message that a scan or a tick gets on with. `before` is a daemon of the same
        settings, whose refusals and messages that cannot be read still count.
        """
        fork_server.warm_up()  # before there are threads
        self._settings = settings
        self.inbox = Inbox(settings)
        self._services = services(settings)
        self._reclassify_mailboxes = ReclassifyMailboxes(settings, self.inbox)
        self._pipeline = Pipeline(
            settings,
            self._services,
            self.inbox,
            settings.directory / "spool",
            self._reclassify_mailboxes.sources,
            wake=self._wake,
        )
        self._places = threading.Semaphore(0)  # messages at work; 0 until it is known which messages are left alone
        self._engine = Engine(
            settings.state_url,
            settings.directory,
            self._work,
            prepare=self._pipeline.clear,
            workers=settings.state.workers,
            retry_policy=retry_policy
            or RetryPolicy(
                give_up_after=timedelta(hours=settings.state.give_up_after_h), settle_s=settings.state.settle_s
            ),
            takeover_s=settings.state.takeover_s,
        )
        self.outage = self._engine.outage  # of the state
        self._load = Scheduler(self._engine, progress)
        self._admission = Admission(self._engine, self.inbox, self._reclassify_mailboxes, self._load)
        self.refusals: Refusals = before.refusals if before else Refusals()
        self._skipped: dict[str, str] = {}  # the messages that the last poll skipped, each with the reason
        self.inbox.progress = progress
        if before:
            self.inbox.go_on_from(before.inbox)
        self._mailboxes = (self.inbox, *self._reclassify_mailboxes.sources.values())
        for source in self._mailboxes:
            source.variants, source.is_polled = Variants(self._engine.store), True
        self._accepted = AcceptedKeys(settings, self._engine.store)
        self.store, self.hubspot = self._engine.store, self._services.hubspot
        self.smtp, self.claude = self._services.smtp, self._services.claude
        self.first_start = date.max  # the day of it, once that is known
        self._requests_unread = Trouble(log, "retry_requests_not_read")
        self._turn = threading.Lock()  # polls and ticks, one at a time
        self._probed_s = 0.0  # on the monotonic clock
        self._is_foreign = True  # the state may be another account's, so what was in hand is left for later
        self._is_recorded = False  # the account, which is recorded once its mailbox was opened

    @property
    def working(self) -> set[str]:
        """Return the messages in hand."""
        return self._load.working

    @property
    def has_more(self) -> bool:
        """Return whether the last poll has left messages of the inbox for the next one. See `NewMessages.read`."""
        return self.inbox.seen.has_more

    @property
    def waiting(self) -> dict[str, MessageStatus]:
        """Return the waiting messages, each with its status."""
        return self._load.waiting

    def waiting_messages(self) -> list[MessageStatus]:
        """Return the status of the messages that keep a person waiting. See `Scheduler`."""
        return self._load.waiting_messages()

    def once(
        self, finished: Callable[[str, MessageStatus], None], *, everything: bool = False
    ) -> dict[str, MessageStatus]:
        """Drain the mailbox and return the status of each message that was in it.

        `finished` is called for each message as it ends. `everything` takes up old messages as well, from before
        `imap.since`. A message that has to wait for longer than half a minute is left for the next time, and so is one
        that comes to the same outcome twice.

        Raises:
            ConfigurationError: settings that cannot work.
            TransientError: the mailbox is out of reach, or refuses what it has taken before, or the state is out of
                reach.
        """
        seen: dict[str, MessageStatus] = {}
        for mailbox in self._mailboxes:
            mailbox.is_polled = False  # Nobody waits for the next poll.
        try:
            self.start(everything=everything)
            progress = True
            while progress and (self._poll_once() or self.working or self._load.soon()):
                before = {reference: status.outcome for reference, status in seen.items()}
                while self.working or self._load.soon():
                    time.sleep(TICK_S / 10)
                    for reference, status in self.tick().items():
                        seen[reference] = status
                        if status.outcome is not Outcome.WAITING:
                            finished(reference, status)
                self._handle_faults()  # that the last tick was too early for
                # What another client moves back each time would be taken up without end.
                progress = before != {reference: status.outcome for reference, status in seen.items()}
                if not progress:
                    log.warning("no_progress", why="a message came to the same outcome twice")
            self._accepted.record(self._proven())
            return seen | self.waiting
        except StateUnavailableError as error:
            raise TransientError(f"{error}: look at STATE_URL") from error
        finally:
            self.stop()

    def _poll_once(self) -> int:
        try:
            return self.poll()
        except ConfigurationError as fault:
            self.handle_refusal("imap", fault)
            raise TransientError(str(fault)) from fault

    def start(self, *, everything: bool = False) -> None:
        """Take the state, and continue what was in hand. See `Engine.start`."""
        try:
            with self.outage.failing_fast():
                self._begin(everything=everything)
        except StateUnavailableError as error:
            raise TransientError(f"{error}: look at STATE_URL") from error
        finally:
            self._places.release(self._settings.state.workers)
        log.info("daemon_started", services_off=self._services.off())

    def _begin(self, *, everything: bool) -> None:
        self._engine.start()
        account.confirm(self._engine.store, self._settings.imap)
        self._is_foreign = False
        self._load.begin()
        self.first_start = cutoff.first_start(self._engine.store)
        if not everything:
            self.inbox.since = self._settings.imap.since or self.first_start
        cutoff.keep(self._engine.store, self.inbox.since)
        self._accepted.prepare()
        self.inbox.reach = lambda: cutoff.earliest_cutoff(self._engine.store)
        self.inbox.taken_up = lambda references: self._engine.store.statuses(references).keys()

    def adopt(self) -> str:
        """Take the configured account for that of the state, and return the name that this keeps. No mail is read."""
        self._places.release(self._settings.state.workers)
        try:
            self._engine.start()
            return account.adopt(self._engine.store, self._settings.imap)
        finally:
            self.stop()

    def _work(self, journal: Journal) -> WorkResult:
        with self._places:
            if self._is_foreign:
                raise StepDeferredError(StepName.RECEIVE, "the settings name another mailbox", datetime.now(UTC))
            return self._pipeline(journal)

    def _wake(self, reference: str) -> None:
        self._load.wake(reference)

    def stop(self, timeout_s: int | None = STOP_S) -> None:
        """Finish the messages in hand, and close everything. See `Engine.stop`.

        Within a timeout what is being parsed or inspected is left for the next start: service managers signal such
        processes as well, but not every one does.
        """
        if timeout_s is not None:
            child_process.stop_all()
        self._engine.stop(timeout_s)
        self.inbox.close()
        self._reclassify_mailboxes.close()
        log.info("daemon_stopped")

    def poll(self) -> int:
        """Scan the mailbox once, and return how many messages were taken up.

        Raises:
            StateUnavailableError: the state takes nothing, so no message can be taken up.
        """
        with self._turn, self.outage.failing_fast():
            if outage := self.outage.current:
                raise StateUnavailableError(outage.reason)
            self._engine.poll_queue()  # so that messages queued without our knowledge are not left there for good
            references = self.inbox.scan()
            self._engine.breaker("imap").has_succeeded = True
            self.refusals.over("imap")
            if not self._is_recorded:
                account.record(self._engine.store, self._settings.imap)
                self._is_recorded = True
            skipped: dict[str, str] = {}
            statuses = self._engine.store.statuses(references)
            # A message that was corrected before it was first seen here is not new.
            new = [reference for reference in references if reference not in statuses]
            corrected = (
                set(map(corrections.message_of, self._engine.store.statuses(corrections.ids(new)))) if new else ()
            )
            before = len(self.working)
            for reference in references:
                try:
                    self._admission.admit_from_inbox(
                        reference, statuses.get(reference), corrected=reference in corrected
                    )
                except (TransientError, ConfigurationError) as error:
                    # Go on with the next message. This one is seen again at the next scan.
                    skipped[reference] = str(error)
            for reference, category in self._reclassify_mailboxes.scan():
                try:
                    self._admission.admit_correction(reference, category)
                except MessageGoneError:
                    continue  # A person has just deleted the mailbox.
                except (TransientError, ConfigurationError) as error:
                    skipped[reference] = str(error)
            for reference in skipped.keys() - self._skipped.keys():
                log.warning("message_skipped", ref=reference, reason=skipped[reference])
            self._skipped = skipped
            return len(self.working) - before

    def tick(self) -> dict[str, MessageStatus]:
        """Resume the messages that are due, and return the status of those that have stopped since the last tick.

        While the state takes nothing, nothing is due, and from time to time it is tried.
        """
        with self._turn, self.outage.failing_fast():
            if self.outage.current and not self._is_back():
                return {}
            self._handle_faults()
            self._load.try_now(self._requests())
            stopped = self._load.tick()
            self._accepted.record(self._proven(), 1)  # a tick is short
            return stopped

    def _is_back(self) -> bool:
        """Return whether the state is known to take entries again."""
        if time.monotonic() - self._probed_s < PROBE_S:
            return False
        self._probed_s = time.monotonic()
        if is_back := database.is_writable(self._settings.state_url):
            self.outage.end()
        return is_back

    def _requests(self) -> set[str]:
        """Return what `poller retry` has asked for since the last tick."""
        try:
            asked = retry_requests.take(self._settings.directory)
        except OSError as error:
            self._requests_unread.met(str(error.strerror))
            return set()
        self._requests_unread.over()
        return asked

    def _handle_faults(self) -> None:
        for service in list(self._engine.faults):
            self.handle_refusal(service, self._engine.faults.pop(service))

    def handle_refusal(self, service: str, fault: ConfigurationError) -> None:
        """Handle settings that cannot work: stop if the service never took our key, else wait.

        A label that was never taken is waited for: it stops no ticket. So are new tickets of one category.

        Raises:
            ConfigurationError: the service never took the key, in no run on this state.
        """
        self.refusals.add(service, fault)
        alone = service in {LABELS, *TICKETS.values()}
        proven = alone or self._engine.breaker(service).has_succeeded or service in self._accepted
        if not proven:
            raise fault
        self.refusals.tell(service)

    def mark_verified(self, services: Iterable[str]) -> None:
        """Mark services whose settings have worked in this run: what they refuse from now on is waited out."""
        for service in services:
            self._engine.breaker(service).has_succeeded = True

    def status(self) -> DaemonStatus:
        """Return the state of the daemon at this moment."""
        return DaemonStatus(
            in_progress=frozenset(list(self.working)),
            waiting=tuple(status.service for status in self.waiting_messages()),
            waits=tuple(self._waits()),
            unreadable=self.inbox.unreadable,
            refused=self._still_refused(),
            unreachable=tuple(
                service for service, breaker in list(self._engine.breakers.items()) if service and not breaker.is_closed
            ),
            first_start=self.first_start,
            misconfigured=self.refusals.misconfigured,
            untrusted=self.refusals.untrusted,
            may_pass=self.refusals.may_pass,
            unproven=frozenset(SERVICE_NAMES.keys() - self._proven()),
            outage=self.outage.current,
        )

    def _proven(self) -> set[str]:
        """Return the services that have answered in this run."""
        return {service for service, breaker in list(self._engine.breakers.items()) if breaker.has_succeeded}

    def _still_refused(self) -> dict[str, str]:
        """Return the services that refuse us, each with its words.

        A service that has answered since is left out.
        """
        waited_for = {status.result.breaker for status in list(self.waiting.values())}
        for service in self.refusals.current():
            breaker = self._engine.breaker(service)
            if service not in waited_for and breaker.is_closed and breaker.has_succeeded:
                self.refusals.answered(service)
        return self.refusals.current()

    def _waits(self) -> Iterator[Wait]:
        """Return since when each message waits, for which service ("": none), and for what reason.

        A wait begins when the message arrived, or when a person put it under a category. A message that a rate limit
        holds back is left out: it waits as it should. So is one that cannot be read: that is an incident of its own.
        """
        arrived = self.inbox.seen.received_at()
        for name, status in list(self.waiting.items()):
            reference = corrections.message_of(name)
            since = status.since if self._reclassify_mailboxes.holds(reference) else arrived.get(name)
            if since and status.result.reason not in {*RATE_LIMITS, WITHHELD}:
                yield Wait(since, status.service, status.result.reason)
