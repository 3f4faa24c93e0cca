"""Run the `poller` command, also as `python -m poller`."""

from __future__ import annotations

import os
import sys
import threading

import click

from poller.cli.main import commands


def main() -> None:
    """Run the command line and exit.

    An error that only the person at the keyboard can fix is one line and exit code 78. A crash is one line, too.
    """
    # Spool files and state hold what customers wrote, so no other user of the machine may read them.
    os.umask(0o077)
    # As with `python -m poller`. Otherwise each parsing process imports the console script again, which takes 0.1 s.
    sys.modules["__main__"].__spec__ = __spec__
    sys.excepthook = lambda _, error, __: _report(error)
    threading.excepthook = lambda died: None if died.exc_type is SystemExit else _report(died.exc_value)
    sys.exit(commands(prog_name="poller"))


def _report(error: BaseException | None) -> None:
    """Print a crash in one line: its type and the places in the code.

    The exception's text is left out, because it may quote a mail or a key.
    """
    from poller.logs import places  # noqa: PLC0415  keeps --help quick

    where = ", ".join(places(error)) if error else ""
    click.echo(f"poller: crashed: {type(error).__name__} at {where}", err=True)


if __name__ == "__main__":
    main()
