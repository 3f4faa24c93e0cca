"""The `list` and `show` commands."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from poller.cli import report
from poller.cli.options import EXIT_FAILED, json_option, settings_of
from poller.cli.terminal import painted
from poller.model import Outcome
from poller.workflow import corrections
from poller.workflow.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.workflow.status import MessageRecord


_SINCE = "Only those first seen on that day or later (UTC), for instance 2026-11-22."


def _day(text: str) -> datetime:
    """Parse a day, and return its beginning (UTC)."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a day, for instance 2026-11-23") from error


@click.command(name="list")
@click.option("--failed", is_flag=True, help="Only those that need a person.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a service.")
@click.option("--since", type=_day, metavar="DAY", help=_SINCE)
@json_option("One JSON object a message.")
@click.pass_context
def list_(ctx: click.Context, *, failed: bool, waiting: bool, since: datetime | None, as_json: bool) -> None:
    """List the messages with their outcomes.

    The first seen comes first, each as its last correction left it. Exit code 0 whatever became of them.
    """
    now = datetime.now(UTC)
    wanted = {outcome for outcome, asked in ((Outcome.FAILED, failed), (Outcome.WAITING, waiting)) if asked}
    with closing(open_store(settings_of(ctx, need_imap=False))) as store:
        # They may be too many for memory, so each is printed as it is read.
        for message in store.with_outcomes(wanted, since) if wanted else store.current(since):
            if as_json:
                seen = {"seen_at": message.seen_at.isoformat(), "changed_at": message.changed_at.isoformat()}
                click.echo(json.dumps(report.as_json(message.reference, message.status) | seen))
            else:
                line = report.line(message.reference, message.status, now)
                click.echo(painted(f"{message.seen_at:%Y-%m-%d %H:%M:%S}  {line}"))


@click.command()
@click.argument("reference")
@json_option("As one JSON object.")
@click.pass_context
def show(ctx: click.Context, reference: str, *, as_json: bool) -> None:
    """Show all that is stored about a message.

    For each try of each step: when it ended, how long it took, and what it returned, links included. The same follows
    for each of its corrections. Exit code 1 when nothing is stored.
    """
    with closing(open_store(settings_of(ctx, need_imap=False))) as store:

        def read(ids: Iterable[str]) -> dict[str, MessageRecord]:
            return {each.reference: each for each in store.named(ids)}

        known = read([reference]) if corrections.correction_of(reference) else corrections.chain(reference, read)
        found = [(each, list(report.tries(store.journal(name)))) for name, each in known.items()]
    if not found:
        click.echo(f"poller: no message has the reference {reference}", err=True)
        ctx.exit(EXIT_FAILED)
    if as_json:
        first, *others = (report.whole(message, tries) for message, tries in found)
        click.echo(json.dumps(first | {"corrections": others}))
        return
    for message, tries in found:
        click.echo(painted(report.line(message.reference, message.status, datetime.now(UTC))))
        for tried in tries:
            for line in report.try_lines(tried):
                click.echo(line)
