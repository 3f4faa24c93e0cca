"""The `poller` command. Each of its commands is imported when it is run, so `poller --help` answers at once."""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from integrations.errors import ConfigurationError, TransientError
from poller.cli.options import EXIT_CONFIGURATION, EXIT_INTERRUPTED, EXIT_LATER

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Command(NamedTuple):
    module: str
    function: str
    summary: str  # the first sentence of its docstring, which `--help` shows without importing it


SECTIONS = {
    "Run": {
        "run": _Command("run", "run", "Run the daemon until SIGTERM or Ctrl-C."),
        "once": _Command("run", "once", "Drain the mailbox and stop."),
        "forms": _Command("forms", "forms", "Serve the forms of the site."),
        "completion": _Command("terminal", "completion", "Print the completion script of a shell."),
    },
    "Inspect": {
        "status": _Command("status", "status", "Count the messages of each outcome."),
        "list": _Command("messages", "list_", "List the messages with their outcomes."),
        "find": _Command("messages", "find", "Find messages by id, address or subject."),
        "show": _Command("messages", "show", "Show what became of a message, and how."),
        "corrections": _Command("corrections", "corrections_", "List the mails that people have reclassified."),
        "audit": _Command("audit", "audit", "Report what does not add up."),
        "config": _Command("config", "config", "Show the settings, or write examples of them."),
    },
    "Repair": {
        "retry": _Command("retry", "retry", "Retry failed messages, and try waiting ones now."),
        "state": _Command("run", "state", "Repair what the state says of the mailbox."),
        "learn": _Command("learning.command", "learn", "Learn from what people corrected and confirmed."),
        "purge": _Command("purge", "purge", "Forget messages that ended long ago."),
        "setup-hubspot": _Command("check", "setup_hubspot", "Give HubSpot's tickets a unique reference."),
    },
    "Try out": {
        "check": _Command("check", "check", "Try the state, every service and the forms."),
        "inspect": _Command("inspect_mail.command", "inspect_", "Show what the daemon sees in a mail."),
        "classify": _Command("classify", "classify", "Show the category of a mail, and why."),
        "acknowledgement": _Command(
            "acknowledgement.command", "acknowledgement", "Show the letter that customers get."
        ),
        "try": _Command("try_mail", "try_", "Run all steps on one mail."),
        "demo": _Command("demo", "demo", "Dispatch sample mails on local stand-ins."),
    },
}
_COMMANDS = {name: command for section in SECTIONS.values() for name, command in section.items()}
_WIDTH = max(map(len, _COMMANDS))


class _Commands(click.Group):
    """The commands of `SECTIONS`, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of `--help`."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        del ctx
        if not (command := _COMMANDS.get(cmd_name)):
            return None
        found: click.Command = getattr(import_module(f"poller.cli.{command.module}"), command.function)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called. Where there is none, name the one that may be meant.

        click does so itself for the commands that it holds. It holds none of ours before they are imported.
        """
        from difflib import get_close_matches  # noqa: PLC0415  keeps --help quick

        mistaken = args[0] not in _COMMANDS and not ctx.resilient_parsing
        if mistaken and (near := get_close_matches(args[0], _COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into `--help`, a section a purpose."""
        del ctx
        for title, commands_ in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{_WIDTH}}", command.summary) for name, command in commands_.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  keeps --help quick

        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=_COMMANDS[name].summary) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Say in one line what only the person at the keyboard can mend. Ctrl-C says nothing."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo(f"poller: {error}", err=True)
            ctx.exit(EXIT_CONFIGURATION)
        except TransientError as error:
            click.echo(f"poller: {error}; try again later", err=True)
            ctx.exit(EXIT_LATER)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)


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
    gc.freeze()  # The modules stay, and a garbage collection takes 0.08 s to go through all that they hold.
