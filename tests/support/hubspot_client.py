"""Make a HubSpot client on the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.hubspot.client import HubSpot

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

REF = "0123456789abcdef"
OTHER_REF = "fedcba9876543210"
TICKETS = "/crm/objects/2026-09/tickets"
CONTACTS = "/crm/objects/2026-09/contacts"
SECRET = "Chaise-longue de Mme Durand"


def connect(sandbox: Sandbox, *, reference_property: bool = False, read_timeout_s: float = 5.0) -> HubSpot:
    """Return a client that gives up soon and is not slowed down."""
    server = sandbox.hubspot
    return HubSpot(
        server.token,
        server.hub_id,
        "0",
        "1",
        server.url,
        reference_property=reference_property,
        connect_timeout_s=2.0,
        read_timeout_s=read_timeout_s,
        calls_per_10s=1000,
    )
