"""`python -m poller`, and the `poller` command."""

from __future__ import annotations

import os
import sys
import threading

import click

from poller.cli.main import commands


def main() -> None:
    """Run a command; what nobody but the person at the keyboard can mend is one line and exit code 78."""
    # Spool files and state hold what customers wrote: nobody else on the machine reads them.
    os.umask(0o077)
    # As `python -m poller` has it: else each process that parses a mail imports the script that began us, for 0.1 s.
    sys.modules["__main__"].__spec__ = __spec__
    sys.excepthook = lambda _, error, __: _report(error)
    threading.excepthook = lambda died: None if died.exc_type is SystemExit else _report(died.exc_value)
    sys.exit(commands(prog_name="poller"))


def _report(error: BaseException | None) -> None:
    """A crash in a line: what an exception says may quote a mail or a key, its type and its places do not."""
    from poller.logs import places  # noqa: PLC0415  keeps --help quick

    where = ", ".join(places(error)) if error else ""
    click.echo(f"poller: crashed: {type(error).__name__} at {where}", err=True)


if __name__ == "__main__":
    main()
