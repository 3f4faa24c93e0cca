"""Tests of the `config show`, `config example` and `completion` commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from poller.cli.main import commands
from tests.support.command import run
from tests.support.settings_files import ROOT

if TYPE_CHECKING:
    from tests.conftest import Office


def test_config_shows_settings_with_origin_and_no_secret(office: Office) -> None:
    """In the environment, in a file with its line, or by default."""
    Path("config.toml").write_text("[labels]\n\nsupport = 'Clients'\n[imap]\nsince = 2026-11-22\n")
    environment = {name: value for name, value in office.environment.items() if name != "LABELS_SUPPORT"}
    lines = run("config", "show", environment=environment).stdout.splitlines()
    shown = {tuple(line.split()[:2]): line.split()[2:] for line in lines}
    columns = {
        line.index(value[0], len(" ".join(name))) for line, (name, value) in zip(lines, shown.items(), strict=True)
    }
    assert len(columns) == 1
    assert shown["[labels]", "support"] == ['"Clients"', "config.toml:3"]
    assert shown["[imap]", "tenant"] == shown["[imap]", "token_url"] == ['""', "default"]
    assert shown["[imap]", "since"] == ["2026-11-22", "config.toml:5"]
    assert shown["[canary]", "late_min"] == ["10", "default"]
    assert shown["[r2]", "public_url"][0] == f'"{office.environment["R2_PUBLIC_URL"].rstrip("/")}"'
    assert shown["[imap]", "password"] == ["set", "environment"]
    assert shown["[state]", "workers"] == ["8", "default"]
    as_json = run("config", "show", "--json", environment=environment).stdout
    assert {"name": "[labels] support", "value": "Clients", "source": "config.toml:3"} in [
        json.loads(line) for line in as_json.splitlines()
    ]
    assert office.environment["HUBSPOT_API_KEY"] not in as_json + "".join(lines)


def test_config_example_writes_files_and_overwrites_none(tmp_path: Path) -> None:
    """Those of this release: the settings, the secrets and the units."""
    written = [Path(line) for line in run("config", "example", str(tmp_path)).stdout.splitlines()]
    assert {path.relative_to(tmp_path).as_posix() for path in written} >= {
        "config.example.toml",
        ".env.example",
        "systemd/figurative-poller.service",
        "systemd/figurative-poller.sysusers.conf",
    }
    assert all(path.read_text() == (ROOT / path.relative_to(tmp_path)).read_text() for path in written)
    (tmp_path / ".env.example").write_text("mine")
    again = run("config", "example", str(tmp_path))
    assert again.exit_code == 1
    assert "nothing written" in again.stderr
    assert (tmp_path / ".env.example").read_text() == "mine"


def test_config_example_says_when_directory_cannot_be_written(tmp_path: Path) -> None:
    """The reason, and no crash."""
    (tmp_path / "file").write_text("")
    result = run("config", "example", str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert result.stderr == f"poller: {tmp_path}/file/below: Not a directory\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_lists_commands(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script asks us for the words, and is told the commands."""
    script = run("completion", shell).stdout
    assert f"_POLLER_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("_POLLER_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "poller s")
    monkeypatch.setenv("COMP_CWORD", "1" if shell != "fish" else "s")
    result = CliRunner().invoke(commands, prog_name="poller")
    assert {
        word
        for word in result.stdout.replace(",", " ").split()
        if word in commands.list_commands(click.Context(commands))
    } == {
        "setup-hubspot",
        "show",
        "state",
        "status",
    }
