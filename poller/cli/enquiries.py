"""The commands that ask what has become of the mail, and how things are."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from poller.cli.options import EXIT_FAILED, EXIT_UNAVAILABLE, json_option, painted, settings_of
from poller.workflow import corrections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.workflow.status import Remembered

_SINCE = "Only those first seen on that day or later (UTC), for instance 2026-11-22."


def _day(text: str) -> datetime:
    """The beginning of a day (UTC)."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a day, for instance 2026-11-23") from error


@click.command()
@json_option("As one JSON object.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """How many messages of each outcome.

    Also what the waiting ones wait for, when the mailbox was last looked into, and whether no daemon runs on this state
    (SQLite). Exit code 69 when the mailbox has not been looked into for five intervals, and five minutes at least; 1
    when any message needs a person.
    """
    from poller.cli import report  # noqa: PLC0415  keeps --help quick
    from poller.monitoring import status_file  # noqa: PLC0415  keeps --help quick
    from poller.workflow import lock, store  # noqa: PLC0415  keeps --help quick
    from poller.workflow.store import Memory  # noqa: PLC0415  keeps --help quick

    settings, now = settings_of(ctx, need_imap=False), datetime.now(UTC)
    with closing(Memory(settings)) as memory:
        counts, waiting = store.counts(memory), store.standing(memory, ["waiting"])
    sign = status_file.found(settings.directory)
    running = lock.in_use(settings.directory) if settings.state_url.startswith("sqlite") else None
    if as_json:
        click.echo(json.dumps(report.status(counts, waiting, sign, running=running)))
    else:
        for line in report.status_lines(counts, waiting, sign, now):
            click.echo(painted(line))
    if running is False:
        click.echo("no daemon is running on this state", err=True)
    late = sign is not None and sign.is_late(now, settings.imap.poll_interval_s)
    failed = counts["failed"] or (sign is not None and sign.unreadable)
    ctx.exit(EXIT_UNAVAILABLE if late else EXIT_FAILED if failed else 0)


@click.command(name="list")
@click.option("--failed", is_flag=True, help="Only those that need a person.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a service.")
@click.option("--since", type=_day, metavar="DAY", help=_SINCE)
@json_option("One JSON object a message.")
@click.pass_context
def list_(ctx: click.Context, *, failed: bool, waiting: bool, since: datetime | None, as_json: bool) -> None:
    """What became of each message.

    The first seen first, each as its last correction left it; exit code 0 whatever became of them.
    """
    from poller.cli import report  # noqa: PLC0415  keeps --help quick
    from poller.workflow import store  # noqa: PLC0415  keeps --help quick
    from poller.workflow.store import Memory  # noqa: PLC0415  keeps --help quick

    now = datetime.now(UTC)
    wanted = {outcome for outcome, asked in (("failed", failed), ("waiting", waiting)) if asked}
    with closing(Memory(settings_of(ctx, need_imap=False))) as memory:
        found = store.standing(memory, wanted, since) if wanted else corrections.current(memory.messages(since))
    for message in found:
        if as_json:
            seen = {"seen_at": message.seen_at.isoformat(), "changed_at": message.changed_at.isoformat()}
            click.echo(json.dumps(report.as_json(message.reference, message.standing) | seen))
        else:
            line = report.line(message.reference, message.standing, now)
            click.echo(painted(f"{message.seen_at:%Y-%m-%d %H:%M:%S}  {line}"))


@click.command()
@click.argument("reference")
@json_option("As one JSON object.")
@click.pass_context
def show(ctx: click.Context, reference: str, *, as_json: bool) -> None:
    """All that is remembered of a message.

    Each try of each step: when it ended, how long it took, and what it returned, links among it; then the same of each
    of its corrections. Exit code 1 when nothing is remembered.
    """
    from poller.cli import report  # noqa: PLC0415  keeps --help quick
    from poller.workflow.store import Memory  # noqa: PLC0415  keeps --help quick

    with closing(Memory(settings_of(ctx, need_imap=False))) as memory:

        def read(ids: Iterable[str]) -> dict[str, Remembered]:
            return {each.reference: each for each in memory.named(ids)}

        known = read([reference]) if corrections.correction_of(reference) else corrections.chain(reference, read)
        found = [(each, list(report.tries(memory.journal(name)))) for name, each in known.items()]
    if not found:
        click.echo(f"poller: no message has the reference {reference}", err=True)
        ctx.exit(EXIT_FAILED)
    if as_json:
        first, *others = (report.whole(message, tries) for message, tries in found)
        click.echo(json.dumps(first | {"corrections": others}))
        return
    for message, tries in found:
        click.echo(painted(report.line(message.reference, message.standing, datetime.now(UTC))))
        for tried in tries:
            for line in report.try_lines(tried):
                click.echo(line)


@click.command(name="corrections")
@click.option("--jsonl", is_flag=True, help="As labelled examples, with what the mails say: personal data.")
@click.pass_context
def corrections_(ctx: click.Context, *, jsonl: bool) -> None:
    """What people have put under another category.

    A line each: when, the correction, and what the mail had been taken for. With --jsonl each mail is read from where
    it is filed; the lines are what `poller classify --evaluate` takes. Exit code 75 when the mailbox is out of reach.
    """
    from poller.cli import corrections  # noqa: PLC0415  keeps --help quick
    from poller.workflow.store import Memory  # noqa: PLC0415  keeps --help quick

    if jsonl:
        for reference, example in corrections.examples(settings_of(ctx)):
            if example:
                click.echo(json.dumps(example, ensure_ascii=False))
            else:
                click.echo(f"{reference} is not where it was filed, and is left out", err=True)
        return
    with closing(Memory(settings_of(ctx, need_imap=False))) as memory:
        for each in corrections.corrected(memory):
            was = (each.standing.result or {}).get("was") or "unknown"
            click.echo(f"{each.seen_at:%Y-%m-%d %H:%M:%S}  {each.reference}  was {was}")


@click.command()
@click.option("--remote", is_flag=True, help="What HubSpot and ClickUp hold, too; some calls for each message.")
@json_option("One JSON object a finding.")
@click.pass_context
def audit(ctx: click.Context, *, remote: bool, as_json: bool) -> None:
    """What does not add up; nothing is mended.

    The mailboxes and the memory are held against each other, with --remote also what HubSpot and ClickUp hold. Exit
    code 0 when all adds up, 1 when anything does not, 75 when the mailbox or a service is out of reach.
    """
    from poller.cli import audit as cli_audit  # noqa: PLC0415  keeps --help quick

    findings = unknown = 0
    for finding in cli_audit.audit(settings_of(ctx), remote=remote):
        findings += 1
        unknown += not finding.outcome
        click.echo(json.dumps(finding.as_json()) if as_json else finding.as_line())
    if not findings:
        click.echo("everything adds up", err=True)
    if unknown:
        click.echo("To have an UNKNOWN one done, put it back into the inbox.", err=True)
    ctx.exit(EXIT_FAILED if findings else 0)


@click.group()
def config() -> None:
    """The settings."""


@config.command(name="show")
@json_option("One JSON object a setting.")
@click.pass_context
def show_config(ctx: click.Context, *, as_json: bool) -> None:
    """Every setting in force, and where it came from.

    Each value as config.toml has it, "" where none is set; of a secret only whether it is set. Exit code 78 for
    settings that cannot work.
    """
    from poller import logs  # noqa: PLC0415  keeps --help quick
    from poller.config import loader  # noqa: PLC0415  keeps --help quick

    logs.configure(ctx.obj["log_level"] or "WARNING")
    for each in loader.explain(ctx.obj["config"], ctx.obj["dotenv"]):
        if as_json:
            click.echo(json.dumps({"name": each.name, "value": each.value, "source": each.source}, ensure_ascii=False))
        else:
            click.echo(f"{each.name:<34} {each.shown:<40} {each.source}")


ENQUIRIES = (status, list_, show, corrections_, audit, config)
