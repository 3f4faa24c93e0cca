"""The commands. Heavy modules are imported inside them, so that `poller --help` answers at once."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections import Counter
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrations.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from datetime import datetime

    from poller.memory import Remembered, Standing
    from poller.settings import Settings

# sysexits.h; systemd names them in `systemctl status`.
EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_LATER, EXIT_REFUSED, EXIT_CONFIGURATION = 1, 69, 75, 77, 78

_SINCE = "Only those first seen on that day or later (UTC), for instance 2026-11-22."
PAYLOADS = ["support", "modelisation", "modelisation_with_files"]


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Say in one line what nobody but the person at the keyboard can mend."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo(f"poller: {error}", err=True)
            ctx.exit(EXIT_CONFIGURATION)
        except TransientError as error:
            click.echo(f"poller: {error}; try again later", err=True)
            ctx.exit(EXIT_LATER)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="Settings file  [default: config.toml if there is one]")
@click.option("--env-file", type=click.Path(path_type=Path), help="Secrets file  [default: .env if there is one]")
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    help="What is logged  [default: INFO for run, else WARNING]",
)
@click.version_option(package_name="figurative-poller", prog_name="poller")
@click.pass_context
def commands(ctx: click.Context, config: Path | None, env_file: Path | None, log_level: str | None) -> None:
    """Read Figurative's support mailbox and dispatch every request in it."""
    ctx.obj = {"config": config, "dotenv": env_file, "log_level": log_level}


def _settings(ctx: click.Context, *, need_imap: bool = True) -> Settings:
    from poller import configuration, logs  # noqa: PLC0415  keeps --help quick

    logs.configure(ctx.obj["log_level"] or ("INFO" if ctx.info_name == "run" else "WARNING"))
    return configuration.load(ctx.obj["config"], ctx.obj["dotenv"], need_imap=need_imap)


@commands.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """The daemon: work until SIGTERM or Ctrl-C.

    The messages in hand are finished first.

    SIGHUP makes it read its settings anew; it keeps the old ones when the new ones cannot be used.

    Exit code 0 when it was asked to stop, 75 when another one runs on this state or the database is out of reach, 78
    for settings that cannot work.
    """
    from poller import loop  # noqa: PLC0415  keeps --help quick

    loop.run(lambda: _settings(ctx))


