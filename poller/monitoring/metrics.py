"""Export the state of the daemon, and what it does, to Prometheus.

The present state comes from the daemon. What was done comes from the state store, a few seconds later: what is counted
is what is recorded. Counters begin at zero with the process, as Prometheus expects of them. Where several machines
share a mailbox each reports the whole of it, except for Claude.
"""

from __future__ import annotations

import platform
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from integrations.claude import PRICES
from integrations.errors import ConfigurationError, ServiceError
from poller import atomic_file
from poller.logs import Trouble
from poller.model import SERVICE_NAMES, Outcome
from poller.monitoring.prometheus import served
from poller.workflow.corrections import correction_of
from poller.workflow.database import open_store
from poller.workflow.steps import service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import ThreadingHTTPServer

    from prometheus_client.core import Metric

    from integrations.claude import Claude
    from poller.config.settings import Settings
    from poller.monitoring.poll_health import PollHealth
    from poller.monitoring.status import DaemonStatus
    from poller.workflow.status import Entry, MessageRecord
    from poller.workflow.store import StateStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OUTCOMES = (Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED, Outcome.FAILED, Outcome.GONE)
RESULTS = {"ok": "ok", "retry": "retried", "wait": "waited", "fatal": "failed", "gone": "gone"}
BUCKETS_S = (1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
OVERLAP = timedelta(minutes=1)  # by which each read of the state store overlaps the one before


class Metrics:
    """Metrics of one daemon. They must be closed."""

    def __init__(
        self, settings: Settings, status: Callable[[], DaemonStatus], health: PollHealth, claude: Claude | None = None
    ) -> None:
        """Listen to nothing yet; `claude` is None where it is off."""
        self._settings, self._status, self._health, self._claude = settings, status, health, claude
        self._began = self._looked = datetime.now(UTC)
        self._store: StateStore | None = None
        self._server: ThreadingHTTPServer | None = None
        self._stopped: dict[str, MessageRecord] = {}  # the messages of the last read, as they were then
        self._counted: dict[str, datetime] = {}  # of messages that may go on: until when their entries are counted
        self._unserved, self._uncounted = Trouble(log, "metrics_not_served"), Trouble(log, "metrics_not_counted")
        self._unwritten = Trouble(log, "metrics_not_written")
        # Each `_created` would repeat figurative_start_timestamp_seconds.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(support_collectors_without_names=True)
        counter = partial(Counter, registry=self.registry)
        self._mails = counter("figurative_mails_total", "Messages that came to an end, by outcome.", ["outcome"])
        for outcome in OUTCOMES:
            self._mails.labels(outcome)
        self._steps = counter(
            "figurative_steps_total", "Tries of a step, by step, service and result.", ["step", "service", "result"]
        )
        self._decided = counter(
            "figurative_classifications_total", "Requests classified, by who decided.", ["decided_by"]
        )
        self._latencies_s = Histogram(
            "figurative_delivery_to_label_seconds",
            "Time from a message's delivery to its label, by outcome.",
            ["outcome"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        build = Info("figurative_build", "The version that runs, and the Python below it.", registry=self.registry)
        build.info({"version": _version(), "python": platform.python_version()})
        self.registry.register(self)  # for what `collect` knows

    def start(self) -> bool:
        """Listen, if that is wanted, with what the daemon knows itself. Return whether `tell` is wanted."""
        wanted = self._settings.metrics
        # Before the service manager is told that we are ready.
        self._write()
        self._listen()
        return bool(wanted.listen or wanted.textfile)

    def _listen(self) -> None:
        """Listen, if that is wanted and not done yet.

        A port that cannot be had is logged and tried again later: mail goes first.
        """
        listen = self._settings.metrics.listen
        if not listen or self._server:
            return
        try:
            self._server = served(listen, self.registry)
        except OSError as error:
            self._unserved.met(f"{listen}: {error.strerror or error}")
            return
        self._unserved.over()
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Close the port and the state store, and delete the text file, whose content is no longer true."""
        if textfile := self._settings.metrics.textfile:
            try:
                Path(textfile).unlink(missing_ok=True)
            except OSError as error:
                log.warning("metrics_not_removed", reason=f"{textfile}: {error.strerror}")
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        if self._store:
            self._store.close()

    def tell(self) -> None:
        """Bring the metrics up to date."""
        now = datetime.now(UTC)
        self._listen()
        # What the daemon knows itself is exported even where the state store hangs or is out of reach.
        self._write()
        try:
            self._store = self._store or open_store(self._settings)
            self._count(self._store, now)
        except (ServiceError, ConfigurationError) as error:
            self._uncounted.met(str(error))
            return
        self._uncounted.over()
        self._write()

    def _count(self, store: StateStore, now: datetime) -> None:
        stopped = {message.reference: message for message in store.stopped(self._looked - OVERLAP)}
        for reference, message in stopped.items():
            if self._stopped.get(reference) != message:
                self._add(message, store.journal(reference))
        self._stopped, self._looked = stopped, now

    def _add(self, message: MessageRecord, entries: list[Entry]) -> None:
        """Count what is new of a message that has stopped."""
        # A correction is no further mail, and the age of the mail at that time is no latency.
        outcome = "" if correction_of(message.reference) else message.status.outcome
        since = self._counted.get(message.reference, self._began)
        new = [entry for entry in entries if entry.at > since]
        if not new:
            return  # of a process before this one
        for entry in new:
            self._add_entry(entry)
        if outcome in OUTCOMES:
            self._mails.labels(outcome).inc()
        if outcome in {Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED}:
            self._counted.pop(message.reference, None)
            self._add_latency(outcome, entries)
        else:
            self._counted[message.reference] = entries[-1].at

    def _add_entry(self, entry: Entry) -> None:
        result = next((word for kind, word in RESULTS.items() if kind in entry.content), None)
        if result is None:
            return  # an intent
        service = service_of(entry.step)
        if entry.step == "classify" and result == "ok":
            decided_by = _said(entry, "decided_by")
            self._decided.labels(decided_by).inc()
            service = service if decided_by == "claude" else ""
        self._steps.labels(entry.step, service, result).inc()

    def _add_latency(self, outcome: str, entries: list[Entry]) -> None:
        done = {entry.step: entry for entry in entries if "ok" in entry.content}
        received_at = _said(done["receive"], "received_at") if "receive" in done else ""
        if received_at and "label" in done:
            came = datetime.fromisoformat(received_at)
            self._latencies_s.labels(outcome).observe(max(0.0, (done["label"].at - came).total_seconds()))

    def _write(self) -> None:
        if not (textfile := self._settings.metrics.textfile):
            return
        try:
            # The collector runs as another user, and the file holds nothing but numbers. `write_to_textfile` of
            # prometheus-client would leave the mode to our umask, which is 077.
            atomic_file.replace(Path(textfile), generate_latest(self.registry).decode(), 0o644)
        except OSError as error:
            self._unwritten.met(f"{textfile}: {error.strerror}")
        else:
            self._unwritten.over()

    def collect(self) -> Iterator[Metric]:
        """Yield what is known at this moment, and not counted here."""
        status, health, now = self._status(), self._health, datetime.now(UTC)
        waiting = GaugeMetricFamily(
            "figurative_waiting", "Messages that wait, by the service that they wait for.", labels=["service"]
        )
        reach = GaugeMetricFamily(
            "figurative_out_of_reach",
            "Whether messages are kept from a service for now (1) or not (0).",
            labels=["service"],
        )
        out_of_reach = {*status.unreachable, *(["imap"] if health.failing_since else [])}
        for service in SERVICE_NAMES:
            waiting.add_metric([service], status.waiting.count(service))
            reach.add_metric([service], service in out_of_reach)
        waiting.add_metric([""], status.waiting.count(""))
        yield waiting
        yield reach
        yield GaugeMetricFamily(
            "figurative_oldest_waiting_seconds",
            "Age of the oldest message that waits, since its delivery.",
            (now - min((wait.since for wait in status.waits), default=now)).total_seconds(),
        )
        yield GaugeMetricFamily("figurative_in_hand", "Messages that are worked on.", len(status.in_progress))
        yield GaugeMetricFamily(
            "figurative_last_poll_timestamp_seconds",
            "When the mailbox was last looked into with success.",
            health.looked_at.timestamp() if health.looked_at else None,
        )
        yield GaugeMetricFamily(
            "figurative_polls_failing",
            "Whether the last look into the mailbox failed (1) or not (0).",
            health.failing_since is not None,
        )
        yield GaugeMetricFamily("figurative_start_timestamp_seconds", "When the daemon began.", self._began.timestamp())
        yield from self._claude_usage()

    def _claude_usage(self) -> Iterator[Metric]:
        answers = dollars = None
        tokens = CounterMetricFamily(
            "figurative_claude_tokens_total",
            "Claude's tokens, by direction, used by this machine.",
            labels=["direction"],
        )
        if claude := self._claude:
            answers, sent, got = claude.answers, claude.input_tokens, claude.output_tokens
            tokens.add_metric(["input"], sent)
            tokens.add_metric(["output"], got)
            if prices := PRICES.get(self._settings.anthropic.model):
                dollars = (sent * prices[0] + got * prices[1]) / 1_000_000
        yield CounterMetricFamily("figurative_claude_calls_total", "Answers had from Claude by this machine.", answers)
        yield tokens
        yield CounterMetricFamily(
            "figurative_claude_cost_dollars_total", "What these tokens cost by Anthropic's price list.", dollars
        )


def _said(entry: Entry, name: str) -> str:
    """Return what a finished step returned under a name, "" where it did not: another release may have written it."""
    returned = entry.content["ok"]
    return str(returned.get(name, "")) if isinstance(returned, dict) else ""


def _version() -> str:
    """Return the version that is installed, "unknown" where the sources run without an installation."""
    try:
        return metadata.version("figurative-poller")
    except metadata.PackageNotFoundError:
        return "unknown"
