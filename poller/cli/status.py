"""The `status` command: how the daemon and its messages are, and what a person is to do about it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from poller.cli.options import (
    EXIT_FAILED,
    EXIT_NOT_RUNNING,
    EXIT_REFUSED,
    EXIT_UNAVAILABLE,
    json_option,
    reader_now,
    settings_of,
)
from poller.cli.report import moment
from poller.cli.terminal import painted
from poller.model import LABELS, SERVICE_NAMES, TICKETS, Outcome
from poller.monitoring import status_file
from poller.workflow import lock
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from poller.monitoring.status_file import PollStatus
    from poller.workflow.status import MessageRecord, MessageStatus

_NAMES = SERVICE_NAMES | {"notification": "The admin's mailbox"}
# What a service that refuses us stops, and what goes on.
_EFFECTS = {
    "notification": "mail is processed and filed, and nobody is told",
    "anthropic": "unsure mail waits for a while, sure mail goes on",
    "r2": "mail with files to upload waits, other mail goes on",
    "hubspot": "mail waits for its ticket",
    "clickup": "MODELISATION mail waits for its subtask, SUPPORT mail goes on",
    "smtp": "mail waits for its notification, tickets are opened",
    LABELS: "tickets are opened, mail stays in the inbox until it can be filed",
    **{name: f"new {category} mail waits for its ticket, other mail goes on" for category, name in TICKETS.items()},
}
_FULL = "OVERQUOTA"  # the response code of a mailbox that is full (RFC 5530)


@dataclass(frozen=True, slots=True)
class Overview:
    """The daemon and its messages at one moment."""

    counts: Mapping[Outcome, int]  # messages by outcome
    waiting: Sequence[MessageRecord]
    poll_status: PollStatus | None = None  # as the daemon of this machine last left it
    running: bool | None = None  # whether a daemon runs; None: another machine's may
    is_late: bool = False  # whether the last good poll is too long ago
    full_disk: Path | None = None  # the directory of the state, if its disk has no room for another mail

    @property
    def lacks_daemon(self) -> bool:
        """Return whether no daemon runs where one should. `poller once` needs none."""
        return self.running is False and not (self.poll_status and self.poll_status.by_once)

    @property
    def exit_code(self) -> int:
        """Return the exit code that says what matters most."""
        poll_status = self.poll_status
        if self.lacks_daemon:
            return EXIT_NOT_RUNNING
        if poll_status and poll_status.refused:
            return EXIT_REFUSED
        if self.is_late:
            return EXIT_UNAVAILABLE
        failed = self.counts.get(Outcome.FAILED) or self.full_disk or (poll_status and poll_status.unreadable)
        return EXIT_FAILED if failed else 0

    def as_json(self) -> dict[str, Any]:
        """Return the number of messages by outcome, the services they wait for, and the state of the polls."""
        services = Counter(message.status.service for message in self.waiting)
        oldest = min((message.seen_at for message in self.waiting), default=None)
        polls = self.poll_status
        return {
            "outcomes": dict(self.counts),
            "waiting": {"oldest_since": oldest and oldest.isoformat(), "services": dict(services)},
            "last_poll_at": polls.looked_at.isoformat() if polls and polls.looked_at else None,
            "polls_failing_since": polls.failing_since.isoformat() if polls and polls.failing_since else None,
            "polls_failing_because": polls.reason if polls else "",
            "unreadable": polls.unreadable if polls else 0,
            "refused": dict(polls.refused) if polls else {},
            "daemon_running": self.running,
            "mailbox_full": self._is_mailbox_full,
            "disk_full": self.full_disk is not None,
        }

    def lines(self, now: datetime) -> Iterator[str]:
        """Yield the same as lines for a person, with the next command for what needs one.

        `now` is in the time zone that times are told in.
        """
        if self.lacks_daemon:
            yield "NO DAEMON runs on this state"
            yield _next("poller run, or where systemd runs it: sudo systemctl start figurative-poller")
        if self.full_disk:
            yield f"the disk of {self.full_disk} has no room for another mail"
            yield _next(f"df -h {self.full_disk}; what waits goes on when there is room")
        for outcome, count in sorted(self.counts.items()):
            yield f"{count:>7}  {outcome.upper()}"
        if self.counts.get(Outcome.FAILED):
            yield _next("poller list --failed, then poller retry REFERENCE")
        yield from self._wait_lines(now)
        if self.poll_status:
            yield from _poll_lines(self.poll_status, now, is_late=self.is_late and not self.lacks_daemon)

    def _wait_lines(self, now: datetime) -> Iterator[str]:
        if self.waiting:
            services = Counter(_kept_by(message.status) for message in self.waiting)
            oldest = min(message.seen_at for message in self.waiting)
            yield f"the oldest waits since {moment(oldest, now.tzinfo)}; they wait for:"
            yield from (f"{count:>7}  {why}" for why, count in services.most_common())
        if self._is_mailbox_full:
            yield f"the mailbox is full ({_FULL})"
            yield _next("make room in it, then poller retry --waiting")

    @property
    def _is_mailbox_full(self) -> bool:
        reasons = [message.status.result.reason for message in self.waiting]
        return any(_FULL in reason for reason in (*reasons, self.poll_status.reason if self.poll_status else ""))


def _poll_lines(poll_status: PollStatus, now: datetime, *, is_late: bool) -> Iterator[str]:
    looked_at = poll_status.looked_at
    is_late = is_late and not poll_status.failing_since
    late = ", which is too long" if is_late else ""
    yield f"last good poll {_age(now, looked_at)} ago{late}" if looked_at else "no poll was good yet"
    if is_late:
        once = "poller once, and see that its timer or cron job still runs it"
        yield _next(once if poll_status.by_once else "poller check")
    if poll_status.failing_since:
        yield f"polls fail since {moment(poll_status.failing_since, now.tzinfo)}: {poll_status.reason}"
        yield _next("poller check")
    for service, reason in poll_status.refused.items():
        effect = _EFFECTS.get(service, "all mail waits")
        yield f"{_NAMES.get(service, service)} refuses us: {reason}; {effect}"
        yield _next("correct the setting, restart (sudo systemctl restart figurative-poller), then poller check")
    if poll_status.unreadable:
        yield f"{poll_status.unreadable:>7}  that the mail server lists and does not give"
        yield _next("journalctl -u figurative-poller -g message_unreadable, for their UIDs")


def _next(command: str) -> str:
    return f"         -> {command}"


def _kept_by(status: MessageStatus) -> str:
    return SERVICE_NAMES.get(status.service) or status.result.reason


def _age(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("days", 172_800), ("h", 7_200), ("min", 120)):
        if seconds >= size:
            return f"{seconds // (size // 2)} {unit}"
    return f"{seconds} s"


@click.command()
@json_option("As one JSON object.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Count the messages of each outcome.

    Also tells whether no daemon runs on this state (SQLite), what the waiting messages wait for, when the mailbox was
    last scanned, what refuses us or is full, and the next command for each thing that needs a person.

    Exit code 3 when no daemon runs, 77 when a service refuses us, 69 when the mailbox has not been scanned for five
    intervals, and five minutes at least, 1 when anything else needs a person.
    """
    settings = settings_of(ctx, need_imap=False)
    now, directory = reader_now(settings), settings.directory
    with closing(open_store(settings)) as store:
        counts, waiting = store.counts(), store.with_outcomes([Outcome.WAITING])
    poll_status = status_file.read(directory)
    overview = Overview(
        counts,
        waiting,
        poll_status,
        running=lock.in_use(directory) if settings.state_url.startswith("sqlite") else None,
        is_late=poll_status is not None and poll_status.is_late(now, settings.imap.poll_interval_s),
        full_disk=directory if shutil.disk_usage(directory).free < settings.imap.max_message_bytes else None,
    )
    if as_json:
        click.echo(json.dumps(overview.as_json()))
    else:
        for line in overview.lines(now):
            click.echo(painted(line))
    ctx.exit(overview.exit_code)
