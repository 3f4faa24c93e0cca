"""Tests of the `demo` command."""

from __future__ import annotations

from tests.support.command import run


def test_demo_shows_every_mail_and_mailbox() -> None:
    """Nothing is left in the inbox, and what was created is listed."""
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert "INBOX (0)" in result.stdout
    assert "Modélisation du fauteuil Ondine" in result.stdout
    assert "At the services: 7 contacts, 7 tickets" in result.stdout
