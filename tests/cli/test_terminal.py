"""Tests of colours and the progress line, which only a terminal gets."""

from __future__ import annotations

import io

import pytest

from poller.cli.terminal import Progress, painted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "term", "line"),
    [
        (Terminal(), "", "xterm", "7f  \x1b[31mFAILED\x1b[0m  create_ticket: FAILED"),
        (Terminal(), "1", "xterm", "7f  FAILED  create_ticket: FAILED"),
        (Terminal(), "", "dumb", "7f  FAILED  create_ticket: FAILED"),
        (io.StringIO(), "", "xterm", "7f  FAILED  create_ticket: FAILED"),
    ],
)
def test_outcomes_are_coloured_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, no_color: str, term: str, line: str
) -> None:
    """On no other output, nor where NO_COLOR (https://no-color.org) asks for none, nor on a terminal that has none."""
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("TERM", term)
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
