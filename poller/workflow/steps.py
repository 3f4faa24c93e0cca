"""The steps of a message: their recorded names, the service that each calls, and their order."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from poller.model import LABELS

if TYPE_CHECKING:
    from typing import Self


class StepName(StrEnum):
    """The name of a step, as it is recorded, in the order in which the steps of a message run.

    A recorded name never changes: the next release reads it. A new step is added where no recorded step comes after it,
    or behind `Journal.introduced`.
    """

    service: str  # the service that it calls, a key of SERVICE_NAMES; "" if it calls none
    searches: bool  # whether it looks first if an earlier try had its effect, and so waits until that would show
    # Whether it takes minutes, does what is dangerous in a process of its own, and its message goes on without it: no
    # other step waits for its end, and it waits for none, not even after a death of the daemon (`SharedLock`).
    apart: bool

    def __new__(cls, name: str, service: str = "", searches: bool = False, apart: bool = False) -> Self:
        """Make a member of its name and of the values above."""
        member = str.__new__(cls, name)
        member._value_, member.service, member.searches, member.apart = name, service, searches, apart
        return member

    RECEIVE = "receive", "imap"
    FIND_ORIGINAL = "find_original"
    FIND_THREAD = "find_thread"
    PREPARE_ALERT = "prepare_alert", "smtp"
    SEND_ALERT = "send_alert", "smtp"
    CLASSIFY = "classify", "anthropic"
    UPLOAD_FILES = "upload_files", "r2"
    ARCHIVE_FILES = "archive_files", "r2"
    FIND_OR_CREATE_CONTACT = "find_or_create_contact", "hubspot"
    FIND_TICKET = "find_ticket", "hubspot"
    UPDATE_TICKET = "update_ticket", "hubspot"
    CREATE_TICKET = "create_ticket", "hubspot", True
    ATTACH_FILES = "attach_files", "hubspot", True
    INSPECT_MODELS = "inspect_models", "", False, True  # stores pictures on R2, and goes on without it
    CREATE_NOTE = "create_note", "hubspot", True
    CREATE_SUBTASK = "create_subtask", "clickup", True
    ADD_COMMENT = "add_comment", "clickup", True
    PREPARE_NOTIFICATION = "prepare_notification", "smtp"
    SEND_NOTIFICATION = "send_notification", "smtp"
    PREPARE_ACKNOWLEDGEMENT = "prepare_acknowledgement", "smtp"
    SEND_ACKNOWLEDGEMENT = "send_acknowledgement", "smtp", True
    PREPARE_FAILURE = "prepare_failure", "smtp"
    SEND_FAILURE = "send_failure", "smtp"
    LABEL = "label", LABELS
    PREPARE_RECEIPT = "prepare_receipt"
    # It uses the mailbox and names no service: a mailbox may refuse receipts and still give mail.
    SEND_RECEIPT = "send_receipt", "", True

    @property
    def is_preparation(self) -> bool:
        """Return whether the step only prepares what another one sends."""
        return self.startswith("prepare_")

    @property
    def preparation(self) -> StepName:
        """Return the step that prepares what this one sends."""
        return StepName(self.replace("send_", "prepare_"))


_SERVICES = {step.value: step.service for step in StepName}


def service_of(step: str) -> str:
    """Return the service that a recorded step calls. "" if it calls none, or this release does not know the step."""
    return _SERVICES.get(step, "")


AT_THE_END = {StepName.LABEL, StepName.SEND_RECEIPT}  # steps in which a message may not be in the mailbox any more
