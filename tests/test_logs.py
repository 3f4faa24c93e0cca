"""Write one line an event, whatever is in it, for a machine and for a person at a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog

from poller import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

EVIL = 'a\r\n{"event": "forged"}\n<3>forged\u2028b\x1b[2J\x1b]0;title\x07\x00\u202e\udc80é'


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_log_event_is_one_line_of_ascii_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a value, a name or the event itself ends the line or begins another."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure()
    structlog.get_logger("test").info(EVIL, **{EVIL: EVIL})
    logging.getLogger("library").warning("%s", EVIL)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert said.isascii()
    assert [json.loads(line)["event"] for line in said.splitlines()] == [EVIL, EVIL]


def test_journald_line_starts_with_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure()
    structlog.get_logger("test").warning(EVIL)
    (line,) = sys.stderr.getvalue().splitlines()  # type: ignore[attr-defined]
    assert line.startswith('<4>{"event"')


def test_terminal_log_line_has_no_foreign_escape_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    """No escape sequence but our colours, and none of those where nobody wants them."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", _Terminal())
    logs.configure()
    structlog.get_logger("test").info(EVIL, subject=EVIL, names=[EVIL])
    logging.getLogger("library").warning("%s", EVIL)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert len(said.splitlines()) == 2
    assert said.replace("\n", "").isprintable()


def test_unreachable_database_is_logged_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library's message at each try is left out, names and all. Its other messages are not."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure()
    clock = iter([0.0, 1.0, 2.0, 3599.0, 3601.0, 3601.0, 3700.0])  # asked once more by a line that is written
    library = logging.getLogger("library of the database")
    library.addFilter(logs.Outages(lambda: next(clock)))
    for _ in range(3):
        library.warning("Database connection failed: %s. Retrying in 1.2s", "could not translate host name db.example")
        library.warning("Fallback notification poll failed", exc_info=psycopg.OperationalError("role poller"))
    library.warning("something else")
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events == ["database_out_of_reach", "database_out_of_reach", "something else"]
    assert "db.example" not in said
    assert "role" not in said


def test_trouble_is_logged_when_it_begins_and_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it lasts. Another reason is logged too, but not every one of many."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure()
    trouble = logs.Trouble(structlog.get_logger("test"), "file_not_written")
    trouble.over()
    for number in range(1000):
        trouble.met("disk full" if number < 900 else f"reason {number}", file="x")
    for _ in range(2):
        trouble.over()
    trouble.met("disk full")
    said = [json.loads(line) for line in sys.stderr.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line["event"] for line in said] == ["file_not_written"] * logs.REASONS + [
        "trouble_over",
        "file_not_written",
    ]
    assert {name: said[0][name] for name in ("level", "reason", "file")} == {
        "level": "warning",
        "reason": "disk full",
        "file": "x",
    }
    assert said[-2]["trouble"] == "file_not_written"
