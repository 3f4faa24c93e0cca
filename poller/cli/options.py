"""What the commands share: exit codes, the settings in force, and what only a terminal gets to see."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from poller.config.settings import Settings

# sysexits.h; systemd names them in `systemctl status`.
EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_LATER, EXIT_REFUSED, EXIT_CONFIGURATION = 1, 69, 75, 77, 78

COLOURS = {
    "SUPPORT": "green",
    "MODELISATION": "green",
    "IGNORED": "bright_black",
    "WORKING": "cyan",
    "WAITING": "yellow",
    "UNSURE": "yellow",
    "FAILED": "red",
    "ok": "green",
    "off": "bright_black",
    "unreachable": "yellow",
    "refused": "red",
}


def json_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def settings_of(ctx: click.Context, *, need_imap: bool = True) -> Settings:
    """The settings that the command line names; the log is set up as it asks."""
    from poller import logs  # noqa: PLC0415  keeps --help quick
    from poller.config import loader  # noqa: PLC0415  keeps --help quick
    from poller.imap import oauth  # noqa: PLC0415  keeps --help quick

    logs.configure(ctx.obj["log_level"] or ("INFO" if ctx.info_name in {"run", "forms"} else "WARNING"))
    settings = loader.load(ctx.obj["config"], ctx.obj["dotenv"], need_imap=need_imap)
    if need_imap:
        oauth.prepare(settings.imap)
    return settings


def rereader(ctx: click.Context) -> Callable[[], Settings]:
    """What gives the settings anew; a file that was there once must be there from then on.

    One that has gone is no wish for the defaults of all that stood in it.
    """

    def read() -> Settings:
        settings = settings_of(ctx)
        for option, name in (("config", "config.toml"), ("dotenv", ".env")):
            if ctx.obj[option] is None and Path(name).is_file():
                ctx.obj[option] = Path(name)
        return settings

    return read


def painted(line: str) -> str:
    """The line with the first outcome or verdict in it in its colour, on a terminal that is to have colours."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return line
    word = next((word for word in line.split() if word in COLOURS), None)
    return line.replace(word, click.style(word, fg=COLOURS[word]), 1) if word else line


class Progress:
    """One line under the others that says how far we are, on a terminal alone: a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """`stream` is standard error where it is not given."""
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Put this in the line's place; "" takes it away, so that another line can be printed."""
        if self._shown:
            # To the line's beginning, and away with what stands there (ECMA-48: EL).
            print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
