"""Create one client for each enabled service from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.clickup import ClickUp, SubtaskFields
from integrations.hubspot import HubSpot
from integrations.net.trust import trusting
from integrations.r2 import R2
from integrations.smtp import Smtp
from poller.imap import oauth

if TYPE_CHECKING:
    from integrations.claude import Claude
    from poller.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The clients of the services. None is a service without credentials: its steps are skipped and reported."""

    claude: Claude | None = None
    r2: R2 | None = None
    hubspot: HubSpot | None = None
    clickup: ClickUp | None = None
    smtp: Smtp | None = None

    def off(self) -> list[str]:
        """Return the names of the services that are off."""
        names = {"claude": "Anthropic", "r2": "R2", "hubspot": "HubSpot", "clickup": "ClickUp", "smtp": "SMTP"}
        return [name for field, name in names.items() if getattr(self, field) is None]


def services(settings: Settings) -> Services:
    """Return clients for every service that has credentials. No connection is made."""
    return Services(_claude(settings), _r2(settings), _hubspot(settings), _clickup(settings), _smtp(settings))


def _claude(settings: Settings) -> Claude | None:
    given = settings.anthropic
    if not given.on:
        return None
    # The SDK takes seconds to import, so it is imported only if there is a key.
    from integrations.claude import Claude  # noqa: PLC0415

    return Claude(given.api_key.get_secret_value(), given.model, base_url=str(given.base_url or "") or None)


def _r2(settings: Settings) -> R2 | None:
    given = settings.r2
    if not given.on:
        return None
    return R2(
        given.access_key_id.get_secret_value(),
        given.secret_access_key.get_secret_value(),
        given.bucket_name,
        str(given.endpoint_url),
        str(given.public_url),
    )


def _hubspot(settings: Settings) -> HubSpot | None:
    given = settings.hubspot
    if not given.on:
        return None
    base_url = str(given.base_url or "").rstrip("/") or None
    return HubSpot(
        given.api_key.get_secret_value(),
        given.hub_id,
        given.pipeline_id,
        given.stage_new,
        base_url=base_url,
        api_version=given.api_version,
        reference_property=given.reference_property,
        private_files=settings.support.files == "hubspot",
        calls_per_10s=given.calls_per_10s,
    )


def _clickup(settings: Settings) -> ClickUp | None:
    given = settings.clickup
    if not given.on:
        return None
    base_url = str(given.base_url or "").rstrip("/")
    # The URL of a stand-in is usually the host alone. ClickUp's own base URL ends in the version.
    if given.base_url and given.base_url.path in {None, "", "/"}:
        base_url += "/api/v2"
    token = given.api_key.get_secret_value()
    return ClickUp(
        token,
        given.parent_task_id,
        base_url=base_url or None,
        fields=SubtaskFields(given.assignees, given.tags, given.priority),
        calls_per_min=given.calls_per_min,
    )


def _smtp(settings: Settings) -> Smtp | None:
    given = settings.smtp
    if not given.on or (settings.notification.email is None and not settings.acknowledgement.enabled):
        return None
    by_token = given.auth == "imap"
    return Smtp(
        given.host,
        given.port,
        given.security,
        given.username or (settings.imap.username if by_token else ""),
        given.password.get_secret_value(),
        settings.sender,
        context=trusting(given.ca_file, "SMTP_CA_FILE") if given.ca_file else None,
        token=(lambda: oauth.tokens(settings.imap).token()[0]) if by_token else None,
    )
