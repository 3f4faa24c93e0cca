"""Tests of the settings as the command line asks for them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from integrations.errors import ConfigurationError
from poller.cli.main import commands
from poller.cli.options import rereader


def test_settings_file_missing_at_reload_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults of all that stood in it are not what anybody asked for; without one from the start they are."""
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
