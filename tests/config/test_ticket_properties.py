"""Tests of the further properties of tickets, as config.toml and the environment give them."""

from __future__ import annotations

import pytest

from poller.config.loader import explain, load
from poller.model import Category
from tests.support.settings_files import problems, write

TABLES = """
[hubspot]
pipeline_id = "0"
[hubspot.ticket_properties]
hs_ticket_priority = "LOW"
urgent = true
support = "gold"
[hubspot.ticket_properties.modelisation]
hs_ticket_priority = "HIGH"
hubspot_owner_id = 77
"""


def test_ticket_properties_of_a_category_win_over_common_ones() -> None:
    """A property may be called like a category: a table is one, a text is none."""
    write("config.toml", TABLES)
    given = load(need_imap=False).hubspot.ticket_properties
    common = {"hs_ticket_priority": "LOW", "urgent": "true", "support": "gold"}
    assert given.of(Category.SUPPORT) == common
    assert given.of(Category.MODELISATION) == common | {"hs_ticket_priority": "HIGH", "hubspot_owner_id": "77"}


def test_ticket_properties_as_shown_are_what_the_environment_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    write("config.toml", TABLES)
    given = load(need_imap=False).hubspot.ticket_properties
    (shown,) = (each.shown for each in explain() if each.name == "[hubspot] ticket_properties")
    write("config.toml", "")
    assert not load(need_imap=False).hubspot.ticket_properties.by_category()["SUPPORT"]
    monkeypatch.setenv("HUBSPOT_TICKET_PROPERTIES", shown)
    assert load(need_imap=False).hubspot.ticket_properties == given


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('{ content = "x" }', "content is set by the mail"),
        ('{ hs_pipeline = "1" }', "hs_pipeline is set by pipeline_id"),
        ('{ support = { hs_pipeline_stage = "1" } }', "hs_pipeline_stage is set by stage_new"),
        ('{ Priority = "HIGH" }', "'Priority' is no internal name"),
        ('{ priority = " HIGH" }', "priority: must be a text without spaces around it"),
        ('{ priority = "" }', "priority: must be a text without spaces around it"),
        ('{ priority = ["HIGH"] }', "priority: must be a text"),
        ('{ sales = { priority = "HIGH" } }', "sales: must be a text; the tables are support and modelisation"),
        ('"HIGH"', "must be a table"),
    ],
)
def test_ticket_properties_that_cannot_be_are_named(table: str, said: str) -> None:
    write("config.toml", f"[hubspot]\nticket_properties = {table}\n")
    (problem,) = problems()
    assert problem.startswith("config.toml:2: [hubspot] ticket_properties: ")
    assert said in problem
