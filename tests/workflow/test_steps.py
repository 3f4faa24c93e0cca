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
