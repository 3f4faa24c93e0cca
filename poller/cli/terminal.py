"""Colours, a progress line and completion, for a terminal alone."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click
from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


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


def painted(line: str) -> str:
    """Colour the first outcome or verdict in the line, on a terminal that is to have colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return line
    word = next((word for word in line.split() if word in COLOURS), None)
    return line.replace(word, click.style(word, fg=COLOURS[word]), 1) if word else line


class Progress:
    """A progress line below the others, on a terminal alone: a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, or to standard error where it is not given."""
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Replace the progress line. "" removes it, so that another line can be printed."""
        if self._shown:
            # Go to the beginning of the line and erase it (ECMA-48: EL).
            print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For instance, in ~/.bashrc: eval "$(poller completion bash)"
    """
    if made := get_completion_class(shell):
        click.echo(made(ctx.find_root().command, {}, "poller", "_POLLER_COMPLETE").source())
