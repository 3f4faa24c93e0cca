"""Tests of the settings in force: which source wins, and all problems at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from poller import logs
from poller.config.loader import explain, load
from poller.config.settings import sections
from tests.support.settings_files import write

if TYPE_CHECKING:
    import pytest


def test_legacy_environment_names_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thirteen environment names that the customer has already mean what they meant."""
    names = {
        "ANTHROPIC_API_KEY": "a",
        "HUBSPOT_API_KEY": "b",
        "HUBSPOT_HUB_ID": "12",
        "HUBSPOT_PIPELINE_ID": "3",
        "HUBSPOT_STAGE_NEW": "4",
        "CLICKUP_API_KEY": "c",
        "CLICKUP_PARENT_TASK_ID": "86x",
        "R2_ACCESS_KEY_ID": "d",
        "R2_SECRET_ACCESS_KEY": "e",
        "R2_BUCKET_NAME": "bucket",
        "R2_ENDPOINT_URL": "https://x.r2.cloudflarestorage.com",
        "R2_PUBLIC_URL": "https://files.example.com",
        "NOTIFICATION_EMAIL": "admin@example.com",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = load(need_imap=False)
    for name, value in names.items():
        section, _, key = name.lower().partition("_")
        found = getattr(getattr(settings, section), key)
        assert str(found.get_secret_value() if hasattr(found, "get_secret_value") else found).rstrip("/") == value


def test_environment_overrides_env_file_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place is overruled by the nearer one."""
    write("config.toml", "[imap]\nhost = 'toml'\nusername = 'toml'\nport = 1")
    write(".env", "IMAP_HOST=dotenv\nIMAP_USERNAME=dotenv\nIMAP_PASSWORD=x")
    monkeypatch.setenv("IMAP_HOST", "environment")
    imap = load().imap
    assert (imap.host, imap.username, imap.port) == ("environment", "dotenv", 1)


def test_environment_variable_similar_to_setting_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stops nothing if the setting is given elsewhere, but a person believes that it is in force."""
    logs.configure()
    write(".env", "IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=LEAK")
    Path(".env").chmod(0o600)
    for name in ("IMAP_PASWORD", "R2_D2", "SMTP_RELAY_FOR_CRON", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, "LEAK")
    load()
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["name"], said["did_you_mean"]) == ("unknown_variable", "IMAP_PASWORD", "IMAP_PASSWORD")
    assert "LEAK" not in line


def test_setting_value_has_its_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """File and line, environment, credentials or default; of a secret only whether it is set."""
    write("config.toml", "[imap]\nhost = 'h'\nport = 143\n")
    write(".env", "IMAP_USERNAME=u\n\nexport IMAP_PASSWORD=LEAK\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / ".env").write_text("HUBSPOT_API_KEY=LEAK\nHUBSPOT_HUB_ID=1\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("IMAP_PORT", "993")
    monkeypatch.setenv("CLICKUP_TAGS", "à modéliser, 3d")
    Path(".env").chmod(0o600)
    shown = {each.name: (each.value, each.source) for each in explain()}
    assert len(shown) == sum(len(keys.model_fields) for keys in sections().values())
    assert shown["[imap] host"] == ("h", "config.toml:2")
    assert shown["[imap] port"] == (993, "environment")
    assert shown["[imap] username"] == ("u", ".env:1")
    assert shown["[imap] password"] == ("set", ".env:3")
    assert shown["[hubspot] api_key"] == ("set", "credentials")
    assert shown["[clickup] api_key"] == ("not set", "default")
    assert shown["[state] workers"] == (8, "default")
    assert shown["[clickup] tags"] == ('["à modéliser", "3d"]', "environment")
    assert "LEAK" not in repr(shown)
