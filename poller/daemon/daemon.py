"""Run one mailbox: scan it, work on its messages, and know what blocks them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, CredentialsError, TransientError
from poller import child_process
from poller.daemon import cutoff
from poller.daemon.accepted_keys import AcceptedKeys
from poller.daemon.admission import Admission
from poller.daemon.scheduler import Scheduler
from poller.dispatch.clients import services
from poller.dispatch.pipeline import Pipeline
from poller.dispatch.receive import TOO_OFTEN
from poller.errors import MessageGoneError
from poller.mailbox import account
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.mailbox.variants import Variants
from poller.model import LABELS, SERVICE_NAMES, Outcome
from poller.monitoring.status import DaemonStatus, Wait
from poller.workflow import corrections
from poller.workflow.engine import STOP_S, Engine
from poller.workflow.errors import StepDeferredError
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


class Daemon:
    """One mailbox, from the scan to the label on each message."""

    def __init__(
        self,
        settings: Settings,
        *,
        retry_policy: RetryPolicy | None = None,
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare the daemon. Nothing is connected yet.

        `progress` is called at each message that a scan or a tick gets on with.
        """
        child_process.warm_up()  # before there are threads
        self._settings = settings
        self._inbox = Inbox(settings)
        self._services = services(settings)
        self._reclassify_mailboxes = ReclassifyMailboxes(settings, self._inbox)
        self._pipeline = Pipeline(
            settings,
            self._services,
            self._inbox,
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
        self._load = Scheduler(self._engine, progress)
        self._admission = Admission(self._engine, self._inbox, self._reclassify_mailboxes, self._load)
        self._refused: dict[str, str] = {}  # by service: its words when it last refused us
        self._misconfigured: set[str] = set()  # the services that last refused another setting than a key
        self._inbox.progress = progress
        for source in (self._inbox, *self._reclassify_mailboxes.sources.values()):
            source.variants = Variants(self._engine.store)
        self._accepted = AcceptedKeys(settings, self._engine.store)
        self.store, self.smtp, self.claude = self._engine.store, self._services.smtp, self._services.claude
        self.first_start = date.max  # the day of it, once that is known
        self._turn = threading.Lock()  # polls and ticks, one at a time
        self._is_foreign = True  # the state may be another account's, so what was in hand is left for later
        self._is_recorded = False  # the account, which is recorded once its mailbox was opened

    @property
    def working(self) -> set[str]:
        """Return the messages in hand."""
        return self._load.working

    @property
    def waiting(self) -> dict[str, MessageStatus]:
        """Return the waiting messages, each with its status."""
        return self._load.waiting

    def waiting_messages(self) -> list[MessageStatus]:
        """Return the status of the messages that keep a person waiting.

        A message that is filed, and waits for its receipt alone, is not one of them.
        """
        return [status for status in list(self.waiting.values()) if status.result.final_outcome is Outcome.WAITING]

    def once(
        self, finished: Callable[[str, MessageStatus], None], *, everything: bool = False
    ) -> dict[str, MessageStatus]:
        """Drain the mailbox and return the status of each message that was in it.

        `finished` is called for each message as it ends. `everything` takes up old messages as well, from before
        `imap.since`. A message that has to wait for longer than half a minute is left for the next time.

        Raises:
            ConfigurationError: settings that cannot work.
            TransientError: the mailbox is out of reach.
        """
        seen: dict[str, MessageStatus] = {}
        try:
            self.start(everything=everything)
            while self.poll() or self.working or self._load.soon():
                while self.working or self._load.soon():
                    time.sleep(TICK_S / 20)
                    for reference, status in self.tick().items():
                        seen[reference] = status
                        if status.outcome is not Outcome.WAITING:
                            finished(reference, status)
            self._accepted.record(self._proven())
            return seen | self.waiting
        finally:
            self.stop()

    def start(self, *, everything: bool = False) -> None:
        """Take the state, and continue what was in hand. See `Engine.start`."""
        try:
            self._begin(everything=everything)
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
            self._inbox.since = self._settings.imap.since or self.first_start
        cutoff.keep(self._engine.store, self._inbox.since)
        self._accepted.prepare()
        self._inbox.reach = lambda: cutoff.earliest_cutoff(self._engine.store)
        self._inbox.taken_up = lambda references: self._engine.store.statuses(references).keys()

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
        """Finish the messages in hand, and close everything. See `Engine.stop`."""
        self._engine.stop(timeout_s)
        self._inbox.close()
        self._reclassify_mailboxes.close()
        log.info("daemon_stopped")

    def poll(self) -> int:
        """Scan the mailbox once, and return how many messages were taken up."""
        with self._turn:
            self._engine.pause_queue(False)  # so that messages queued without our knowledge are not left there for good
            references = self._inbox.scan()
            self._engine.breaker("imap").has_succeeded = True
            if not self._is_recorded:
                account.record(self._engine.store, self._settings.imap)
                self._is_recorded = True
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
                    log.warning("message_skipped", ref=reference, reason=str(error))
            for reference, category in self._reclassify_mailboxes.scan():
                try:
                    self._admission.admit_correction(reference, category)
                except MessageGoneError:
                    continue  # A person has just deleted the mailbox.
                except (TransientError, ConfigurationError) as error:
                    log.warning("message_skipped", ref=reference, reason=str(error))
            return len(self.working) - before

    def tick(self) -> dict[str, MessageStatus]:
        """Resume the messages that are due, and return the status of those that have stopped since the last tick."""
        with self._turn:
            for service in list(self._engine.faults):
                self.handle_refusal(service, self._engine.faults.pop(service))
            stopped = self._load.tick()
            self._accepted.record(self._proven(), 1)  # a tick is short
            return stopped

    def handle_refusal(self, service: str, fault: ConfigurationError) -> None:
        """Handle settings that cannot work: stop if the service never took our key, else wait.

        A label that was never taken is waited for: it stops no ticket.

        Raises:
            ConfigurationError: the service never took the key, in no run on this state.
        """
        self._refused[service] = str(fault)
        self._misconfigured.discard(service)
        if not isinstance(fault, CredentialsError):
            self._misconfigured.add(service)
        proven = service == LABELS or self._engine.breaker(service).has_succeeded or service in self._accepted
        if not proven:
            raise fault
        log.error("service_refused", service=service, reason=str(fault))

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
            unreadable=self._inbox.seen.unread,
            refused=self._still_refused(),
            unreachable=tuple(
                service for service, breaker in list(self._engine.breakers.items()) if service and not breaker.is_closed
            ),
            first_start=self.first_start,
            misconfigured=frozenset(self._misconfigured),
            unproven=frozenset(SERVICE_NAMES.keys() - self._proven()),
        )

    def _proven(self) -> set[str]:
        """Return the services that have answered in this run."""
        return {service for service, breaker in list(self._engine.breakers.items()) if breaker.has_succeeded}

    def _still_refused(self) -> dict[str, str]:
        """Return the services that refuse us, each with its words.

        A service that has answered since is left out.
        """
        waited_for = {status.result.breaker for status in list(self.waiting.values())}
        for service in list(self._refused):
            breaker = self._engine.breaker(service)
            if service not in waited_for and breaker.is_closed and breaker.has_succeeded:
                self._refused.pop(service, None)
        return dict(self._refused)

    def _waits(self) -> Iterator[Wait]:
        """Return since when each message waits, for which service ("": none), and for what reason.

        A wait begins when the message arrived, or when a person put it under a category. A message whose sender writes
        too often is left out: it waits as it should.
        """
        arrived = self._inbox.received_at()
        for name, status in list(self.waiting.items()):
            reference = corrections.message_of(name)
            since = status.since if self._reclassify_mailboxes.holds(reference) else arrived.get(name)
            if since and status.result.reason != TOO_OFTEN:
                yield Wait(since, status.service, status.result.reason)
