"""The French reason why a mail is ignored."""

from __future__ import annotations

from poller.rendering.ignored import why_ignored
from poller.triage.canary_mark import REASON
from tests.triage.helpers import AUTOMATIC
from tests.triage.test_screening import BULK, NEVER, SPAM


def test_reason_of_ignored_mail_is_french_and_keeps_its_sign() -> None:
    assert why_ignored("auto-reply (Return-Path: <>)") == "Réponse automatique (Return-Path: <>)."


def test_every_reason_for_ignoring_a_mail_has_french_words() -> None:
    """Whatever the screening says, and of the canary."""
    others = {REASON, "answer to our own letter", "recall of a mail", "receipt of a transfer service"}
    reasons = {*others, *(reason for _, reason in (*NEVER, *AUTOMATIC, *SPAM, *BULK))}
    assert {reason for reason in reasons if why_ignored(reason).startswith(reason.partition(" (")[0])} == set()
