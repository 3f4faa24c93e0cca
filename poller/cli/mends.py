"""The commands that clear up behind the daemon: have it try again, have it forget."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from poller.cli.options import EXIT_FAILED, json_option, settings_of
from poller.workflow import corrections

if TYPE_CHECKING:
    from poller.config.settings import Settings

# A sender's turns are counted over 25 hours, and nothing that is so young may be forgotten.
_OLD_DAYS = 2


@click.command()
@click.argument("reference", required=False)
@click.option("--failed", is_flag=True, help="All that failed.")
@click.pass_context
def retry(ctx: click.Context, reference: str | None, *, failed: bool) -> None:
    """Have failed messages tried again.

    They are put back into the mailbox, and the daemon goes on from the step that failed. Exit code 1 when the one that
    is named is neither among the failed nor in the mailbox.
    """
    if (reference is None) is not failed:
        raise click.UsageError("give either a reference or --failed")
    from poller.mailbox import outcome_mailboxes  # noqa: PLC0415  keeps --help quick
    from poller.mailbox.inbox import Inbox  # noqa: PLC0415  keeps --help quick

    settings = settings_of(ctx)
    wanted = {corrections.message_of(reference)} if reference else _failed(settings)
    with closing(Inbox(settings)) as inbox:
        brought = outcome_mailboxes.bring_back(settings, wanted)
        already = wanted.intersection(inbox.scan()) - brought if wanted - brought else set()
    for each in sorted(brought | already):
        where = f"{'back' if each in brought else 'already'} in {settings.imap.mailbox}"
        click.echo(f"{each} is {where}; the next look of `poller run`, or the next `poller once`, takes it up.")
    if reference and not brought | already:
        click.echo(f"poller: {reference} is not in {settings.labels.failed!r}", err=True)
        ctx.exit(EXIT_FAILED)
    if failed and not brought | already:
        click.echo("nothing to do", err=True)


@click.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=_OLD_DAYS),
    metavar="DAYS",
    required=True,
    help=f"Only what ended so many days ago, {_OLD_DAYS} at least.",
)
@click.option("--dry-run", is_flag=True, help="Say how many there are, and forget none.")
@json_option("As one JSON object.")
@click.pass_context
def purge(ctx: click.Context, *, days: int, dry_run: bool, as_json: bool) -> None:
    """Forget messages that ended long ago.

    Their rows and all that was remembered for them are deleted, and nothing of it is left in the state's file; what
    HubSpot, ClickUp, R2 and the mailbox hold is not touched. Messages that lie in the inbox or among the failed are
    kept, and so is a thread of which any message is kept. Exit code 75 when the mailbox or the state is out of reach.
    """
    from poller.cli import purge as cli_purge  # noqa: PLC0415  keeps --help quick

    counts = cli_purge.purge(settings_of(ctx), datetime.now(UTC) - timedelta(days=days), dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(counts))
        return
    for name, count in sorted((+counts).items()):
        click.echo(f"{count:>7}  {name if name == 'facts' else name.upper()}")
    forgotten = f"{'would be' if dry_run else 'are'} forgotten"
    click.echo(forgotten if counts.total() else "nothing is old enough", err=True)


def _failed(settings: Settings) -> set[str]:
    """The references of the messages that failed, or whose last correction did."""
    from poller.workflow import store  # noqa: PLC0415  keeps --help quick
    from poller.workflow.store import Memory  # noqa: PLC0415  keeps --help quick

    with closing(Memory(settings)) as memory:
        return {corrections.message_of(each.reference) for each in store.standing(memory, ["failed"])}


MENDS = (retry, purge)
