"""Tests of the command line as a whole: help, options, and errors in one line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from poller.cli.main import SECTIONS, commands
from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Office


def test_help_imports_no_sdk() -> None:
    """`poller --help` answers at once, for it imports no SDK."""
    heavy = "anthropic boto3 hubspot dbos imapclient mailparser httpx2 apscheduler pydantic structlog jinja2"
    heavy += " prometheus_client"
    code = f"""
import sys
from poller.cli.main import commands
try:
    commands(["--help"])
except SystemExit:
    print([name for name in "{heavy}".split() if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_short_help_of_commands_is_not_truncated() -> None:
    """A line each that says what it does, as the command itself says it, under one of four headings."""
    said = run("--help").stdout
    for title, section in SECTIONS.items():
        lines = said.partition(f"\n{title}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split(maxsplit=1) for line in lines] == [[name, row.summary] for name, row in section.items()]
        for name, row in section.items():
            command = commands.get_command(click.Context(commands), name)
            assert command
            assert command.get_short_help_str(limit=200) == row.summary
    assert "--since DAY" in run("list", "--help").stdout


def helped(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the help of a command, and that of each command below it, for a terminal of 80 columns."""
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below
            yield from helped(below, click.Context(below, info_name=name, parent=context))


def test_help_of_every_command_fits_a_terminal() -> None:
    """No line of it is cut short, and none is wider than 80 columns."""
    context = click.Context(commands, info_name="poller", terminal_width=78)  # click leaves two columns free
    pages = list(helped(commands, context))
    lines = [line for page in pages for line in page.splitlines()[1:]]  # The first has the arguments: `WORDS...`.
    assert len(pages) > len(SECTIONS)
    assert [line for line in lines if line.endswith("...") or len(line) > 80] == []


def test_missing_config_option_file_is_an_error() -> None:
    """A slip in --config is no silent default."""
    result = CliRunner().invoke(commands, ["--config", "nowhere.toml", "check"])
    assert result.exit_code == 78
    assert "nowhere.toml: no such file" in result.stderr


def test_ctrl_c_ends_command_quietly_with_130() -> None:
    """No trace, and no word: who pressed it knows."""
    code = (
        "import signal, sys; from poller.config import loader; from poller.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # A job in the background ignores it.
        "loader.load = lambda *_, **__: signal.raise_signal(signal.SIGINT)\n"
        "sys.argv = ['poller', 'status']; main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout + ended.stderr) == (130, "")


def test_ctrl_c_while_modules_are_imported_is_quiet() -> None:
    """The commands take a fifth of a second to import."""
    code = (
        "import signal, sys; from poller.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Press:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())\n"
        "sys.argv = ['poller', 'status']; main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout + ended.stderr) == (130, "")


COMMAND = [sys.executable, "-m", "poller", "config", "show"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, which Linux has")
def test_full_output_is_one_error_line() -> None:
    """As where it goes to a file on a full disk."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(COMMAND, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert ended.stderr == "poller: standard output cannot be written: No space left on device\n"
    assert ended.returncode == 75


def test_closed_output_is_no_crash() -> None:
    """Some who start a command close what they do not read."""
    command = f"exec {shlex.join(COMMAND)} >&-"
    ended = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(("typed", "meant"), [("stauts", "status"), ("setup_hubspot", "setup-hubspot")])
def test_misspelled_command_names_nearest(typed: str, meant: str) -> None:
    """As a misspelled setting does. What is like none has no proposal."""
    result = run(typed)
    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: No such command {typed!r}. Did you mean {meant!r}?\n")
    assert "Did you mean" not in run("xyz").stderr


def test_dev_script_keeps_working_directory(tmp_path: Path) -> None:
    """`dev poller classify mail.eml` reads the mail of the directory you are in, whatever else lies there."""
    (tmp_path / "mail.eml").write_bytes(samples()["support"])
    (tmp_path / "poller").mkdir()
    (tmp_path / "poller" / "__init__.py").write_text("raise SystemExit('not ours')")
    command = [sys.executable, Path(__file__).parents[2] / "dev", "poller", "classify", "mail.eml"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "SUPPORT" in ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "command", [["status"], ["list"], ["show", "0" * 16], ["audit"], ["purge", "--older-than", "9"]]
)
@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("sqlite:///none.sqlite", 78, "nothing has run yet"),
        ("sqlite:///text.sqlite", 78, "is no SQLite database"),
        ("sqlite:///empty.sqlite", 78, "nothing has run on it yet"),
        ("postgresql://poller@127.0.0.1:1/poller", 75, "the database is out of reach"),
    ],
)
def test_unreadable_state_is_one_error_line(office: Office, command: list[str], url: str, code: int, says: str) -> None:
    """Every command that reads it says so, without a trace of Python."""
    Path("text.sqlite").write_text("no database " * 100)
    Path("empty.sqlite").touch()
    result = run(*command, environment=office.environment | {"STATE_URL": url})
    assert result.exit_code == code
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
