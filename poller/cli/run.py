"""The commands that need the state for themselves: `run`, `once` and `state`."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from poller.cli import report
from poller.cli.options import EXIT_FAILED, EXIT_LATER, json_option, reader_now, rereader, settings_of
from poller.cli.preview import print_preview
from poller.cli.terminal import Progress, painted
from poller.daemon import loop
from poller.daemon.daemon import Daemon
from poller.imap import login_refusals
from poller.imap import session as imap_session
from poller.mailbox.source import KEYWORDS
from poller.model import Outcome
from poller.monitoring import status_file
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from poller.config.settings import Settings
    from poller.workflow.status import MessageStatus


@click.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    The messages in hand are finished first.

    SIGHUP makes it read its settings again. It keeps the old ones when the new ones cannot be used.

    Exit code 0 when it was asked to stop, 75 when another one runs on this state, the database is out of reach or the
    disk is full, 78 for settings that cannot work.
    """
    loop.run(rereader(ctx))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Old messages too, from before imap.since.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option("One JSON object a message.")
@click.pass_context
def once(ctx: click.Context, *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Drain the mailbox and stop.

    Prints one line for each message.

    Exit code 0 when all is done, 1 when some message failed, 75 when some has to wait, when the mailbox is out of reach
    or when another poller runs on this state, 78 for settings that cannot work.
    """
    if dry_run:
        print_preview(ctx, everything=everything, as_json=as_json)
        return
    ended = 0

    def print_line(reference: str, status: MessageStatus) -> None:
        progress.show("")
        line = report.line(reference, status, reader_now(settings))
        click.echo(json.dumps(report.as_json(reference, status)) if as_json else painted(line))

    def finished(reference: str, status: MessageStatus) -> None:
        nonlocal ended
        ended += 1
        print_line(reference, status)
        show()

    def show() -> None:
        progress.show(f"{ended} done, {len(daemon.working)} in hand, {len(daemon.waiting_messages())} waiting")

    settings = settings_of(ctx)
    with Progress() as progress:
        progress.show("looking into the mailbox")
        login_refusals.keep_in(settings.directory)  # Cron starts another process in a minute.
        daemon = Daemon(settings, progress=show)
        statuses = daemon.once(finished, everything=everything)
        unreadable = daemon.status().unreadable
        status_file.StatusFile(settings.directory, by_once=True).leave(datetime.now(UTC), None, "", len(unreadable))
        for reference, status in statuses.items():
            if status.outcome is Outcome.WAITING:
                print_line(reference, status)
    for uid in unreadable:
        click.echo(f"poller: the mail server does not give the message with UID {uid}", err=True)
    if not statuses and not unreadable:
        click.echo("nothing to do", err=True)
    outcomes = {status.result.final_outcome for status in statuses.values()}
    ctx.exit(
        EXIT_FAILED if Outcome.FAILED in outcomes else EXIT_LATER if Outcome.WAITING in outcomes or unreadable else 0
    )


@click.group()
def state() -> None:
    """Repair what the state says of the mailbox."""


@state.command()
@click.pass_context
def adopt(ctx: click.Context) -> None:
    """Take a renamed mailbox for that of the state.

    The state goes on with the configured mailbox. Only for one that was renamed, or moved to another login. The daemon
    must be stopped. What lies there is printed before anything is recorded.

    Exit code 75 when the daemon runs or the mailbox is out of reach, 78 when the mailbox refuses the login or is not
    there, or when nothing has run on the state yet.
    """
    settings = settings_of(ctx)
    open_store(settings).close()  # It raises where nothing has run yet: there is nothing to adopt.
    click.echo(_what_lies_there(settings))
    name = Daemon(settings).adopt()
    click.echo(f"the state goes on with {settings.imap.mailbox} of {settings.imap.username}, under the name {name}")


def _what_lies_there(settings: Settings) -> str:
    """Log in, and return how many messages the configured mailbox has, and those of the outcomes beside it."""
    with closing(imap_session.connect(settings.imap)) as session:
        waiting = len(session.uids())
        counts = {name: session.count(name) for name in (getattr(settings.labels, outcome) for outcome in KEYWORDS)}
    filed = ", ".join(f"{count} in {name!r}" for name, count in counts.items() if count)
    here = f"{settings.imap.mailbox} of {settings.imap.username} has {waiting} message{'' if waiting == 1 else 's'}"
    return f"{here}; filed beside it, with receipts: {filed or 'nothing, so look whether it is the same mailbox'}"
