"""Create the ClickUp subtask, and comment on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from integrations.clickup import TaskGoneError
from poller.config.settings import reader_zone
from poller.dispatch.job import GONE, skip
from poller.dispatch.upload import with_file_names
from poller.model import DispatchResult, Link
from poller.rendering import tickets
from poller.workflow.steps import StepName
from poller.working_days import due_day

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from poller.dispatch.job import StepContext
    from poller.model import Request
    from poller.workflow.retry import Attempt


CLOCKS = timedelta(minutes=15)  # by which ours and a service's may differ


def create_subtask(job: StepContext, done: DispatchResult, *, look: bool = False) -> DispatchResult:
    """Create the 3D team's ClickUp subtask. `look` is as for the note."""
    clickup = job.services.clickup

    def act(attempt: Attempt) -> dict[str, str] | None:
        if clickup is None:
            return None
        request = job.message.request
        since = request.received_at if look else attempt.since
        found = clickup.find_subtask(request.reference, since - CLOCKS) if look or attempt.doubts else None
        if found is None:
            markdown = tickets.subtask_markdown(request, with_file_names(request, done))
            found = clickup.create_subtask(tickets.subtask_name(request), markdown, _due(job, request))
        return {"id": found.id, "url": found.url}

    subtask = job.journal.step(StepName.CREATE_SUBTASK, act)
    return replace(done, subtask=Link(**subtask)) if subtask else skip(done, StepName.CREATE_SUBTASK)


def _due(job: StepContext, request: Request) -> date | None:
    """Return the day on which the subtask is due, None where the settings name none."""
    working_days = job.settings.clickup.due_working_days
    if working_days is None:
        return None
    return due_day(request.received_at, working_days, reader_zone(job.settings))


def add_comment(
    job: StepContext, done: DispatchResult, mark: str, write: Callable[[], str], *, look: bool = False
) -> DispatchResult:
    """Add a comment for the 3D team to the request's subtask, if it has one.

    Where a person has deleted the subtask, the result is without it. `mark` stands in the text that `write` returns,
    and the comment is found by it. `look` is as for the note.
    """
    clickup, subtask = job.services.clickup, done.subtask
    if subtask is None:
        return done

    def act(attempt: Attempt) -> str | None:
        if clickup is None:
            return None
        try:
            found = clickup.find_comment(subtask.id, mark) if look or attempt.doubts else None
            return found or clickup.add_comment(subtask.id, write())
        except TaskGoneError:
            return GONE

    comment_id = job.journal.step(StepName.ADD_COMMENT, act)
    if comment_id == GONE:
        return replace(done, subtask=None)
    return done if comment_id else skip(done, StepName.ADD_COMMENT)
