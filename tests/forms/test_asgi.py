"""Tests of the application: its routes, its refusals at the start, and its ways of being served."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from integrations.errors import ConfigurationError
from poller.forms.asgi import make_app
from tests.support.form_site import CUSTOMER, GLB, TOKEN, Site, delivered, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.sandbox import Sandbox
    from tests.conftest import Office

ROOT = Path(__file__).parents[2]


def test_form_post_is_dispatched_like_mail(office: Office, standing_site: Site) -> None:
    """It is classified, dispatched to the customer's contact, and filed; the ticket names the form."""
    answer = standing_site.post(json=None, data=CUSTOMER, files=[("files", ("chaise.glb", GLB))])

    statuses = office.once()
    assert {reference: status.outcome for reference, status in statuses.items()} == {
        answer.json()["reference"]: "modelisation"
    }
    (contact,) = office.sandbox.hubspot.contacts
    assert contact.properties["email"] == CUSTOMER["email"]
    (ticket,) = office.sandbox.hubspot.tickets
    assert (
        "Formulaire «\xa0contact\xa0»\xa0: support@figurative.example (les réponses vont au client ci-dessus)"
        in ticket.properties["content"]
    )
    assert len(office.sandbox.s3.objects) == 1
    assert office.mailboxes()["Modélisation"] >= 1
    assert "INBOX" not in office.mailboxes()


@pytest.mark.parametrize(
    ("names", "public", "tokens"),
    [("contact", "", ""), ("contact", "contact other", ""), ("contact", "contact", f"other={TOKEN}"), ("", "", "")],
)
def test_unusable_forms_are_refused_at_start(sandbox: Sandbox, names: str, public: str, tokens: str) -> None:
    """At the start, and not by the first customer."""
    given = {"FORMS_NAMES": names, "FORMS_PUBLIC": public, "FORMS_TOKENS": tokens, "FORMS_SIGNING_KEYS": ""}
    with pytest.raises(ConfigurationError, match=r"\[forms\] names: "):
        make_app(settings_of(sandbox, **given))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://www.figurative.example", 202),
        ("https://evil.example", 403),
        ("http://[", 403),
        ("null", 403),
        ("", 202),
    ],
)
def test_posts_are_accepted_from_configured_origins(
    sandbox: Sandbox, site: Callable[..., Site], origin: str, status: int
) -> None:
    """Those of the configured origins, by CORS for a script and by refusal for a form; a program names none."""
    here = site(FORMS_ORIGINS="https://www.figurative.example")
    headers = {"Origin": origin} if origin else {}
    answer = here.post(headers=headers)
    allowed = origin if origin and status == 202 else None
    assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (status, allowed)
    assert len(delivered(sandbox)) == (status == 202)
    if origin:
        asked = headers | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        preflight = here.client.options("/forms/contact", headers=asked)
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed


def test_forms_app_is_served_by_uvicorn(office: Office, tmp_path: Path) -> None:
    """`uvicorn poller.forms:app` finds its settings where the daemon does, and names what is wrong with them."""
    (tmp_path / "config.toml").write_text('[forms]\nnames = "contact"\n')
    (tmp_path / ".env").write_text(f"FORMS_TOKENS=contact={TOKEN}\n")
    (tmp_path / ".env").chmod(0o600)
    command = [sys.executable, "-m", "uvicorn", "poller.forms:app", "--port", "0", "--app-dir", str(ROOT)]
    environment = os.environ | office.environment
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        port = next(found[1] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
        url, headers = f"http://127.0.0.1:{port}/forms/contact", {"Authorization": f"Bearer {TOKEN}"}
        assert [httpx.post(url, json=CUSTOMER, headers=each).status_code for each in ({}, headers)] == [401, 202]
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert "form_delivered" in said
    assert "POST" not in said
    refused = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"FORMS_PUBLIC": "Contact"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, "environment: FORMS_PUBLIC: must be names" in refused.stderr) == (78, True)


def test_post_content_is_not_logged(site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    """Neither of one that was taken nor of one that was not."""
    caplog.set_level(logging.DEBUG)
    here = site()
    here.post()
    here.post(json=CUSTOMER | {"secret-field": "x"})
    here.post(json=None, data=CUSTOMER, files={"files": ("secret.glb", GLB)})
    said = caplog.text
    for word in ("jeanne", "petit", "chaise", "modéliser", "secret", "127.0.0.1:"):
        assert word not in said.lower().replace(f"127.0.0.1:{here.port}", "")
