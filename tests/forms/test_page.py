"""Tests of the page of a public form."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import EXECUTABLE, Browser
from tests.support.form_site import CUSTOMER, GLB, Site, delivered, reference_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from tests.conftest import Office


def test_form_page_is_served_only_when_on(site: Callable[..., Site]) -> None:
    """For a public form, without script or anything from elsewhere; for another one, or when it is off, not at all."""
    here = site()
    page = here.client.get("/forms/contact")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert 'lang="fr"' in page.text
    fields = re.findall(r'<(?:input|textarea) id="(\w+)"', page.text)
    assert fields == ["name", "email", "subject", "message", "files", "extra"]
    assert all(f'<label for="{each}">' in page.text for each in fields)
    assert here.client.get("/forms/quote").status_code == 404
    assert site(FORMS_PAGE="false").client.get("/forms/contact").status_code == 405


def test_form_page_style_has_digest_of_policy(standing_site: Site) -> None:
    """A browser applies no other style."""
    page = standing_site.client.get("/forms/contact")
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in page.headers["Content-Security-Policy"]


def test_form_page_shows_errors_and_keeps_input(sandbox: Sandbox, standing_site: Site) -> None:
    """In French, beside the field; and what a stranger wrote is text there."""
    sent = CUSTOMER | {"email": "", "message": "</textarea><script>alert(1)</script>", "name": '"><b>'}
    answer = standing_site.post(
        json=None, files={each: (None, value) for each, value in sent.items()}, headers={"Accept": "text/html"}
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "text/html; charset=utf-8")
    assert "Indiquez votre adresse électronique" in answer.text
    assert 'aria-invalid="true" aria-describedby="email-wrong"' in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in answer.text
    assert 'value="&#34;&gt;&lt;b&gt;"' in answer.text
    assert "<script" not in answer.text
    assert delivered(sandbox) == []


def test_form_page_confirms_with_reference(sandbox: Sandbox, standing_site: Site) -> None:
    """With the reference; and a page that is sent twice is one message."""
    here = standing_site
    key = re.findall(r'name="idempotency_key" value="(\w+)"', here.client.get("/forms/contact").text)[0]
    sent = {each: (None, value) for each, value in (CUSTOMER | {"idempotency_key": key}).items()}
    answers = [here.post(json=None, files=sent, headers={"Accept": "text/html"}) for _ in range(2)]
    (mail,) = sandbox.imap.messages()
    for answer in answers:
        assert answer.status_code == 202
        assert f"<strong>{reference_of(sandbox, mail.raw)}</strong>" in answer.text


@pytest.mark.skipif(not EXECUTABLE, reason="Chromium is not installed: apt install chromium")
def test_form_page_works_with_keyboard_in_browser(office: Office, standing_site: Site, tmp_path: Path) -> None:
    """With the keyboard alone, in a real browser: a mistake is said aloud, and at last there is a ticket."""
    here, model = standing_site, tmp_path / "chaise été.glb"
    model.write_bytes(GLB)
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"{here.client.base_url}/forms/contact")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        found = [each for each in browser.accessible() if each[0] in {"textbox", "button", "heading"}]
        assert found == [
            ("heading", "Formulaire «\xa0contact\xa0»"),
            ("textbox", "Nom"),
            ("textbox", "Adresse électronique (obligatoire)"),
            ("textbox", "Objet"),
            ("textbox", "Message (obligatoire)"),
            ("button", "Fichiers"),
            ("button", "Envoyer"),
        ]
        browser.type("#name", CUSTOMER["name"])
        browser.press("Tab")
        assert browser.run("document.activeElement.id") == "email"
        # Chromium takes this for an address, and we do not.
        browser.type("#email", "jeanne@petit")
        browser.type("#message", CUSTOMER["message"])
        browser.press("Tab")
        browser.press("Tab")
        assert browser.run("document.activeElement.textContent") == "Envoyer"
        browser.press("Enter")
        browser.loaded()
        assert browser.run("document.title").startswith("Erreur")
        assert any(role == "alert" for role, _ in browser.accessible())
        assert browser.run("document.querySelector('#message').value") == CUSTOMER["message"]
        browser.run("document.querySelector('#email').value = ''")
        browser.type("#email", CUSTOMER["email"])
        browser.choose("#files", model)
        browser.run("document.querySelector('button').focus()")
        browser.press("Enter")
        browser.loaded()
        assert browser.run("document.querySelector('h1').textContent") == "Message envoyé"
        reference = browser.run("document.querySelector('strong').textContent")
        assert browser.complaints() == []

    assert [(each, status.outcome) for each, status in office.once().items()] == [(reference, "modelisation")]
    assert office.sandbox.hubspot.contacts[0].properties["email"] == CUSTOMER["email"]
    assert [each.body for each in office.sandbox.s3.objects] == [GLB]
    assert reference in office.sandbox.hubspot.tickets[0].properties["content"]
