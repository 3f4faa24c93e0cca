"""The further properties of HubSpot's tickets, as the settings give them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotations
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator

from poller.model import Category

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
# Those that we set ourselves, and what sets them.
_OURS = {
    "subject": "the mail",
    "content": "the mail",
    "hs_pipeline": "pipeline_id",
    "hs_pipeline_stage": "stage_new",
    "figurative_reference": "reference_property",
}


@dataclass(frozen=True)
class TicketProperties:
    """Values that new tickets get, by the internal name of the property."""

    common: Mapping[str, str] = field(default_factory=dict)  # of every ticket
    own: Mapping[Category, Mapping[str, str]] = field(default_factory=dict)  # of those of a category, which win

    def of(self, category: Category) -> dict[str, str]:
        """Return what a ticket of this category gets."""
        return dict(self.common) | dict(self.own.get(category, {}))

    def by_category(self) -> dict[str, dict[str, str]]:
        """Return what tickets of each category get, by its name."""
        return {str(category): self.of(category) for category in Category}

    def __str__(self) -> str:
        """Return them as an inline table of TOML, "" if there are none."""
        tables = {category.lower(): _inline(properties) for category, properties in self.own.items() if properties}
        entries = [*_entries(self.common), *(f"{name} = {table}" for name, table in tables.items())]
        return f"{{ {', '.join(entries)} }}" if entries else ""


def _inline(properties: Mapping[str, str]) -> str:
    return f"{{ {', '.join(_entries(properties))} }}"


def _entries(properties: Mapping[str, str]) -> list[str]:
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in properties.items()]


def _read(given: object) -> TicketProperties:
    """Return the properties of a table, or of the text of an inline table as the environment gives it."""
    if isinstance(given, TicketProperties):
        return given
    if isinstance(given, str):
        try:
            given = tomllib.loads(f"given = {given}")["given"]
        except tomllib.TOMLDecodeError:
            given = None
    if not isinstance(given, dict):
        raise ValueError('must be a table, such as { hs_ticket_priority = "HIGH" }')  # noqa: TRY004  for pydantic
    tables = {
        category: given[category.lower()] for category in Category if isinstance(given.get(category.lower()), dict)
    }
    common = {name: value for name, value in given.items() if not isinstance(value, dict) or name.upper() not in tables}
    return TicketProperties(_checked(common), {category: _checked(table) for category, table in tables.items()})


def _checked(table: dict[str, Any]) -> dict[str, str]:
    checked = {}
    for name, value in table.items():
        if isinstance(value, dict | list):
            raise ValueError(f"{name}: must be a text; the tables are support and modelisation")  # noqa: TRY004
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no internal name of a property: small letters, digits and _")
        if name in _OURS:
            raise ValueError(f"{name} is set by {_OURS[name]}")
        text = json.dumps(value) if isinstance(value, bool) else str(value)
        if not text or text != text.strip():
            raise ValueError(f"{name}: must be a text without spaces around it")
        checked[name] = text
    return checked


TicketPropertiesSetting = Annotated[TicketProperties, BeforeValidator(_read)]
