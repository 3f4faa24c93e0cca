"""Tests of one mail tried out: it must be a mail, and its texts are shown without control characters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from poller.cli import trial
from poller.config.settings import Settings, StateSettings
from poller.model import Category
from tests.support.command import run
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from pathlib import Path

MAIL = (
    b"From: Claire <claire@client.example>\r\nTo: support@figurative.example\r\nMessage-ID: <1@client.example>\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
    b"Subject: =?x-nothing?q?Mot_de_passe=1b[31m=0d=0aFAKE?= \x1b]0;owned\x07\r\n\r\n"
    b"Mon mot de passe ne marche pas, je ne peux plus me connecter.\r\n"
)


def test_try_prints_ticket_and_notification_without_controls(tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(MAIL)
    lines: list[str] = []

    result = trial.sandbox(mail, lines.append)

    shown = "\n".join(lines)
    assert result["outcome"] == "support"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert not re.search(r"^FAKE", shown, re.MULTILINE)
    assert "--- Ticket ---\nMot de passe" in shown
    assert "Mon mot de passe ne marche pas" in shown
    assert "--- Notification ---\n[Support] Mot de passe" in shown


@pytest.mark.parametrize("command", ["classify", "try"])
def test_classify_refuses_file_that_is_no_mail(tmp_path: Path, command: str) -> None:
    """A slip in the file's name is no support request."""
    file = tmp_path / "plan.pdf"
    file.write_bytes(b"%PDF-1.7\nNote: no header\n\nFrom: is not one here\n")
    result = run(command, str(file))
    assert result.exit_code == 2
    assert "plan.pdf is no mail" in result.stderr


def test_classify_tells_the_opinion_where_the_rules_are_unsure(tmp_path: Path) -> None:
    """Beside the decision, and not in its place."""
    settings = Settings(state=StateSettings.model_validate({"url": f"sqlite:///{tmp_path}/state.sqlite"}))
    mail = tmp_path / "mail.eml"
    mail.write_bytes(undecided())
    verdict = trial.classify(settings, mail)
    assert verdict["decided_by"] == "rules without claude"
    assert (verdict["learned"] in set(Category), 0.5 <= verdict["learned_confidence"] <= 1) == (True, True)
    assert verdict["learned_sure"] is False
    mail.write_bytes(MAIL)
    assert "learned" not in trial.classify(settings, mail)
