"""The catalogue of steps is whole: each has its French title, and each is run by some module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poller.model import SERVICE_NAMES
from poller.rendering.phrases import step_title
from poller.workflow.steps import StepName, service_of

DISPATCH = Path(__file__).parents[2] / "poller" / "dispatch"
UNSEEN = {StepName.PREPARE_ALERT, StepName.SEND_ALERT, StepName.PREPARE_FAILURE, StepName.SEND_FAILURE}


RECORDED = {
    "receive": "imap",
    "find_original": "",
    "find_thread": "",
    "prepare_alert": "smtp",
    "send_alert": "smtp",
    "classify": "anthropic",
    "upload_files": "r2",
    "archive_files": "r2",
    "find_or_create_contact": "hubspot",
    "find_ticket": "hubspot",
    "update_ticket": "hubspot",
    "create_ticket": "hubspot",
    "attach_files": "hubspot",
    "inspect_models": "",
    "create_note": "hubspot",
    "create_subtask": "clickup",
    "add_comment": "clickup",
    "prepare_notification": "smtp",
    "send_notification": "smtp",
    "prepare_acknowledgement": "smtp",
    "send_acknowledgement": "smtp",
    "prepare_failure": "smtp",
    "send_failure": "smtp",
    "label": "labels",
    "prepare_receipt": "",
    "send_receipt": "",
}


def test_names_and_services_of_steps_are_those_that_are_recorded() -> None:
    """Rows of earlier releases hold these names. A new step is added here, and none is ever changed."""
    assert {step.value: step.service for step in StepName} == RECORDED


def test_steps_that_search_are_those_that_create_or_append() -> None:
    """Only these wait until the effect of an earlier try would show."""
    searching = {"attach_files", "create_ticket", "create_note", "create_subtask", "add_comment"}
    searching |= {"send_acknowledgement", "send_receipt"}
    assert {step.value for step in StepName if step.searches} == searching


def test_step_is_prepared_by_the_step_of_its_name() -> None:
    assert StepName.SEND_FAILURE.preparation is StepName.PREPARE_FAILURE
    assert StepName.SEND_NOTIFICATION.preparation is StepName.PREPARE_NOTIFICATION


@pytest.mark.parametrize("step", StepName)
def test_a_step_names_a_known_service_or_none(step: StepName) -> None:
    """Alerts, metrics and waits name the service by it."""
    assert step.service == service_of(step.value)
    assert step.service in {"", *SERVICE_NAMES}


def test_the_service_of_an_unknown_step_is_none() -> None:
    """A later release may have recorded it."""
    assert service_of("send_postcard") == ""


@pytest.mark.parametrize("step", [step for step in StepName if step not in UNSEEN | {StepName.PREPARE_RECEIPT}])
def test_a_step_has_a_french_title(step: StepName) -> None:
    """Receipts, failure mails and the digest name it."""
    assert step_title(step) != step[:1].upper() + step[1:]
    assert "_" not in step_title(step)


def test_every_step_is_run_by_dispatch() -> None:
    """A name that no step uses would be dead."""
    code = "".join(path.read_text() for path in DISPATCH.glob("*.py"))
    used = set(re.findall(r"StepName\.([A-Z_]+)", code))
    prepared = {name.replace("SEND_", "PREPARE_") for name in used if name.startswith("SEND_")}
    assert {step.name for step in StepName} == used | prepared
