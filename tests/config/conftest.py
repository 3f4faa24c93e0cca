"""Fixtures for the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from poller.config.settings import sections

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a directory without settings files, and without settings in the environment."""
    for name in os.environ:
        if name.split("_")[0].lower() in sections():
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
