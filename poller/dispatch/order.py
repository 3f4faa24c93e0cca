"""Name the steps of a request in their order, for each category."""

from __future__ import annotations

from collections.abc import Callable

from poller.dispatch.inspect_models import inspect_models
from poller.dispatch.job import StepContext
from poller.dispatch.notify import send_notification
from poller.dispatch.subtask import create_subtask
from poller.dispatch.ticket import create_note, create_note_of_files, create_ticket, find_or_create_contact
from poller.dispatch.upload import attach_files, upload_files
from poller.model import Category, DispatchResult
from poller.workflow.steps import StepName

Step = Callable[[StepContext, DispatchResult], DispatchResult]

STEPS: dict[Category, dict[StepName, Step]] = {
    Category.SUPPORT: {
        StepName.FIND_OR_CREATE_CONTACT: find_or_create_contact,
        StepName.CREATE_TICKET: create_ticket,
        StepName.SEND_NOTIFICATION: send_notification,
    },
    Category.MODELISATION: {
        StepName.UPLOAD_FILES: upload_files,
        StepName.FIND_OR_CREATE_CONTACT: find_or_create_contact,
        StepName.CREATE_TICKET: create_ticket,
        StepName.INSPECT_MODELS: inspect_models,
        StepName.CREATE_NOTE: create_note,
        StepName.CREATE_SUBTASK: create_subtask,
        StepName.SEND_NOTIFICATION: send_notification,
    },
}

SUPPORT_STEPS: dict[str, dict[StepName, Step]] = {
    "none": STEPS[Category.SUPPORT],
    "hubspot": {
        StepName.FIND_OR_CREATE_CONTACT: find_or_create_contact,
        StepName.ATTACH_FILES: attach_files,
        StepName.CREATE_TICKET: create_ticket,
        StepName.CREATE_NOTE: create_note_of_files,
        StepName.SEND_NOTIFICATION: send_notification,
    },
    "r2": {
        StepName.UPLOAD_FILES: upload_files,
        StepName.FIND_OR_CREATE_CONTACT: find_or_create_contact,
        StepName.CREATE_TICKET: create_ticket,
        StepName.CREATE_NOTE: create_note_of_files,
        StepName.SEND_NOTIFICATION: send_notification,
    },
}  # by where the files of a support request go


def steps_of(category: Category, support_files: str) -> dict[StepName, Step]:
    """Return the steps of a category. `support_files` is as in `Received`."""
    return SUPPORT_STEPS[support_files] if category is Category.SUPPORT else STEPS[category]
