"""Tests of the `acknowledgement` commands."""

from __future__ import annotations

from pathlib import Path

from poller.cli.samples import samples
from tests.support.command import run

ENVIRONMENT = {
    "IMAP_HOST": "imap.figurative.example",
    "IMAP_USERNAME": "support@figurative.example",
    "IMAP_PASSWORD": "x",
    "IMAP_AUTHSERV_ID": "mx.figurative.example",
    "SMTP_HOST": "smtp.figurative.example",
    "ACKNOWLEDGEMENT_ENABLED": "true",
}


def test_acknowledgement_preview_shows_the_letter_and_who_gets_it() -> None:
    """Nothing is sent: none of the servers exists."""
    Path("mail.eml").write_bytes(samples()["support"])
    shown = run("acknowledgement", "preview", "mail.eml", environment=ENVIRONMENT)
    assert shown.exit_code == 0
    assert "To: jeanne.dupont@atelier-dupont.example\nSubject: Bien reçu" in shown.stdout
    assert "Nous avons bien reçu votre message" in shown.stdout
    assert shown.stderr == "not sent: nobody vouches for the sender\n"
    html = run("acknowledgement", "preview", "mail.eml", "--html", "--language", "en", environment=ENVIRONMENT)
    assert html.stdout.startswith("<!DOCTYPE html>")
    assert 'lang="en"' in html.stdout


def test_acknowledgement_preview_of_an_ignored_mail_says_so() -> None:
    Path("mail.eml").write_bytes(samples()["auto_reply"])
    shown = run("acknowledgement", "preview", "mail.eml", environment=ENVIRONMENT | {"ACKNOWLEDGEMENT_ENABLED": ""})
    assert "not sent: auto-reply" in shown.stderr
    assert "set enabled = true in [acknowledgement]" in shown.stderr


def test_acknowledgement_preview_without_authserv_id_names_the_setting() -> None:
    Path("mail.eml").write_bytes(samples()["support"])
    shown = run("acknowledgement", "preview", "mail.eml", environment=ENVIRONMENT | {"IMAP_AUTHSERV_ID": ""})
    assert shown.stderr.endswith("No sender is vouched for until imap.authserv_id is set.\n")


def test_acknowledgement_preview_of_what_is_no_mail_exits_2() -> None:
    """As `poller classify` and `poller try` do: nobody would get that letter."""
    Path("mail.eml").write_bytes(b"hello\n")
    refused = run("acknowledgement", "preview", "mail.eml", environment=ENVIRONMENT)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "mail.eml is no mail" in refused.stderr


def test_acknowledgement_preview_with_a_broken_template_exits_78() -> None:
    Path("mail.eml").write_bytes(samples()["support"])
    Path("acknowledgement.fr.txt").write_text("{{ nothing }}")
    shown = run("acknowledgement", "preview", "mail.eml", environment=ENVIRONMENT | {"ACKNOWLEDGEMENT_TEMPLATES": "."})
    assert shown.exit_code == 78
    assert "'nothing' is undefined" in shown.stderr
