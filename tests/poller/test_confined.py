"""A mail that is too much for the parser costs itself, and nobody else."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller import confined, parsing
from poller.journal import UnusableMessageError
from poller.samples import samples

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.eml"
    path.write_bytes(samples()["modelisation_with_files"])
    return path


def test_the_request_is_the_same_and_its_files_can_be_read(mail: Path) -> None:
    """What crosses the process border is a value; attachments are still read from the spool file."""
    request = confined.parse(mail, "account", NOW)
    assert request == parsing.parse(mail, "account", NOW)
    with request.attachments[0].content.open() as file:
        assert file.read(4) == b"glTF"


def hang(*_: object) -> None:
    threading.Event().wait(3600)  # in the child, which is killed


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def recurse(*arguments: object) -> None:
    recurse(*arguments)


def hoard(*_: object) -> None:
    bytearray(8 << 30)


class Child:
    """The parsing process as it is, with another parser in it."""

    _parse = staticmethod(confined._parse)

    def __init__(self, parser: object) -> None:
        self.parser = parser

    def __call__(self, *arguments: object) -> None:
        parsing.parse = self.parser  # type: ignore[assignment]
        self._parse(*arguments)  # type: ignore[arg-type]


def test_a_parse_that_takes_too_long_is_abandoned(mail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take as long again, so it is for a person."""
    monkeypatch.setattr(confined, "_parse", hang)
    with pytest.raises(UnusableMessageError, match="takes over"):
        confined.parse(mail, "account", NOW, limit_s=0.2)


@pytest.mark.parametrize("child", [die, Child(recurse), Child(hoard)], ids=["killed", "stack", "memory"])
def test_a_parse_that_kills_its_process_does_not_kill_ours(
    mail: Path, monkeypatch: pytest.MonkeyPatch, child: object, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed, out of stack, out of memory: an exception here, counted as a crash of this message alone."""
    monkeypatch.setattr(confined, "_parse", child)
    with pytest.raises(confined.ParserDiedError):
        confined.parse(mail, "account", NOW)
    assert "Traceback" not in capfd.readouterr().err
