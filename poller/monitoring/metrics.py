"""Export the state of the daemon, and what it does, to Prometheus.

The present state comes from the daemon. What was done comes from the state store, a few seconds later: what is counted
is what is recorded. Counters begin at zero with the process, as Prometheus expects of them. Where several machines
share a mailbox each reports the whole of it, except for Claude.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.model import SERVICE_NAMES, Outcome
from poller.monitoring import status_file
from poller.monitoring.prometheus import exposition, labelled, number, served
from poller.workflow.corrections import correction_of
from poller.workflow.steps import service_of
from poller.workflow.store import StateStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import ThreadingHTTPServer

    from integrations.claude import Claude
    from poller.config.settings import Settings
    from poller.monitoring.poll_health import PollHealth
    from poller.monitoring.prometheus import Labels
    from poller.monitoring.status import DaemonStatus
    from poller.workflow.status import Entry, MessageRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OUTCOMES = (Outcome.SUPPORT, Outcome.MODELISATION, Outcome.IGNORED, Outcome.FAILED, Outcome.GONE)
RESULTS = {"ok": "ok", "retry": "retried", "wait": "waited", "fatal": "failed", "gone": "gone"}
BUCKETS_S = (1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, math.inf)
# Dollars for a million tokens in and out (https://platform.claude.com/docs/en/about-claude/pricing); another model's
# tokens are counted, and not priced.
PRICES = {"claude-haiku-5-5": (0.10, 0.50), "claude-haiku-4-5": (1.0, 5.0)}
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
        self._mails = Counter({labelled(outcome=outcome): 0 for outcome in OUTCOMES})
        self._steps: Counter[Labels] = Counter()
        self._decided: Counter[Labels] = Counter()
        self._latencies_s: dict[str, Counter[float]] = {}  # by outcome: how many in each bucket
        self._latency_sums_s: dict[str, float] = {}
        self._stopped: dict[str, MessageRecord] = {}  # the messages of the last read, as they were then
        self._counted: dict[str, datetime] = {}  # of messages that may go on: until when their entries are counted
        self._troubles: set[str] = set()
        self.text = ""

    def start(self) -> bool:
        """Listen, if that is wanted, with what the daemon knows itself. Return whether `tell` is wanted."""
        wanted = self._settings.metrics
        # Before the first request is answered, and before the service manager is told that we are ready.
        self._write(datetime.now(UTC))
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
            self._server = served(listen, lambda: self.text)
        except OSError as error:
            self._trouble("metrics_not_served", f"{listen}: {error.strerror or error}")
            return
        self._troubles.discard("metrics_not_served")
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Close the port and the state store, and delete the text file, whose content is no longer true."""
        if textfile := self._settings.metrics.textfile:
            try:
                Path(textfile).unlink(missing_ok=True)
            except OSError as error:
                self._trouble("metrics_not_removed", f"{textfile}: {error.strerror}")
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
        self._write(now)
        try:
            self._store = self._store or open_store(self._settings)
            self._count(self._store, now)
        except (ServiceError, ConfigurationError) as error:
            self._trouble("metrics_not_counted", str(error))
            return
        self._troubles.discard("metrics_not_counted")
        self._write(now)

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
            self._mails[labelled(outcome=outcome)] += 1
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
            self._decided[labelled(decided_by=decided_by)] += 1
            service = service if decided_by == "claude" else ""
        self._steps[labelled(step=entry.step, service=service, result=result)] += 1

    def _add_latency(self, outcome: str, entries: list[Entry]) -> None:
        done = {entry.step: entry for entry in entries if "ok" in entry.content}
        received_at = _said(done["receive"], "received_at") if "receive" in done else ""
        if received_at and "label" in done:
            came = datetime.fromisoformat(received_at)
            took_s = max(0.0, (done["label"].at - came).total_seconds())
            buckets = self._latencies_s.setdefault(outcome, Counter())
            buckets[next(bound for bound in BUCKETS_S if took_s <= bound)] += 1
            self._latency_sums_s[outcome] = self._latency_sums_s.get(outcome, 0.0) + took_s

    def _write(self, now: datetime) -> None:
        self.text = exposition(dict(self._samples(now)))
        if not self._settings.metrics.textfile:
            return
        try:
            # The collector runs as another user, and the file holds nothing but numbers.
            status_file.replace(Path(self._settings.metrics.textfile), self.text, 0o644)
        except OSError as error:
            self._trouble("metrics_not_written", f"{self._settings.metrics.textfile}: {error.strerror}")
        else:
            self._troubles.discard("metrics_not_written")

    def _trouble(self, event: str, reason: str) -> None:
        """Log a problem once, until it is over."""
        if event not in self._troubles:
            log.warning(event, reason=reason)
        self._troubles.add(event)

    def _samples(self, now: datetime) -> Iterator[tuple[tuple[str, Labels], float]]:
        status, health = self._status(), self._health
        for name, counts in (("mails", self._mails), ("steps", self._steps), ("classifications", self._decided)):
            for labels, count in counts.items():
                yield (f"figurative_{name}_total", labels), count
        yield from self._latencies()
        out_of_reach = {*status.unreachable, *(["imap"] if health.failing_since else [])}
        for service in SERVICE_NAMES:
            yield ("figurative_waiting", labelled(service=service)), status.waiting.count(service)
            yield ("figurative_out_of_reach", labelled(service=service)), service in out_of_reach
        yield ("figurative_waiting", labelled(service="")), status.waiting.count("")
        arrived = [wait.since for wait in status.waits]
        yield ("figurative_oldest_waiting_seconds", ()), (now - min(arrived, default=now)).total_seconds()
        yield ("figurative_in_hand", ()), len(status.in_progress)
        if health.looked_at:
            yield ("figurative_last_poll_timestamp_seconds", ()), health.looked_at.timestamp()
        yield ("figurative_polls_failing", ()), health.failing_since is not None
        yield ("figurative_start_timestamp_seconds", ()), self._began.timestamp()
        yield from self._claude_usage()

    def _latencies(self) -> Iterator[tuple[tuple[str, Labels], float]]:
        name = "figurative_delivery_to_label_seconds"
        for outcome, buckets in self._latencies_s.items():
            for bound in BUCKETS_S:
                up_to = sum(count for each, count in buckets.items() if each <= bound)
                yield (f"{name}_bucket", labelled(outcome=outcome, le=number(bound))), up_to
            yield (f"{name}_sum", labelled(outcome=outcome)), self._latency_sums_s[outcome]
            yield (f"{name}_count", labelled(outcome=outcome)), buckets.total()

    def _claude_usage(self) -> Iterator[tuple[tuple[str, Labels], float]]:
        if (claude := self._claude) is None:
            return
        tokens = {"input": claude.input_tokens, "output": claude.output_tokens}
        yield ("figurative_claude_calls_total", ()), claude.answers
        for direction, count in tokens.items():
            yield ("figurative_claude_tokens_total", labelled(direction=direction)), count
        if prices := PRICES.get(self._settings.anthropic.model):
            dollars = (tokens["input"] * prices[0] + tokens["output"] * prices[1]) / 1_000_000
            yield ("figurative_claude_cost_dollars_total", ()), dollars


def _said(entry: Entry, name: str) -> str:
    """Return what a finished step returned under a name, "" where it did not: another release may have written it."""
    returned = entry.content["ok"]
    return str(returned.get(name, "")) if isinstance(returned, dict) else ""
