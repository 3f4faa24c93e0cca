"""The `status` command."""

from __future__ import annotations

import json
import shutil
from contextlib import closing

import click

from poller.cli.options import json_option, reader_now, settings_of
from poller.cli.overview import Overview
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
