"""Tests of the files and the environment that settings are read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.config.loader import InvalidSettingsError, load
from tests.support.other_user import as_nobody
from tests.support.settings_files import problems, write


def test_systemd_credentials_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LoadCredential=.env:... brings the secrets without the environment."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / ".env").write_text("IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=from-systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert load().imap.password.get_secret_value() == "from-systemd"


def test_env_line_without_key_value_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Each is named by its place alone, for it may hold a secret; a comment, an empty value and `export` are right."""
    wrong = ("A: LEAK", "A:LEAK", "A:LEAK=x", "LEAK", "bad LEAK", "A='LEAK", '="LEAK"')
    for line in wrong:
        write(".env", f"# a comment\n\nIMAP_PORT=1\n\n{line}\nexport SMTP_HOST= # none\nSMTP_PORT=x\n")
        first, second = problems()
        assert (first, second.split(" ")[0]) == (".env:5: not KEY=VALUE", ".env:7:")
    assert not [record for record in caplog.records if record.name.startswith("dotenv")]


@pytest.mark.parametrize("name", ["config.toml", ".env", "credentials/SMTP_PASSWORD"])
def test_non_utf_8_file_is_reported(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An old editor may have written it; a file that only begins with a byte order mark is read."""
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    Path(name).write_bytes("[labels]\nfailed = 'Échecs'".encode("cp1252"))
    assert problems() == [f"{Path(name).name}:2: not UTF-8"]
    Path(name).unlink()
    Path("config.toml").write_bytes("[labels]\r\nfailed = 'Ratés'".encode("utf-8-sig"))
    assert load(need_imap=False).labels.failed == "Ratés"


@pytest.mark.parametrize("name", ["config.toml", ".env", "credentials/SMTP_PASSWORD", "private/config.toml"])
def test_unreadable_settings_file_is_reported(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file, or the directory that it is in, belongs to another user alone."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "credentials")
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("LEAK")
    (path if path.parent.name != "private" else path.parent).chmod(0)
    tmp_path.chmod(0o755)
    with as_nobody(), pytest.raises(InvalidSettingsError) as caught:
        load(path if path.name == "config.toml" else None)
    assert caught.value.problems == [f"{name}: Permission denied"]
