"""The `state` commands."""

from __future__ import annotations

from contextlib import closing

import click

from poller.cli.options import settings_of
from poller.daemon.daemon import Daemon
from poller.workflow.store import open_store


@click.group()
def state() -> None:
    """Repair what the state says of the mailbox."""


@state.command()
@click.pass_context
def adopt(ctx: click.Context) -> None:
    """Take the configured mailbox for that of the state, under a new name.

    Only for a mailbox that was renamed, or moved to another login. The daemon must be stopped.
    """
    settings = settings_of(ctx)
    with closing(open_store(settings)):
        pass  # Where nothing has run yet there is nothing to adopt.
    name = Daemon(settings).adopt()
    click.echo(f"the state goes on with {settings.imap.mailbox} of {settings.imap.username}, under the name {name}")
