"""Tests of the tokens and signatures that let a post in."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from poller.forms.auth import TOLERANCE_S, forms_of
from tests.support.form_site import CUSTOMER, KEY, TOKEN, Site, delivered, settings_of, signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox

ACCESS: dict[str, tuple[str, Callable[[bytes, float], dict[str, str]], int]] = {
    "anybody": ("contact", lambda *_: {}, 202),
    "token": ("quote", lambda *_: {"Authorization": f"Bearer {TOKEN}"}, 202),
    "token, another's": ("quote", lambda *_: {"Authorization": "Bearer another"}, 401),
    "token, none": ("quote", lambda *_: {}, 401),
    "token, not ASCII": ("quote", lambda *_: {"Authorization": "Bearer \xe9"}, 401),
    "a signature where a token is asked for": ("quote", lambda b, t: {"X-Figurative-Signature": signature(b, t)}, 401),
    "signature": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t)}, 202),
    "signature, late": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t - TOLERANCE_S - 5)}, 401),
    "signature, early": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t + TOLERANCE_S + 5)}, 401),
    "signature, another's": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b, t, "another-key")}, 401),
    "signature, of another body": ("signed", lambda b, t: {"X-Figurative-Signature": signature(b + b" ", t)}, 401),
    "signature, of another form": (
        "signed",
        lambda b, t: {"X-Figurative-Signature": signature(b, t, form="quote")},
        401,
    ),
    "signature, of another type": (
        "signed",
        lambda b, t: {"X-Figurative-Signature": signature(b, t, content_type="text/plain")},
        401,
    ),
    "signature, not one": ("signed", lambda *_: {"X-Figurative-Signature": "t=now,v1=0"}, 401),
    "signature, none": ("signed", lambda *_: {}, 401),
    "the key as a token": ("signed", lambda *_: {"Authorization": f"Bearer {KEY}"}, 401),
    "no such form": ("nothing", lambda *_: {}, 404),
}


@pytest.mark.parametrize(("form", "headers", "status"), ACCESS.values(), ids=ACCESS)
def test_post_needs_form_token_or_signature(
    sandbox: Sandbox,
    standing_site: Site,
    form: str,
    headers: Callable[[bytes, float], dict[str, str]],
    status: int,
) -> None:
    """A post with the form's token or a signature is taken; nothing is left of any other."""
    body = json.dumps(CUSTOMER).encode()
    given = {name: value.encode("latin-1") for name, value in headers(body, time.time()).items()}
    answer = standing_site.post(form, json=None, content=body, headers={"Content-Type": b"application/json"} | given)
    assert answer.status_code == status
    assert len(delivered(sandbox)) == (status == 202)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_replayed_signed_post_makes_no_second_message(sandbox: Sandbox, standing_site: Site) -> None:
    """The same bytes with the same signature are the same message, whatever key is put beside them."""
    body = json.dumps(CUSTOMER).encode()
    headers = {"Content-Type": "application/json", "X-Figurative-Signature": signature(body, time.time())}
    references = {
        standing_site.post("signed", json=None, content=body, headers=headers | key).json()["reference"]
        for key in ({}, {}, {"Idempotency-Key": "another"})
    }
    assert (len(references), len(delivered(sandbox))) == (1, 1)


def test_form_accepts_token_or_signing_key(sandbox: Sandbox) -> None:
    """Either will do."""
    form = forms_of(settings_of(sandbox, FORMS_SIGNING_KEYS=f"signed={KEY} quote={KEY}").forms)["quote"]
    assert (form.token, form.signing_key, form.public) == (TOKEN, KEY, False)
