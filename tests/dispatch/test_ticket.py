"""HubSpot's contact, ticket and note: created once, and found by a later try."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.dispatch.ticket import create_note, create_ticket, find_or_create_contact, person_name
from poller.workflow.errors import StepDeferredError, StepFailedError
from tests.support.pipeline_harness import StepHarness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult

    Step = Callable[[StepContext, DispatchResult], DispatchResult]


STEPS = [create_ticket, create_note]


@pytest.mark.parametrize("step", STEPS)
def test_frozen_machine_does_not_create_after_takeover(bench: StepHarness, step: Step) -> None:
    """Frozen behind the step's beginning, it waits; where the message is its own after all it creates it then."""
    bench.freezes = True
    with pytest.raises(StepDeferredError, match="out of touch"):
        bench.takes(step)
    assert bench.created == 0
    bench.freezes = False
    bench.takes(step)
    assert bench.created == 1


@pytest.mark.parametrize("step", STEPS)
def test_step_whose_answer_was_lost_creates_nothing_twice(bench: StepHarness, step: Step) -> None:
    """The object is there, and the answer to the call was cut: the next try finds it."""
    bench.sandbox.hubspot.fail(Fault("cut_after_commit", "POST", f"/crm/objects/2026-09/{step.__name__[7:]}s"))
    with pytest.raises(StepDeferredError):
        bench.takes(step)
    bench.record.now += timedelta(minutes=5)
    done = bench.takes(step)
    box = bench.sandbox.hubspot
    made = [each.id for each in (box.tickets if step is create_ticket else box.notes)]
    assert made == [done.ticket.id if step is create_ticket and done.ticket else done.note_id]


@pytest.mark.parametrize("step", STEPS)
def test_step_without_a_contact_is_skipped(bench: StepHarness, step: Step) -> None:
    """A ticket or a note without a contact could not be found again."""
    bench.done = replace(bench.done, contact_id="")
    assert bench.takes(step).skipped == (step.__name__,)
    assert bench.created == 0


def test_ticket_has_the_properties_of_its_category(bench: StepHarness) -> None:
    """Of a modelling request, its own win over the common ones."""
    bench.environment["HUBSPOT_TICKET_PROPERTIES"] = (
        '{ hs_ticket_priority = "LOW", source_type = "EMAIL", modelisation = { hs_ticket_priority = "HIGH" } }'
    )
    del bench.settings  # which the fixture has read already
    bench.takes(create_ticket)
    properties = bench.sandbox.hubspot.tickets[0].properties
    assert (properties["hs_ticket_priority"], properties["source_type"]) == ("HIGH", "EMAIL")


def test_ticket_whose_property_the_account_misses_waits(bench: StepHarness) -> None:
    """It is no mail's failure: all wait, and the reason names the property."""
    bench.sandbox.hubspot.crm.required_properties["tickets"].append("source_type")
    with pytest.raises(StepDeferredError, match="source_type is required"):
        bench.takes(create_ticket)


def test_contact_of_a_mail_without_sender_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """A person must read such a mail."""
    bench = StepHarness(sandbox, tmp_path, b"Subject: Fauteuil\n\nBonjour")
    with pytest.raises(StepFailedError) as caught:
        bench.takes(find_or_create_contact)
    assert (caught.value.kind, caught.value.reason) == ("unusable", "the message has no sender address")


@pytest.mark.parametrize(
    ("display_name", "first", "last"),
    [
        ("Jeanne Petit", "Jeanne", "Petit"),
        ("Dupont, Jeanne", "Jeanne", "Dupont"),
        ("DUPONT Jeanne", "Jeanne", "DUPONT"),
        ("DUPONT JEANNE", "DUPONT", "JEANNE"),
        ("Jeanne", "Jeanne", ""),
        ("jeanne@client.example", "", ""),
        ("", "", ""),
        ("A Martin", "A", "Martin"),
    ],
)
def test_display_name_is_split_into_first_and_last(display_name: str, first: str, last: str) -> None:
    assert person_name(display_name) == (first, last)
