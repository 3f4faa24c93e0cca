"""What only a terminal gets to see."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from integrations.errors import ConfigurationError
from poller.cli.main import commands
from poller.cli.options import rereader
from poller.cli.terminal import Progress, painted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_settings_file_missing_at_reload_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The defaults of all that stood in it are not what anybody asked for; without one from the start they are."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"IMAP_HOST": "h", "IMAP_USERNAME": "u", "IMAP_PASSWORD": "p"}.items():
        monkeypatch.setenv(name, value)
    context = click.Context(commands, obj={"config": None, "dotenv": None, "log_level": None})
    read = rereader(context)
    assert read().labels.support == "Support"
    Path("config.toml").write_text("[labels]\nsupport = 'Clients'")
    assert [read().labels.support for _ in range(2)] == ["Clients"] * 2
    Path("config.toml").unlink()
    with pytest.raises(ConfigurationError, match=r"config\.toml: no such file"):
        read()


@pytest.mark.parametrize(
    ("stream", "no_color", "line"),
    [
        (Terminal(), "", "7f  \x1b[31mFAILED\x1b[0m  create_ticket: FAILED"),
        (Terminal(), "1", "7f  FAILED  create_ticket: FAILED"),
        (io.StringIO(), "", "7f  FAILED  create_ticket: FAILED"),
    ],
)
def test_outcomes_are_coloured_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, no_color: str, line: str
) -> None:
    """On no other output, nor where NO_COLOR (https://no-color.org) asks for none."""
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert painted("7f  FAILED  create_ticket: FAILED") == line
    assert painted("7f") == "7f"


@pytest.mark.parametrize(
    ("stream", "term", "written"),
    [
        (Terminal(), "xterm", "\r\x1b[K1 done\r\x1b[K2 done\r\x1b[K"),
        (Terminal(), "dumb", ""),
        (io.StringIO(), "xterm", ""),
    ],
)
def test_progress_is_one_line_erased_at_the_end(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str, written: str
) -> None:
    """On a terminal that can; a file gets nothing of it."""
    monkeypatch.setenv("TERM", term)
    with Progress(stream) as progress:
        progress.show("1 done")
        progress.show("2 done")
    assert stream.getvalue() == written
