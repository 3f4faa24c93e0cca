"""Fixtures for the commands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a directory without settings files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_log_on_closed_stream() -> Iterator[None]:
    """Take away the log handler of a command that ran in this process: its stream has been closed."""
    yield
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)
