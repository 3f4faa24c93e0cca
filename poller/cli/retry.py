"""The `retry` command."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import click

from integrations.errors import ConfigurationError, TransientError
from poller.cli import report
from poller.cli.options import EXIT_FAILED, EXIT_LATER, settings_of
from poller.config.settings import reader_zone
from poller.daemon import retry_requests
from poller.dispatch.receive import RATE_LIMITS
from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from poller.mailbox.variants import Variants
from poller.model import Outcome
from poller.workflow import corrections, lock
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from poller.config.settings import Settings
    from poller.workflow.status import MessageStatus


@click.command()
@click.argument("reference", required=False)
@click.option("--failed", is_flag=True, help="All that failed.")
@click.option("--waiting", is_flag=True, help="All that wait.")
@click.pass_context
def retry(ctx: click.Context, reference: str | None, *, failed: bool, waiting: bool) -> None:
    """Retry failed messages, and try waiting ones now.

    Failed ones are put back into the mailbox, and the daemon goes on from the step that failed. Waiting ones are tried
    at once, whatever they wait for. Exit code 1 when the one that is named neither waits nor failed, 75 when it waits
    for its sender's turn.
    """
    if [reference is not None, failed, waiting].count(True) != 1:
        raise click.UsageError("give either a reference, --failed or --waiting")
    settings = settings_of(ctx)
    if reference:
        ctx.exit(_retry_one(settings, corrections.message_of(reference)))
    if waiting:
        _try_all_waiting(settings)
    else:
        with closing(open_store(settings)) as store:
            wanted = {corrections.message_of(each.reference) for each in store.with_outcomes([Outcome.FAILED])}
        if not _bring_back(settings, wanted):
            click.echo("nothing to do", err=True)


def _retry_one(settings: Settings, reference: str) -> int:
    """Have a message tried once more, and return the exit code."""
    with closing(open_store(settings)) as store:
        _, status = store.last(reference)
    if status and status.outcome is Outcome.WAITING:
        return _try_now(settings, reference, status)
    if status and status.outcome is Outcome.WORKING:
        click.echo(f"{reference} is in hand; {_without_daemon(settings, 'goes on with it') or 'it is being tried'}.")
        return 0
    if _bring_back(settings, {reference}):
        return 0
    click.echo(f"poller: {reference} does not wait, and is not in {settings.labels.failed!r}", err=True)
    return EXIT_FAILED


def _try_now(settings: Settings, reference: str, status: MessageStatus) -> int:
    result = status.result
    if result.reason in RATE_LIMITS:
        until = f" until {report.moment(result.until, reader_zone(settings))}" if result.until else ""
        click.echo(
            f"poller: {reference} waits for its turn{until}: {result.reason}; retry does not change that", err=True
        )
        return EXIT_LATER
    click.echo(f"{reference} waits ({report.cause(result)}); {_ask(settings, reference, 'it')}.")
    return 0


def _try_all_waiting(settings: Settings) -> None:
    with closing(open_store(settings)) as store:
        found = store.with_outcomes([Outcome.WAITING])
    able = [message for message in found if message.status.result.reason not in RATE_LIMITS]
    if able:
        click.echo(f"{_number(len(able))}; {_ask(settings, retry_requests.EVERYTHING, 'them')}, one per service first.")
    if late := len(found) - len(able):
        click.echo(f"{_number(late)} for its turn behind a rate limit; retry does not change that.")
    if not found:
        click.echo("nothing to do", err=True)


def _number(messages: int) -> str:
    return "1 message waits" if messages == 1 else f"{messages} messages wait"


def _ask(settings: Settings, name: str, them: str) -> str:
    """Ask the daemon for what a name in `retry_requests` stands for, and return what happens now."""
    if without := _without_daemon(settings, f"tries {them} at once"):
        return without
    try:
        retry_requests.leave(settings.directory, name)
    except OSError as error:
        raise TransientError(f"{settings.directory}: {error.strerror}", outcome_unknown=False) from error
    return f"the daemon tries {them} now"


def _without_daemon(settings: Settings, does: str) -> str:
    """Return what happens where no daemon runs, "" where one does."""
    if lock.in_use(settings.directory):
        return ""
    on_this = "on this state" if settings.state_url.startswith("sqlite") else "on this machine"
    return f"no daemon runs {on_this}, the next `poller run` or `poller once` {does}"


def _bring_back(settings: Settings, wanted: set[str]) -> bool:
    """Put failed messages back into the mailbox. Return whether any is there now."""
    with ExitStack() as stack:
        inbox = stack.enter_context(closing(Inbox(settings)))
        with suppress(ConfigurationError):  # Nothing has run yet, so no reference is shared.
            inbox.variants = Variants(stack.enter_context(closing(open_store(settings))))
        brought = outcome_mailboxes.move_back_to_inbox(settings, wanted, inbox.variants)
        already = wanted.intersection(inbox.scan()) - brought if wanted - brought else set()
    for each in sorted(brought | already):
        where = f"{'back' if each in brought else 'already'} in {settings.imap.mailbox}"
        click.echo(f"{each} is {where}; the next look of `poller run`, or the next `poller once`, takes it up.")
    return bool(brought | already)
