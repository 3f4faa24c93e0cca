"""Recognise the canary's mail by a token that the daemon remembers."""

from __future__ import annotations

import pytest

from poller.triage import canary_mark
from poller.workflow.facts import InMemoryFacts
from tests.triage.helpers import request

TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def store() -> InMemoryFacts:
    store = InMemoryFacts()
    store.remember(canary_mark.fact_key(TOKEN), "sent")
    return store


def test_mail_of_a_sent_canary_is_recognised_and_recorded(store: InMemoryFacts) -> None:
    mail = request((canary_mark.HEADER, f" {TOKEN}"))
    assert canary_mark.recognise(store, mail, mail.reference) == "canary"
    assert store.recall([canary_mark.arrival_key(TOKEN)]) == {f"canary-{TOKEN}-arrived": mail.reference}


@pytest.mark.parametrize("token", ["", "f" * 32, TOKEN[:-1], TOKEN.upper(), f"{TOKEN}-arrived", f"{TOKEN} x"])
def test_mail_with_unknown_or_malformed_token_is_no_canary(store: InMemoryFacts, token: str) -> None:
    mail = request((canary_mark.HEADER, token))
    assert canary_mark.recognise(store, mail, mail.reference) is None
    assert store.recall([canary_mark.arrival_key(TOKEN)]) == {}


def test_mail_without_token_is_no_canary(store: InMemoryFacts) -> None:
    assert canary_mark.recognise(store, request(), "0123456789abcdef") is None
