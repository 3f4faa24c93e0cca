"""Clients of the services that have credentials."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from integrations.sandbox.certificate import self_signed
from integrations.sandbox.smtp import Smtp
from poller.config import loader
from poller.dispatch.clients import services

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.dispatch.clients import Services


def made(sandbox: Sandbox, *left_out: str, **changes: str) -> Services:
    """Make the clients of these settings, without those whose names begin so."""
    given = {name: value for name, value in sandbox.environment().items() if not name.startswith(left_out)}
    return services(loader.from_names(given | changes))


def test_services_with_credentials_have_clients_and_are_not_connected(sandbox: Sandbox) -> None:
    assert made(sandbox, "none").off() == []
    box = sandbox
    assert [box.hubspot.requests, box.clickup.requests, box.anthropic.requests, box.smtp.messages] == [[]] * 4


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("ANTHROPIC_", "Anthropic"), ("R2_", "R2"), ("HUBSPOT_", "HubSpot"), ("CLICKUP_", "ClickUp"), ("SMTP_", "SMTP")],
)
def test_service_without_credentials_is_off(sandbox: Sandbox, prefix: str, name: str) -> None:
    """Its steps are skipped, and the others work."""
    assert made(sandbox, prefix).off() == [name]


@pytest.mark.parametrize(("files", "is_refused"), [("none", False), ("hubspot", True), ("r2", False)])
def test_hubspot_is_checked_for_files_only_if_it_gets_them(sandbox: Sandbox, files: str, *, is_refused: bool) -> None:
    sandbox.hubspot.scopes.discard("files")
    hubspot = made(sandbox, "none", SUPPORT_FILES=files).hubspot
    assert hubspot
    with pytest.raises(ConfigurationError, match="files") if is_refused else nullcontext():
        hubspot.check()


def test_smtp_without_a_recipient_is_off(sandbox: Sandbox) -> None:
    """There is no admin to write to."""
    assert made(sandbox, "NOTIFICATION_EMAIL").off() == ["SMTP"]


@pytest.mark.parametrize("path", ["", "/", "/api/v2", "/api/v2/"])
def test_clickup_base_url_may_be_a_host_alone(sandbox: Sandbox, path: str) -> None:
    host = sandbox.clickup.base_url.removesuffix("/api/v2")
    client = made(sandbox, "none", CLICKUP_BASE_URL=host + path).clickup
    assert client
    client.create_subtask("Fauteuil", "Une demande")
    assert len(sandbox.clickup.subtasks) == 1


def test_smtp_server_of_private_authority_is_believed_by_its_file(sandbox: Sandbox, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with Smtp(security="starttls", ssl_context=certificate.server_context()) as server:
        given = {"SMTP_PORT": str(server.port), "SMTP_SECURITY": "starttls"}
        trusting = made(sandbox, "none", **given, SMTP_CA_FILE=str(certificate.path)).smtp
        assert trusting
        assert "starttls" in trusting.check()
        stranger = made(sandbox, "none", **given).smtp
        assert stranger
        with pytest.raises(TransientError, match="not to be trusted"):
            stranger.check()
