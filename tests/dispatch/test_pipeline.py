"""The work on a message as a whole: the order of its steps, its result, and nothing of it left on the disk."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from integrations.errors import CredentialsError
from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.dispatch.order import STEPS
from poller.dispatch.pipeline import Pipeline, _steps_behind
from poller.dispatch.progress import PipelineProgress
from poller.model import Category, Classification, DispatchResult, Outcome
from poller.workflow.errors import StepDeferredError
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from tests.support import stored_files

if TYPE_CHECKING:
    from tests.support.pipeline_harness import Desk

MAILS = samples()
NOTES = "/crm/objects/2026-09/notes"


@pytest.mark.parametrize("category", Category)
def test_steps_of_a_category_run_in_the_order_of_the_catalogue(category: Category) -> None:
    """Metrics and commands list them in that order."""
    order = list(StepName)
    assert all(order.index(before) < order.index(after) for before, after in pairwise(STEPS[category]))


@pytest.mark.parametrize("category", Category)
def test_step_functions_are_those_that_their_names_say(category: Category) -> None:
    assert {str(name): step.__name__ for name, step in STEPS[category].items()} == {
        str(name): str(name) for name in STEPS[category]
    }


def test_result_of_a_dispatched_mail_has_all_that_was_made(desk: Desk) -> None:
    result = desk.gets(MAILS["modelisation_with_files"])
    box = desk.sandbox
    assert (result.outcome, result.category, result.thread) == (Outcome.MODELISATION, Category.MODELISATION, "0" * 16)
    assert result.ticket
    assert result.subtask
    assert (result.ticket.id, result.note_id) == (box.hubspot.tickets[0].id, box.hubspot.notes[0].id)
    assert (result.contact_id, result.subtask.id) == (box.hubspot.contacts[0].id, box.clickup.subtasks[0].id)
    assert len(result.files) == len(stored_files.sent(box)) == 2
    assert result.all_files
    assert result.all_files.url == f"{box.s3.public_url}/{stored_files.zips(box)[0].path}"
    assert (result.step, result.reason, result.was, result.filed) == ("", "", None, None)


def test_result_of_an_ignored_mail_is_its_reason_alone(desk: Desk) -> None:
    result = desk.gets(MAILS["auto_reply"])
    assert result == WorkResult(Outcome.IGNORED, reason=result.reason)
    assert result.reason
    assert desk.made() == (0, 0, 0)


def test_result_of_a_failed_mail_keeps_its_ticket_and_opens_no_thread(desk: Desk) -> None:
    """An answer finds the ticket by the reference of the mail itself."""
    desk.sandbox.hubspot.fail(Fault("status", "POST", NOTES, status=400))
    result = desk.gets(MAILS["modelisation_with_files"])
    assert (result.outcome, result.step, result.thread) == (Outcome.FAILED, StepName.CREATE_NOTE, "")
    assert result.ticket
    assert (result.note_id, result.subtask, result.unfiled) == ("", None, False)


def test_result_of_a_mail_taken_away_keeps_its_ticket(desk: Desk) -> None:
    desk.taken = "0" * 16
    result = desk.gets(MAILS["support"])
    assert (result.outcome, result.step) == (Outcome.GONE, "")
    assert result.ticket


def test_login_refused_at_the_label_is_the_refusal_of_the_mailbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll meets the same: it is one fault, not one of the labels beside."""

    def label(*_: object) -> None:
        raise CredentialsError("IMAP login refused")

    monkeypatch.setattr(desk, "label", label)
    with pytest.raises(StepDeferredError) as deferred:
        desk.gets(MAILS["support"])
    assert (deferred.value.step, deferred.value.breaker) == (StepName.LABEL, "imap")


def test_work_leaves_no_mail_on_the_disk(desk: Desk) -> None:
    """Whatever its end; what a killed process left is removed at the next start."""
    desk.gets(MAILS["support"])
    desk.sandbox.hubspot.fail(Fault("status", "POST", NOTES, status=400))
    desk.gets(MAILS["modelisation_with_files"])
    assert list(desk.spool.glob("*.eml")) == []
    (desk.spool / "0f-support-1.eml").touch()
    Pipeline(desk.settings, desk.services, desk, desk.spool).clear()
    assert list(desk.spool.glob("*.eml")) == []


DECIDED = Classification(Category.MODELISATION, 1.0, "rules", "", needs_review=False)
BY_PERSON = Classification(Category.MODELISATION, 1.0, "person", "", needs_review=False)


@pytest.mark.parametrize(
    ("step", "done", "behind"),
    [
        (StepName.CLASSIFY, None, []),
        (StepName.CREATE_NOTE, DECIDED, [StepName.CREATE_SUBTASK, StepName.SEND_NOTIFICATION]),
        (StepName.CREATE_SUBTASK, BY_PERSON, []),
        (StepName.UPDATE_TICKET, BY_PERSON, [StepName.CREATE_NOTE, StepName.CREATE_SUBTASK]),
        (StepName.FIND_TICKET, BY_PERSON, [StepName.CREATE_NOTE, StepName.CREATE_SUBTASK]),
        (StepName.LABEL, DECIDED, []),
    ],
)
def test_steps_behind_a_failed_one_are_left_to_do(
    step: StepName, done: Classification | None, behind: list[StepName]
) -> None:
    """The failure receipt lists them; of a correction there is no notification."""
    assert _steps_behind(step, PipelineProgress(done=DispatchResult(done) if done else None)) == behind
