"""Check that a HubSpot account lets us do what we do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError
from integrations.hubspot.properties import FROM_MAIL, property_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations.hubspot.crm import Crm

# What a key must be allowed to do, as HubSpot calls it: an object type, and whether to write it.
_SCOPES = {
    "crm.objects.contacts.read": ("contacts", False),
    "crm.objects.contacts.write": ("contacts", True),
    "tickets": ("tickets", False),  # it covers both
}


def check_key(crm: Crm, hub_id: str) -> None:
    """Check that the key belongs to this account and has every scope.

    Raises:
        ConfigurationError: it has not.
    """
    account_id = crm.account_id()
    if account_id != hub_id:
        raise ConfigurationError(f"HubSpot: the token belongs to account {account_id}, HUBSPOT_HUB_ID says {hub_id}")
    lacking = [scope for scope, (kind, write) in _SCOPES.items() if crm.lacks_scope(kind, to_write=write)]
    if lacking:
        raise ConfigurationError(f"HubSpot: HUBSPOT_API_KEY lacks the scope {' and '.join(lacking)}: add it to the key")


def check_stage(crm: Crm, pipeline_id: str, stage_new: str) -> None:
    """Check that tickets have this pipeline, and that it has this stage.

    Raises:
        ConfigurationError: HUBSPOT_PIPELINE_ID or HUBSPOT_STAGE_NEW is wrong.
    """
    stages = crm.stages("tickets")
    if pipeline_id not in stages:
        raise ConfigurationError(f"HubSpot: no ticket pipeline {pipeline_id}, look at HUBSPOT_PIPELINE_ID")
    if stage_new not in stages[pipeline_id]:
        raise ConfigurationError(f"HubSpot: pipeline {pipeline_id} has no stage {stage_new}, look at HUBSPOT_STAGE_NEW")


def check_properties(crm: Crm, sets: Mapping[str, Mapping[str, str]]) -> None:
    """Check that the account takes the ticket properties that we set, and requires no others of any object.

    `sets` are those properties, by the kind of ticket.

    Raises:
        ConfigurationError: with every problem.
    """
    definitions = crm.properties("tickets") if any(sets.values()) else {}
    problems = list(property_problems(definitions, sets, crm.required("tickets")))
    for kind in ("contacts", "notes"):
        stray = [name for name in crm.required(kind) if name not in FROM_MAIL[kind]]
        problems += [f"the account requires {name} of {kind}, which comes from no mail" for name in stray]
    if problems:
        raise ConfigurationError(f"HubSpot: {'; '.join(problems)}")