@commands.command()
@click.option("--all", "everything", is_flag=True, help="Old messages too, from before imap.since.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
@click.pass_context
def once(ctx: click.Context, *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Drain the mailbox and stop.

    Prints a line a message. Exit code 0 when all is done, 1 when some message failed, 75 when some has to wait, when
    the mailbox is out of reach or when another poller runs on this state, 78 for settings that cannot work.
    """
    from poller import preview  # noqa: PLC0415  keeps --help quick
    from poller.daemon import Daemon  # noqa: PLC0415  keeps --help quick

    def finished(reference: str, standing: Standing) -> None:
        click.echo(_line(reference, standing, as_json=as_json))

    settings = _settings(ctx)
    if dry_run:
        waiting = 0
        for message in preview.preview(settings, everything=everything):
            waiting += 1
            outcome = f"{message['reference']}  {message['outcome'].upper()}  {message['reason']}"
            click.echo(json.dumps(message) if as_json else outcome)
        if not waiting:
            click.echo("nothing to do", err=True)
        return
    standings = Daemon(settings).once(finished, everything=everything)
    if not standings:
        click.echo("nothing to do", err=True)
    for reference, standing in standings.items():
        if standing.outcome == "waiting":
            finished(reference, standing)
    outcomes = {standing.outcome for standing in standings.values()}
    ctx.exit(EXIT_FAILED if "failed" in outcomes else EXIT_LATER if "waiting" in outcomes else 0)


def _line(reference: str, standing: Standing, *, as_json: bool) -> str:
    """What became of a message, for a person or a program."""
    result = standing.result or {}
    if as_json:
        return json.dumps({"reference": reference} | result)
    links = [link["url"] for link in (result.get("ticket"), result.get("subtask")) if link]
    reason = f"{result['step']}: {result['reason']}" if result.get("step") else result.get("reason", "")
    files = f"{len(result['files'])} file(s)" if result.get("files") else ""
    until = f"until {standing.until:%Y-%m-%d %H:%M:%S} UTC" if standing.until else ""
    return "  ".join(part for part in (reference, standing.outcome.upper(), *links, files, reason, until) if part)


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a service.")
@click.pass_context
def check(ctx: click.Context, *, as_json: bool) -> None:
    """Try the state and every service.

    Each with the configured credentials, and without leaving a trace.

    Exit code 0 when all answered, 69 when one is out of reach, 77 when one refused, 78 for settings that cannot work.
    """
    from poller import checks  # noqa: PLC0415  keeps --help quick

    worst = 0
    for result in checks.check(_settings(ctx)):
        click.echo(json.dumps(result.as_json()) if as_json else result.as_line())
        worst = max(worst, {"refused": EXIT_REFUSED, "unreachable": EXIT_UNAVAILABLE}.get(result.verdict, 0))
    ctx.exit(worst)


@commands.command()
@click.argument("mail", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def classify(ctx: click.Context, mail: Path, *, as_json: bool) -> None:
    """What a mail would be, and why.

    MAIL is a raw message, .eml. Nothing is created, and Claude is asked where the rules are unsure and there is a key.
    """
    from poller import trial  # noqa: PLC0415  keeps --help quick

    verdict = trial.classify(_settings(ctx, need_imap=False), mail)
    click.echo(
        json.dumps(verdict, ensure_ascii=False) if as_json else "\n".join(f"{k}: {v}" for k, v in verdict.items())
    )


@commands.command(name="try")
@click.argument("mail", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--payload", type=click.Choice(["support", "modelisation", "modelisation_with_files"]), help="A built-in mail."
)
@click.option("--live", is_flag=True, help="With the configured services, not the sandbox; creates real tickets.")
@click.pass_context
def try_(ctx: click.Context, mail: Path | None, payload: str | None, *, live: bool) -> None:
    """The whole job on one mail.

    MAIL is a raw message, .eml; the services are those of the sandbox, or with --live the configured ones.
    """
    if (mail is None) == (payload is None):
        raise click.UsageError("give either a mail or --payload")
    _end_with_the_stand_ins()
    from poller import samples, trial  # noqa: PLC0415  keeps --help quick

    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(mail.read_bytes() if mail else samples.samples()[str(payload)])
        file.flush()
        if live:
            result = trial.live(_settings(ctx, need_imap=False), Path(file.name))
        else:
            result = trial.sandbox(Path(file.name), lambda line: click.echo(line, err=True))
    click.echo(json.dumps(result, indent=2))
    ctx.exit(0 if result["outcome"] in {"support", "modelisation", "ignored"} else EXIT_FAILED)


@commands.command(name="list")
@click.option("--failed", is_flag=True, help="Only those that need a person.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a service.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help=_SINCE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
@click.pass_context
def list_(ctx: click.Context, *, failed: bool, waiting: bool, since: datetime | None, as_json: bool) -> None:
    """What became of each message.

    The first seen first; exit code 0 whatever became of them.
    """
    wanted = {outcome for outcome, asked in (("failed", failed), ("waiting", waiting)) if asked}
    for message in _remembered(_settings(ctx, need_imap=False), since=since.replace(tzinfo=UTC) if since else None):
        if not wanted or message.standing.outcome in wanted:
            line = _line(message.reference, message.standing, as_json=as_json)
            click.echo(line if as_json else f"{message.seen_at:%Y-%m-%d %H:%M:%S}  {line}")


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """How many messages of each outcome.

    Says so when no daemon runs on this state, where it is SQLite. Exit code 1 when any message needs a person.
    """
    from poller import state  # noqa: PLC0415  keeps --help quick

    settings = _settings(ctx, need_imap=False)
    counts = Counter(message.standing.outcome for message in _remembered(settings))
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for outcome, count in sorted(counts.items()):
            click.echo(f"{count:>7}  {outcome}")
    # Over PostgreSQL the daemon may be on another machine.
    if settings.state_url.startswith("sqlite") and not state.in_use(settings.directory):
        click.echo("no daemon is running on this state", err=True)
    ctx.exit(EXIT_FAILED if counts["failed"] else 0)


@commands.command()
@click.argument("reference")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def show(ctx: click.Context, reference: str, *, as_json: bool) -> None:
    """All that is remembered of a message.

    Each step, when, and what it returned. Exit code 1 when nothing is.
    """
    from poller.memory import Memory  # noqa: PLC0415  keeps --help quick

    with closing(Memory(_settings(ctx, need_imap=False))) as memory:
        found = memory.messages(references=[reference])
        entries = memory.journal(reference) if found else []
    if not found:
        click.echo(f"poller: no message has the reference {reference}", err=True)
        ctx.exit(EXIT_FAILED)
    if as_json:
        steps = [{"step": entry.step, "at": entry.at.isoformat()} | entry.content for entry in entries]
        click.echo(json.dumps({"reference": reference, "result": found[0].standing.result, "steps": steps}))
        return
    click.echo(_line(reference, found[0].standing, as_json=False))
    for entry in entries:
        content = {name: value for name, value in entry.content.items() if name != "by"}
        click.echo(f"  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.step:<24} {json.dumps(content)}")


@commands.command()
@click.argument("reference")
@click.pass_context
def retry(ctx: click.Context, reference: str) -> None:
    """Have a failed message tried again.

    It is put back into the mailbox, and the daemon goes on from the step that failed. Exit code 1 when it is neither
    among the failed nor in the mailbox.
    """
    from poller.inbox import Inbox  # noqa: PLC0415  keeps --help quick

    settings = _settings(ctx)
    with closing(Inbox(settings)) as inbox:
        found = inbox.bring_back(reference)
        waits = found or reference in inbox.scan()
    if not waits:
        click.echo(f"poller: {reference} is not in {settings.labels.failed!r}", err=True)
        ctx.exit(EXIT_FAILED)
    where = f"{'back' if found else 'already'} in {settings.imap.mailbox}"
    click.echo(f"{reference} is {where}; the daemon takes it up at its next look.")


@commands.command()
@click.option("--remote", is_flag=True, help="What HubSpot and ClickUp hold, too; some calls for each message.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
@click.pass_context
def audit(ctx: click.Context, *, remote: bool, as_json: bool) -> None:
    """What does not add up; nothing is mended.

    The mailboxes and the memory are held against each other, with --remote also what HubSpot and ClickUp hold. Exit
    code 0 when all adds up, 1 when anything does not, 75 when the mailbox or a service is out of reach.
    """
    from poller import audit  # noqa: PLC0415  keeps --help quick

    findings = unknown = 0
    for finding in audit.audit(_settings(ctx), remote=remote):
        findings += 1
        unknown += not finding.outcome
        click.echo(json.dumps(finding.as_json()) if as_json else finding.as_line())
    if not findings:
        click.echo("everything adds up", err=True)
    if unknown:
        click.echo("To have an UNKNOWN one done, put it back into the inbox.", err=True)
    ctx.exit(EXIT_FAILED if findings else 0)


def _end_with_the_stand_ins() -> None:
    """Whatever ends us, they are ended too: some are processes of their own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def _remembered(settings: Settings, since: datetime | None = None) -> list[Remembered]:
    from poller.memory import Memory  # noqa: PLC0415  keeps --help quick

    with closing(Memory(settings)) as memory:
        return memory.messages(since=since)


@commands.command(name="setup-hubspot")
@click.pass_context
def setup_hubspot(ctx: click.Context) -> None:
    """Give HubSpot's tickets a unique reference.

    Optional: with it a ticket is found by its reference, and HubSpot itself refuses a second one. Exit code 75 when
    HubSpot is out of reach, 78 when it is off or refuses us.
    """
    from poller.services import services  # noqa: PLC0415  keeps --help quick

    hubspot = services(_settings(ctx, need_imap=False)).hubspot
    if hubspot is None:
        raise ConfigurationError("HubSpot is off: set HUBSPOT_API_KEY and HUBSPOT_HUB_ID")
    made = hubspot.create_reference_property()
    click.echo("The property has been created." if made else "The property was there already.")
    click.echo("Now set reference_property = true in [hubspot] of config.toml, or HUBSPOT_REFERENCE_PROPERTY=true.")


@commands.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and say how to connect.")
@click.pass_context
def demo(ctx: click.Context, *, keep: bool) -> None:
    """The whole job on stand-ins; no account needed."""
    _end_with_the_stand_ins()
    from poller import demo as show  # noqa: PLC0415  keeps --help quick

    outcomes = {standing.outcome for standing in show.run(click.echo, keep=keep).values()}
    ctx.exit(0 if outcomes <= {"support", "modelisation", "ignored"} else EXIT_FAILED)
