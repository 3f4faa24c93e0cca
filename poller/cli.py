"""The commands. Heavy modules are imported inside them, so that `poller --help` answers at once."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrations.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from poller.engine import Standing
    from poller.settings import Settings

# sysexits.h; systemd names them in `systemctl status`.
EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_LATER, EXIT_REFUSED, EXIT_CONFIGURATION = 1, 69, 75, 77, 78

PAYLOADS = ["support", "modelisation", "modelisation_with_files"]


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Say in one line what nobody but the person at the keyboard can mend."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo(f"poller: {error}", err=True)
            ctx.exit(EXIT_CONFIGURATION)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="Settings file  [default: config.toml if there is one]")
@click.option("--env-file", type=click.Path(path_type=Path), help="Secrets file  [default: .env if there is one]")
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO", show_default=True
)
@click.version_option(package_name="figurative-poller", prog_name="poller")
@click.pass_context
def commands(ctx: click.Context, config: Path | None, env_file: Path | None, log_level: str) -> None:
    """Read Figurative's support mailbox and dispatch every request in it."""
    ctx.obj = {"config": config, "dotenv": env_file, "log_level": log_level}


def _settings(ctx: click.Context, *, need_imap: bool = True) -> Settings:
    from poller import configuration, logs  # noqa: PLC0415  keeps --help quick

    logs.configure(ctx.obj["log_level"])
    return configuration.load(ctx.obj["config"], ctx.obj["dotenv"], need_imap=need_imap)


@commands.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Work until SIGTERM: the daemon."""
    from poller.daemon import Daemon  # noqa: PLC0415  keeps --help quick

    Daemon(_settings(ctx)).run()


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
@click.pass_context
def once(ctx: click.Context, *, as_json: bool) -> None:
    """Drain the mailbox and stop; prints a line a message.

    Exit code 0 when all is done, 1 when some message failed, 75 when some has to wait.
    """
    from poller.daemon import Daemon  # noqa: PLC0415  keeps --help quick

    def finished(reference: str, standing: Standing) -> None:
        click.echo(_line(reference, standing, as_json=as_json))

    try:
        standings = Daemon(_settings(ctx)).once(finished)
    except TransientError as error:
        click.echo(f"poller: {error}; try again later", err=True)
        ctx.exit(EXIT_LATER)
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
    """Try every service with the configured credentials.

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
    """What a mail would be, and why; nothing is created."""
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
    """The whole job on one mail: against the sandbox, or live."""
    if (mail is None) == (payload is None):
        raise click.UsageError("give either a mail or --payload")
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


@commands.command(name="setup-hubspot")
@click.pass_context
def setup_hubspot(ctx: click.Context) -> None:
    """Give HubSpot's tickets the unique property figurative_reference (optional).

    With it a ticket is found by its reference, and HubSpot itself refuses a second one.
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
    """The whole thing on local stand-ins, no account needed, and a summary of what was created."""
    from poller import demo as show  # noqa: PLC0415  keeps --help quick

    outcomes = {standing.outcome for standing in show.run(click.echo, keep=keep).values()}
    ctx.exit(0 if outcomes <= {"support", "modelisation", "ignored"} else EXIT_FAILED)
