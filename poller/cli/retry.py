"""The `retry` command."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import click

from integrations.errors import ConfigurationError
from poller.cli.options import EXIT_FAILED, settings_of
from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from poller.mailbox.variants import Variants
from poller.model import Outcome
from poller.workflow import corrections
from poller.workflow.store import open_store

if TYPE_CHECKING:
    from poller.config.settings import Settings


@click.command()
@click.argument("reference", required=False)
@click.option("--failed", is_flag=True, help="All that failed.")
@click.pass_context
def retry(ctx: click.Context, reference: str | None, *, failed: bool) -> None:
    """Retry failed messages.

    They are put back into the mailbox, and the daemon goes on from the step that failed. Exit code 1 when the one that
    is named is neither among the failed nor in the mailbox.
    """
    if (reference is None) is not failed:
        raise click.UsageError("give either a reference or --failed")
    settings = settings_of(ctx)
    wanted = {corrections.message_of(reference)} if reference else _failed(settings)
    with ExitStack() as stack:
        inbox = stack.enter_context(closing(Inbox(settings)))
        with suppress(ConfigurationError):  # Nothing has run yet, so no reference is shared.
            inbox.variants = Variants(stack.enter_context(closing(open_store(settings))))
        brought = outcome_mailboxes.move_back_to_inbox(settings, wanted, inbox.variants)
        already = wanted.intersection(inbox.scan()) - brought if wanted - brought else set()
    for each in sorted(brought | already):
        where = f"{'back' if each in brought else 'already'} in {settings.imap.mailbox}"
        click.echo(f"{each} is {where}; the next look of `poller run`, or the next `poller once`, takes it up.")
    if reference and not brought | already:
        click.echo(f"poller: {reference} is not in {settings.labels.failed!r}", err=True)
        ctx.exit(EXIT_FAILED)
    if failed and not brought | already:
        click.echo("nothing to do", err=True)


def _failed(settings: Settings) -> set[str]:
    """Return the references of the messages that failed, or whose last correction did."""
    with closing(open_store(settings)) as store:
        return {corrections.message_of(each.reference) for each in store.with_outcomes([Outcome.FAILED])}
