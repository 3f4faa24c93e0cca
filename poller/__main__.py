"""Run the `poller` command, also as `python -m poller`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback


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
    _open_closed_streams()
    try:
        # Here, so that Ctrl-C says nothing while they are imported either.
        import click  # noqa: PLC0415

        from poller.cli.main import commands  # noqa: PLC0415
        from poller.cli.options import EXIT_LATER  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        sys.exit(commands(prog_name="poller"))
    except OSError as error:
        if not _is_of_output(error):
            raise
        click.echo(f"poller: standard output cannot be written: {error.strerror}", err=True)
        sys.exit(EXIT_LATER)
    finally:
        # All is done but the end of our threads. A Ctrl-C of who cannot wait for that needs no traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _open_closed_streams() -> None:
    """Open what the caller closed of 0, 1 and 2, as by `>&-`, so that no socket or file of ours gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number: this one.
    # Python has no stream where there was no file when it started.
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  as long as the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  likewise


def _is_of_output(error: OSError) -> bool:
    """Return whether standard output did not take a line, as on a full disk.

    What it did not take is dropped, because Python would try again at the end and report that with a traceback.
    """
    import click  # noqa: PLC0415  as above

    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if frame.f_code is not click.echo.__code__:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return True


def _report(error: BaseException | None) -> None:
    """Print a crash in one line: its type and the places in the code.

    The exception's text is left out, because it may quote a mail or a key.
    """
    import click  # noqa: PLC0415  as above

    from poller.logs import places  # noqa: PLC0415  keeps --help quick

    where = ", ".join(places(error)) if error else ""
    click.echo(f"poller: crashed: {type(error).__name__} at {where}", err=True)


if __name__ == "__main__":
    main()
