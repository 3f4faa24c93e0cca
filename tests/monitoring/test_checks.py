"""Checks of the configured services, each with its verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.sandbox import Fault
from poller.config import loader
from poller.monitoring import checks
from poller.monitoring.checks import Checked
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office

SERVICES = ["State", "IMAP", "Anthropic", "R2", "HubSpot", "ClickUp", "SMTP"]


def verdicts(found: list[Checked]) -> dict[str, str]:
    return {each.service: each.verdict for each in found}


def test_check_accepts_all_services_that_work(office: Office) -> None:
    """In this order, and nothing is created anywhere."""
    found = list(checks.check(office.settings))
    assert verdicts(found) == dict.fromkeys(SERVICES, "ok")
    assert list(verdicts(found)) == SERVICES
    assert not any(office.counts().values())
    assert office.mailboxes() == {}


def test_check_says_that_nothing_can_look_into_models(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are on by default, and their packages are an extra."""
    office.environment["MODELS_ENABLED"] = "true"
    assert "Models" not in [each.service for each in checks.check(office.settings)]
    monkeypatch.setattr("poller.inspection.process.is_installed", lambda: False)
    (found,) = [each for each in checks.check(office.settings) if each.service == "Models"]
    assert (found.verdict, found.seen) == ("off", "no pictures and facts of 3D files; install requirements-models.lock")


def test_check_has_f3d_draw_where_it_is_the_renderer(office: Office, tmp_path: Path) -> None:
    """Without a picture it says where to look."""
    renderer = office.settings.models.model_copy(update={"renderer": "f3d", "f3d_socket": str(tmp_path / "none")})
    found = list(checks.check(office.settings.model_copy(update={"models": renderer})))[-1]
    assert (found.service, found.verdict) == ("f3d", "refused")
    assert f"{tmp_path}/none gives no picture" in found.seen


def test_check_tries_the_templates_of_letters(tmp_path: Path) -> None:
    """A reload asks it too, and keeps the old settings where it is refused. No service is in reach here."""
    given = {"IMAP_HOST": "127.0.0.1", "IMAP_PORT": "9", "IMAP_USERNAME": "u@x.example", "IMAP_PASSWORD": "p"}
    given |= {"IMAP_SECURITY": "none", "STATE_URL": "sqlite:////nonexistent/x", "ACKNOWLEDGEMENT_ENABLED": "true"}
    given |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "9", "SMTP_SECURITY": "none"}
    (tmp_path / "acknowledgement.en.txt").write_text("Received\n\n{{ letter.sender }}\n")
    for templates, verdict, seen in (("", "ok", "visitors of forms alone"), (str(tmp_path), "refused", "'sender'")):
        settings = loader.from_names(given | {"ACKNOWLEDGEMENT_TEMPLATES": templates})
        (found,) = [each for each in checks.check(settings) if each.service == "Letters"]
        assert found.verdict == verdict
        assert seen in found.seen


def test_check_says_what_the_learnt_model_is_worth(office: Office) -> None:
    """A broken one is named."""
    learning = office.settings.learning.model_copy(update={"mode": "shadow"})
    settings = office.settings.model_copy(update={"learning": learning})
    found = list(checks.check(settings))[-1]
    assert (found.service, found.verdict) == ("Learning", "ok")
    assert re.match(r"shadow; learnt from \d{3,} requests, 9\d% right by cross-validation$", found.seen)
    (settings.directory / "learned.json").write_text("[]")
    assert list(checks.check(settings))[-1].seen == "learned.json is broken: run poller learn"


def test_check_names_services_that_are_off() -> None:
    """Each with the settings that turn it on; a mailbox out of reach ends no other check."""
    given = {"IMAP_HOST": "127.0.0.1", "IMAP_PORT": "9", "IMAP_USERNAME": "u", "IMAP_PASSWORD": "p"}
    settings = loader.from_names(given | {"IMAP_SECURITY": "none", "STATE_URL": "sqlite:////nonexistent/x"})
    found = {each.service: each for each in checks.check(settings)}
    assert found["IMAP"].verdict == "unreachable"
    off = {name: each.seen for name, each in found.items() if each.verdict == "off"}
    assert list(off) == SERVICES[2:]
    for name, setting in (("Anthropic", "ANTHROPIC_API_KEY"), ("HubSpot", "HUBSPOT_API_KEY"), ("SMTP", "SMTP_HOST")):
        assert setting in off[name]


def test_check_goes_on_after_refused_service(office: Office) -> None:
    office.fail("hubspot", Fault("status", status=401, times=None))
    found = verdicts(list(checks.check(office.settings)))
    assert found.pop("HubSpot") == "refused"
    assert set(found.values()) == {"ok"}


def failing(error: Exception) -> Checked:
    def call() -> str:
        raise error

    return checks.tried("HubSpot", call)


@pytest.mark.parametrize(
    ("error", "verdict", "seen"),
    [
        (ConfigurationError("HubSpot: HTTP 401"), "refused", "HubSpot: HTTP 401"),
        (PermanentError("HubSpot: HTTP 400", detail="No such hub."), "refused", "HubSpot: HTTP 400: No such hub"),
        (TransientError("HubSpot: HTTP 503"), "unreachable", "HubSpot: HTTP 503"),
    ],
)
def test_check_verdict_follows_kind_of_error(error: Exception, verdict: str, seen: str) -> None:
    """A service that gives a permanent error is in reach."""
    assert failing(error) == Checked("HubSpot", verdict, seen)


def test_check_line_names_service_once() -> None:
    result = checks.tried("HubSpot", lambda: "HubSpot: hub 42")
    assert result.as_line() == "ok           HubSpot    hub 42"
    assert result.as_json() == {"service": "HubSpot", "verdict": "ok", "seen": "HubSpot: hub 42"}


def test_check_beside_asks_public_address_and_heartbeat(office: Office) -> None:
    """Those checks are left out by the daemon, whose work does not depend on them."""
    with Listener(http(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as keeper:
        office.environment["HEARTBEAT_URL"] = f"http://127.0.0.1:{keeper.port}/ping"
        assert list(verdicts(list(checks.check_beside(office.settings)))) == ["Links", "Heartbeat"]
        assert b"GET /ping/log " in keeper.received
        keeper_asked = keeper.connections
        assert list(verdicts(list(checks.check(office.settings)))) == SERVICES
        assert keeper.connections == keeper_asked
