"""Tests of the settings as the command line asks for them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from integrations.errors import ConfigurationError
from poller.cli.main import commands
from poller.cli.options import rereader
from tests.support.command import run


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


@pytest.mark.parametrize("command", ["inspect", "classify", "try", "acknowledgement preview"])
def test_empty_file_is_no_mail_for_any_command(command: str) -> None:
    """It is no message, but a download that failed; a person who tries one is told so."""
    Path("mail.eml").touch()
    result = run(*command.split(), "mail.eml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("mail.eml is empty\n")
