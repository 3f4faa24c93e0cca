"""Tests of the bounds of single settings, and of their secrets."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from tests.support.form_site import settings_of

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
from poller.config.loader import load
from poller.config.settings import DigestSettings, Settings, changed_settings, reader_zone
from tests.support.settings_files import problems, write


def test_r2_endpoint_with_bucket_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files would lie under other keys than their links name."""
    monkeypatch.setenv("R2_ENDPOINT_URL", "https://x.r2.cloudflarestorage.com/files")
    assert any("R2_ENDPOINT_URL" in line and "without the bucket behind it" in line for line in problems())


def test_sender_without_address_in_login_is_at_the_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has two parts, whatever is configured."""
    assert load(need_imap=False).sender == "poller@localhost"
    for name, value in {"IMAP_HOST": "mail.figurative.example", "IMAP_USERNAME": "u", "IMAP_PASSWORD": "x"}.items():
        monkeypatch.setenv(name, value)
    assert load().sender == "poller@mail.figurative.example"


def test_machine_without_time_zones_tells_utc() -> None:
    """As one without the zone of the default, which no validator has seen."""
    settings = Settings(digest=DigestSettings.model_construct(timezone="Nowhere/Known"))
    assert reader_zone(settings) is UTC


def test_changed_settings_are_named_without_their_values() -> None:
    """A secret that has changed is one of them."""
    before = Settings.model_validate({"smtp": {"password": "old"}})
    after = Settings.model_validate({"smtp": {"password": "new"}, "imap": {"poll_interval_s": 30}})
    assert changed_settings(before, after) == ["smtp.password", "imap.poll_interval_s"]
    assert changed_settings(after, after) == []


def test_settings_repr_hides_secrets() -> None:
    """Printing or failing with the settings shows stars."""
    write(".env", "IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=hunter2\nSTATE_URL=postgresql://u:hunter2@localhost/d")
    assert "hunter2" not in repr(load())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORMS_NAMES", "Contact"),
        ("FORMS_PUBLIC", "a/b"),
        ("FORMS_ORIGINS", "www.example.com"),
        ("FORMS_ORIGINS", "*"),
        ("FORMS_PROXIES", "proxy"),
        ("FORMS_HONEYPOT", "message"),
        ("FORMS_TOKENS", "contact=short"),
        ("FORMS_SIGNING_KEYS", "a-secret-without-a-form"),
    ],
)
def test_invalid_form_settings_are_refused(sandbox: Sandbox, name: str, value: str) -> None:
    """Each is named, and no secret is shown."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        settings_of(sandbox, **{name: value})
    assert ("TOKENS" not in name and "KEYS" not in name) or value not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("models images", ("models", "images")),
        ("video,archives", ("video", "archives")),
        (" ", ()),
    ],
)
def test_file_types_are_words_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("R2_FILE_TYPES", given)
    assert load(need_imap=False).r2.file_types == found


def test_file_types_are_a_list_in_the_file() -> None:
    write("config.toml", '[r2]\nfile_types = ["models", "documents"]\n[support]\nfiles = "hubspot"')
    settings = load(Path("config.toml"), need_imap=False)
    assert (settings.r2.file_types, settings.support.files) == (("models", "documents"), "hubspot")


@pytest.mark.parametrize(("name", "value"), [("R2_FILE_TYPES", "models pictures"), ("SUPPORT_FILES", "s3")])
def test_unknown_kind_of_file_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert any(name in line for line in problems())


def test_a_mail_of_microsoft_365_is_read_whole() -> None:
    """It takes 150 MB at most."""
    assert load(need_imap=False).imap.max_message_bytes == 150 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("assignees", "183, 184", (183, 184)),
        ("tags", "à modéliser, 3d", ("à modéliser", "3d")),
        ("priority", "high", 2),
        ("priority", "4", 4),
        ("due_working_days", "0", 0),
    ],
)
def test_fields_of_a_subtask_are_read(sandbox: Sandbox, name: str, given: str, found: object) -> None:
    settings = settings_of(sandbox, **{f"CLICKUP_{name.upper()}": given})
    assert getattr(settings.clickup, name) == found


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("ASSIGNEES", "ana", "whole number"),
        ("PRIORITY", "5", "must be urgent, high, normal or low, or 1 to 4"),
        ("DUE_WORKING_DAYS", "-1", "greater than or equal to 0"),
    ],
)
def test_wrong_fields_of_a_subtask_are_refused(sandbox: Sandbox, name: str, given: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"CLICKUP_{name}.*{said}"):
        settings_of(sandbox, **{f"CLICKUP_{name}": given})
