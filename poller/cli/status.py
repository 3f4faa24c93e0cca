"""The `status` command."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime

import click

from poller.cli import report
from poller.cli.options import EXIT_FAILED, EXIT_REFUSED, EXIT_UNAVAILABLE, json_option, settings_of
from poller.cli.terminal import painted
from poller.model import Outcome
from poller.monitoring import status_file
from poller.workflow import lock
from poller.workflow.store import open_store


@click.command()
@json_option("As one JSON object.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Count the messages of each outcome.

    Also tells what the waiting ones wait for, when the mailbox was last scanned, and whether no daemon runs on this
    state (SQLite).

    Exit code 77 when a service refuses us, 69 when the mailbox has not been scanned for five intervals, and five
    minutes at least, 1 when any message needs a person.
    """
    settings, now = settings_of(ctx, need_imap=False), datetime.now(UTC)
    with closing(open_store(settings)) as store:
        counts, waiting = store.counts(), store.with_outcomes([Outcome.WAITING])
    poll_status = status_file.read(settings.directory)
    running = lock.in_use(settings.directory) if settings.state_url.startswith("sqlite") else None
    if as_json:
        click.echo(json.dumps(report.status(counts, waiting, poll_status, running=running)))
    else:
        for line in report.status_lines(counts, waiting, poll_status, now):
            click.echo(painted(line))
    if running is False:
        click.echo("no daemon is running on this state", err=True)
    late = poll_status is not None and poll_status.is_late(now, settings.imap.poll_interval_s)
    failed = counts[Outcome.FAILED] or (poll_status is not None and poll_status.unreadable)
    refused = poll_status is not None and poll_status.refused
    ctx.exit(EXIT_REFUSED if refused else EXIT_UNAVAILABLE if late else EXIT_FAILED if failed else 0)
