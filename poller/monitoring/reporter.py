"""Report the state of the daemon to the admin, a dead man's switch, Prometheus, and `poller status`."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from poller.config.settings import reader_zone
from poller.model import LABELS
from poller.monitoring import canary, digest, unanswered
from poller.monitoring.alerts import Alerts
from poller.monitoring.heartbeat import Heartbeat
from poller.monitoring.metrics import Metrics
from poller.monitoring.status import Wait
from poller.monitoring.status_file import StatusFile
from poller.rendering import incident

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.claude import Claude
    from integrations.hubspot import HubSpot
    from integrations.smtp import Smtp
    from poller.config.settings import Settings
    from poller.monitoring.poll_health import PollHealth
    from poller.monitoring.status import DaemonStatus
    from poller.rendering.incident import Incident
    from poller.workflow.facts import FactStore
    from poller.workflow.outage import Outage


class HealthReporter:
    """Watches a daemon, and reports on it. It must be closed."""

    def __init__(
        self,
        settings: Settings,
        status: Callable[[], DaemonStatus],
        health: PollHealth,
        *,
        store: FactStore,
        smtp: Smtp | None,
        claude: Claude | None = None,
        hubspot: HubSpot | None = None,
    ) -> None:
        """Report nothing yet; `smtp`, `claude` and `hubspot` are None where they are off."""
        self._settings, self._status, self._health = settings, status, health
        self._store, self._smtp, self._hubspot = store, smtp, hubspot
        self._host = socket.gethostname()
        self._patience = timedelta(minutes=settings.alerts.polls_failing_min)
        self._in_hand: dict[str, datetime] = {}  # since when
        self._told_of: dict[str, datetime] = {}  # the services with an incident of their own, and when it was last seen
        self._is_late = False  # whether any message is late
        self._alerts = self._made_alerts()
        self._heartbeat = Heartbeat(str(settings.heartbeat.url)) if settings.heartbeat.url else None
        self._status_file = StatusFile(settings.directory)
        self.metrics = Metrics(settings, status, health, claude)
        self.canary = canary.made(settings, store, smtp)

    def close(self) -> None:
        """Close ports and connections."""
        self.metrics.close()
        if self._heartbeat:
            self._heartbeat.close()

    def report(self) -> None:
        """Report to the recipients outside of this machine, and write the status file for those on it."""
        now = datetime.now(UTC)
        status, health = self._status(), self._health
        present = self.incidents(now, status)
        refused = self._refused(status)
        if undeliverable := self._undeliverable():
            refused["notification"] = f"{undeliverable}, look at NOTIFICATION_EMAIL"
        self._status_file.leave(health.looked_at, health.failing_since, health.reason, len(status.unreadable), refused)
        if self._heartbeat:
            missing = self.canary is not None and self.canary.missing_since
            failing = bool(missing or undeliverable) or self._polls_fail(now) or self._has_lasted(status.outage, now)
            is_known = not status.outage and (not self.canary or self.canary.decided)
            if failing or is_known:  # Success is reported only where it is known.
                self._heartbeat.tell(self._health.looked_at, failing=failing)
        if self._alerts:
            self._alerts.tell(present, now, [*self._undecided(status), *self._unproven(status)])

    def alert(self) -> None:
        """Report to the admin alone, for the last time before a stop."""
        now, status = datetime.now(UTC), self._status()
        if self._alerts:
            undecided = [*self._undecided(status), *self._unproven(status)]
            self._alerts.tell(self.incidents(now, status), now, undecided)

    def run_canary(self) -> None:
        """Send the canary's mail when it is due, and check whether the last one has arrived."""
        if self.canary:
            self.canary.run(datetime.now(UTC), deaf=self._is_deaf(self._status()))

    def send_due_letters(self) -> None:
        """Send the week's digest and the day's reminder when they are due."""
        now, first_start = datetime.now(UTC), self._status().first_start
        digest.tell(self._settings, self._store, self._smtp, first_start, now, self._hubspot)
        unanswered.tell(self._settings, self._store, self._smtp, self._hubspot, now)

    def incidents(self, now: datetime, status: DaemonStatus) -> list[Incident]:
        """Return every incident that a person should know of at this moment."""
        since = self._health.failing_since
        refused = {name: reason for name, reason in self._refused(status).items() if name not in status.may_pass}
        found = [
            incident.untrusted(service, reason, self._host)
            if service in status.untrusted
            else incident.refused(service, reason, self._host, is_key=service not in status.misconfigured)
            for service, reason in refused.items()
        ]
        self._told_of |= dict.fromkeys(refused, now)
        if status.outage and self._has_lasted(status.outage, now):
            found.append(incident.state_unavailable(status.outage.since, status.outage.reason, self._host))
        if since and not self._health.refused and self._polls_fail(now):
            found.append(incident.polls_failing(since, self._health.reason, self._host))
            self._told_of |= dict.fromkeys(("imap", LABELS), now)
        unreadable = status.unreadable
        if unreadable and now - (first := min(unreadable.values())) >= self._patience:
            found.append(incident.unreadable(sorted(unreadable), first, self._settings.imap.mailbox, self._host))
        if self.canary and (missing_since := self.canary.missing_since):
            found.append(incident.canary_missing(missing_since, self._host))
        return [*found, *self._late(now, status)]

    def _refused(self, status: DaemonStatus) -> dict[str, str]:
        """Return the services that refuse us, each with its reason."""
        refused = dict(status.refused)
        if self._health.failing_since and self._health.refused:
            refused["imap"] = self._health.reason
        return refused

    def _late(self, now: datetime, status: DaemonStatus) -> list[Incident]:
        """Return an incident if messages wait for too long and the admin was not told of what they wait for.

        One outage is one mail. A message that waits for a service that was reported has as long again when the outage
        is over.
        """
        self._in_hand = {reference: self._in_hand.get(reference, now) for reference in status.in_progress}
        # A message in progress may have come long ago. It is late when it has been in progress for long.
        waits = [*status.waits, *(Wait(since, "", "") for since in self._in_hand.values())]
        most_min = self._settings.alerts.waiting_min
        most = timedelta(minutes=most_min)
        late = sorted(wait for wait in waits if now - wait.since >= most)
        self._is_late = bool(late)
        untold = [wait for wait in late if now - self._told_of.get(wait.service, wait.since) >= most]
        reasons = [wait.reason for wait in untold]
        return [incident.waiting(len(untold), untold[0].since, reasons, most_min, self._host)] if untold else []

    def _polls_fail(self, now: datetime) -> bool:
        since = self._health.failing_since
        return since is not None and now - since >= self._patience

    def _undeliverable(self) -> str:
        """Return why no mail reaches the admin, "" where it does. No mail can tell of it."""
        return self._smtp.undeliverable.get(self._settings.notification.email or "", "") if self._smtp else ""

    def _has_lasted(self, outage: Outage | None, now: datetime) -> bool:
        return outage is not None and now - outage.since >= self._patience

    def _is_deaf(self, status: DaemonStatus) -> bool:
        """Return whether a mail that has arrived might not be seen yet.

        That is so when the last poll failed or there was none, when the mailbox is out of reach, and when more messages
        are in progress than there are workers.
        """
        unseen = self._health.looked_at is None or self._health.failing_since is not None
        is_backlog = len(status.in_progress) > self._settings.state.workers
        return unseen or is_backlog or "imap" in status.unreachable

    def _undecided(self, status: DaemonStatus) -> list[str]:
        """Return the keys of the incidents whose state is unknown. They are not reported as over."""
        undecided = [f"{incident.CANARY} {self._host}"] if self.canary and not self.canary.decided else []
        if self._is_late:
            undecided.append(incident.WAITING)
        if self._health.looked_at is None or self._health.failing_since:
            undecided += [
                incident.WAITING,
                f"{incident.POLLS} {self._host}",
                *(f"{kind} imap {self._host}" for kind in incident.REFUSALS),
                f"{incident.UNREADABLE} {self._host}",
            ]
        elif status.unreadable:
            undecided.append(f"{incident.UNREADABLE} {self._host}")
        return undecided

    def _unproven(self, status: DaemonStatus) -> list[str]:
        """Return the keys of refusals by services that have not answered since the start, and may refuse us still."""
        return [f"{kind} {service} {self._host}" for kind in incident.REFUSALS for service in status.unproven]

    def _made_alerts(self) -> Alerts | None:
        recipient, smtp = self._settings.notification.email, self._smtp
        if recipient is None or smtp is None:
            return None
        sender, zone = self._settings.sender, reader_zone(self._settings)
        return Alerts(self._store, smtp.send, sender=sender, recipient=recipient, host=self._host, zone=zone)
