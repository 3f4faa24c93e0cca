"""Run a command of `poller` in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from poller.cli.main import commands


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    """Return what the command printed, and its exit code. `environment` is added to that of this process."""
    return CliRunner().invoke(commands, list(arguments), env=environment, catch_exceptions=False)
