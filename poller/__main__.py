"""`python -m poller`, and the `poller` command."""

from __future__ import annotations

import os
import sys

from poller.cli import commands


def main() -> None:
    """Run a command; what nobody but the person at the keyboard can mend is one line and exit code 78."""
    # Spool files and state hold what customers wrote: nobody else on the machine reads them.
    os.umask(0o077)
    sys.exit(commands(prog_name="poller"))


if __name__ == "__main__":
    main()
