"""Where a message stands, and what is remembered of it: values, and nothing of its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

# Whom a step asks; "" is nobody but ourselves.
SERVICES = {
    "receive": "imap",
    "find_thread": "",
    "find_original": "",
    "classify": "anthropic",
    "upload_files": "r2",
    "find_or_create_contact": "hubspot",
    "create_ticket": "hubspot",
    "find_ticket": "hubspot",
    "update_ticket": "hubspot",
    "create_note": "hubspot",
    "create_subtask": "clickup",
    "add_comment": "clickup",
    "prepare_alert": "smtp",
    "prepare_notification": "smtp",
    "prepare_failure": "smtp",
    "prepare_receipt": "",
    "send_alert": "smtp",
    "send_notification": "smtp",
    "send_receipt": "",  # it asks the mailbox, and says nothing of it: see `letters.send_receipt`
    "send_failure": "smtp",
    "label": "imap",
}
INTERNAL_ERROR: dict[str, Any] = {"step": "", "reason": "internal error", "gate": ""}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands."""

    outcome: str  # "working", "waiting", "gone", "failed", "ignored", "support", "modelisation"
    until: datetime | None = None  # of a waiting one
    result: dict[str, Any] | None = None  # what the work returned, of a finished one: ids, URLs, reasons
    since: datetime | None = None  # of a waiting one, when it was first taken up; aware, UTC

    @property
    def came_to(self) -> str:
        """The outcome; of a message that waits for its receipt alone, what it is filed as: nothing else is to come."""
        return str((self.result or {}).get("filed", self.outcome))

    @property
    def service(self) -> str:
        """The service that a waiting one waits for, "" when it is none."""
        result = self.result or {}
        # One that is kept out by a gate names it; the one that tried, and failed, has its step alone.
        if result.get("gate"):
            return str(result["gate"])
        if result.get("reason", "").startswith("IMAP"):
            return "imap"
        asked = SERVICES.get(result.get("step", ""), "")
        return "" if asked == "imap" else asked


@dataclass(frozen=True, slots=True)
class Remembered:
    """One message, as far as the memory goes: nothing of its content."""

    reference: str
    seen_at: datetime  # when it was first taken up; aware, UTC
    changed_at: datetime  # when it last went on
    standing: Standing


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a message's journal."""

    step: str
    at: datetime  # when it was written; aware, UTC
    content: dict[str, Any]  # see `journal`
