"""Shared parts of the commands: exit codes, the settings in force, and output for terminals only."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import Settings

# sysexits.h; systemd names them in `systemctl status`.
EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_LATER, EXIT_REFUSED, EXIT_CONFIGURATION = 1, 69, 75, 77, 78
EXIT_NOT_RUNNING = 3  # of `poller status`, as of an init script (LSB)
EXIT_INTERRUPTED = 130  # by Ctrl-C, as a shell says it


def json_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def mail_argument(
    metavar: str | None = None, *, required: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the argument for the file of a raw message that is not empty, as the parameter `mail`."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.argument("mail", metavar=metavar, required=required, type=path, callback=_filled)


def _filled(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path and path.is_file() and not path.stat().st_size:  # A pipe has no size.
        raise click.BadParameter(f"{path} is empty", ctx, parameter)
    return path


def settings_of(ctx: click.Context, *, need_imap: bool = True) -> Settings:
    """Set up the log and load the settings, as the command line asks."""
    from poller import logs  # noqa: PLC0415  keeps --help quick
    from poller.config import loader  # noqa: PLC0415  keeps --help quick
    from poller.imap import oauth  # noqa: PLC0415  keeps --help quick

    logs.configure(ctx.obj["log_level"] or ("INFO" if ctx.info_name in {"run", "forms"} else "WARNING"))
    settings = loader.load(ctx.obj["config"], ctx.obj["dotenv"], need_imap=need_imap)
    if need_imap:
        oauth.prepare(settings.imap)
    return settings


def reader_now(settings: Settings) -> datetime:
    """Return this moment in the time zone in which the reader is told times."""
    from poller.config.settings import reader_zone  # noqa: PLC0415  keeps --help quick

    return datetime.now(reader_zone(settings))


def rereader(ctx: click.Context) -> Callable[[], Settings]:
    """Return a function that loads the settings again.

    A file that was there once must be there from then on. Its absence does not mean that all settings in it return to
    their defaults.
    """

    def read() -> Settings:
        settings = settings_of(ctx)
        for option, name in (("config", "config.toml"), ("dotenv", ".env")):
            if ctx.obj[option] is None and Path(name).is_file():
                ctx.obj[option] = Path(name)
        return settings

    return read
