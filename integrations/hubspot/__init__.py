"""The client of HubSpot's CRM."""

from integrations.hubspot.client import HubSpot, Ticket

__all__ = ["HubSpot", "Ticket"]
