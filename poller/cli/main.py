"""The commands. Heavy modules are imported inside them, so that `poller --help` answers at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrations.errors import ConfigurationError, TransientError
from poller.cli.enquiries import ENQUIRIES
from poller.cli.mends import MENDS
from poller.cli.options import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    EXIT_LATER,
    Progress,
    json_option,
    painted,
    rereader,
    settings_of,
)
from poller.cli.tryouts import TRYOUTS

if TYPE_CHECKING:
    from poller.workflow.status import Standing


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
    help="What is logged  [default: INFO for run and forms, else WARNING]",
)
@click.version_option(package_name="figurative-poller", prog_name="poller")
@click.pass_context
def commands(ctx: click.Context, config: Path | None, env_file: Path | None, log_level: str | None) -> None:
    """Read Figurative's support mailbox and dispatch every request in it."""
    ctx.obj = {"config": config, "dotenv": env_file, "log_level": log_level}


@commands.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """The daemon: work until SIGTERM or Ctrl-C.

    The messages in hand are finished first.

    SIGHUP makes it read its settings anew; it keeps the old ones when the new ones cannot be used.

    Exit code 0 when it was asked to stop, 75 when another one runs on this state or the database is out of reach, 78
    for settings that cannot work.
    """
    from poller.daemon import loop  # noqa: PLC0415  keeps --help quick

    loop.run(rereader(ctx))


@commands.command()
@click.option("--all", "everything", is_flag=True, help="Old messages too, from before imap.since.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option("One JSON object a message.")
@click.pass_context
def once(ctx: click.Context, *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Drain the mailbox and stop.

    Prints a line a message. Exit code 0 when all is done, 1 when some message failed, 75 when some has to wait, when
    the mailbox is out of reach or when another poller runs on this state, 78 for settings that cannot work.
    """
    if dry_run:
        _preview(ctx, everything=everything, as_json=as_json)
        return
    from poller.cli import report  # noqa: PLC0415  keeps --help quick
    from poller.daemon.daemon import Daemon  # noqa: PLC0415  keeps --help quick
    from poller.monitoring import status_file  # noqa: PLC0415  keeps --help quick

    ended = 0

    def print_line(reference: str, standing: Standing) -> None:
        progress.show("")
        line = report.line(reference, standing, datetime.now(UTC))
        click.echo(json.dumps(report.as_json(reference, standing)) if as_json else painted(line))

    def finished(reference: str, standing: Standing) -> None:
        nonlocal ended
        ended += 1
        print_line(reference, standing)
        show()

    def show() -> None:
        progress.show(f"{ended} done, {len(daemon.working)} in hand, {len(daemon.kept_waiting())} waiting")

    settings = settings_of(ctx)
    with Progress() as progress:
        progress.show("looking into the mailbox")
        daemon = Daemon(settings, progress=show)
        standings = daemon.once(finished, everything=everything)
        unreadable = daemon.status().unreadable
        status_file.Signs(settings.directory).leave(datetime.now(UTC), None, "", len(unreadable))
        for reference, standing in standings.items():
            if standing.outcome == "waiting":
                print_line(reference, standing)
    for uid in unreadable:
        click.echo(f"poller: the mail server does not give the message with UID {uid}", err=True)
    if not standings and not unreadable:
        click.echo("nothing to do", err=True)
    outcomes = {standing.came_to for standing in standings.values()}
    ctx.exit(EXIT_FAILED if "failed" in outcomes else EXIT_LATER if "waiting" in outcomes or unreadable else 0)


def _preview(ctx: click.Context, *, everything: bool, as_json: bool) -> None:
    from poller.cli import preview  # noqa: PLC0415  keeps --help quick

    waiting = 0
    for message in preview.preview(settings_of(ctx), everything=everything):
        waiting += 1
        outcome = f"{message['reference']}  {message['outcome'].upper()}  {message['reason']}"
        click.echo(json.dumps(message) if as_json else painted(outcome))
    if not waiting:
        click.echo("nothing to do", err=True)


@commands.command(name="setup-hubspot")
@click.pass_context
def setup_hubspot(ctx: click.Context) -> None:
    """Give HubSpot's tickets a unique reference.

    Optional: with it a ticket is found by its reference, and HubSpot itself refuses a second one. Exit code 75 when
    HubSpot is out of reach, 78 when it is off or refuses us.
    """
    from poller.dispatch.clients import services  # noqa: PLC0415  keeps --help quick

    hubspot = services(settings_of(ctx, need_imap=False)).hubspot
    if hubspot is None:
        raise ConfigurationError("HubSpot is off: set HUBSPOT_API_KEY and HUBSPOT_HUB_ID")
    made = hubspot.create_reference_property()
    click.echo("The property has been created." if made else "The property was there already.")
    click.echo("Now set reference_property = true in [hubspot] of config.toml, or HUBSPOT_REFERENCE_PROPERTY=true.")


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.pass_context
def forms(ctx: click.Context, *, host: str, port: int) -> None:
    """The forms of the site: each post becomes a mail.

    Answers POST /forms/NAME until SIGTERM or Ctrl-C; /openapi.json says how. Exit code 0 when it was asked to stop, 78
    for settings that cannot work. Needs the extra "forms".
    """
    try:
        from poller.forms import app as site  # noqa: PLC0415  keeps --help quick
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f"{missing.name} is not installed: pip install '.[forms]'") from missing

    site.serve(settings_of(ctx), host, port)


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """The script that completes our commands in a shell.

    For instance, in ~/.bashrc: eval "$(poller completion bash)"
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415  no other command needs it

    if made := get_completion_class(shell):
        click.echo(made(commands, {}, "poller", "_POLLER_COMPLETE").source())


for command in (*ENQUIRIES, *MENDS, *TRYOUTS):
    commands.add_command(command)
