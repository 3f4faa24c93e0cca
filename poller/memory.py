"""What is remembered of each message, and how to read it beside a running daemon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbos import DBOSClient, DBOSPortableJSONSerializer

from integrations.errors import ConfigurationError
from poller import state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbos import WorkflowStatus

    from poller.settings import Settings


MESSAGE = "message"  # the name of a message's workflow
AFTER_A_FAULT = timedelta(minutes=5)
INTERNAL_ERROR: dict[str, Any] = {"step": "", "reason": "internal error", "gate": ""}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands."""

    outcome: str  # "working", "waiting", "gone", "failed", "ignored", "support", "modelisation"
    until: datetime | None = None  # of a waiting one
    result: dict[str, Any] | None = None  # what the work returned, of a finished one: ids, URLs, reasons


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


class Memory:
    """The state, for reading; to be closed."""

    def __init__(self, settings: Settings) -> None:
        """Open the state of these settings.

        Raises:
            ConfigurationError: nothing has run on it yet, or the database refuses us.
            TransientError: the database is out of reach.
        """
        path = Path(settings.state_url.split("///", 1)[-1])
        if settings.state_url.startswith("sqlite"):
            if not path.exists():
                raise ConfigurationError(f"nothing has run yet: there is no state in {path.parent}")
        elif (found := state.check(settings.state_url)).endswith(state.FRESH):
            raise ConfigurationError(f"nothing has run yet: {found}")
        self._client = DBOSClient(system_database_url=settings.state_url, serializer=DBOSPortableJSONSerializer())

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def recall(self, key: str) -> str:
        """What is kept under a key, "" when nothing is."""
        rows = self._client.list_workflows(workflow_ids=[key], status="SUCCESS", load_input=False)
        return str(rows[0].output) if rows else ""

    def messages(self, *, references: Iterable[str] | None = None, since: datetime | None = None) -> list[Remembered]:
        """Messages in the order in which they were first seen."""
        rows = self._client.list_workflows(
            name=MESSAGE,
            workflow_ids=None if references is None else list(references),
            start_time=since.isoformat() if since else None,
            load_input=False,
        )
        return [
            Remembered(row.workflow_id, _time(row.created_at), _time(row.updated_at), standing_of(row)) for row in rows
        ]

    def journal(self, reference: str) -> list[Entry]:
        """Everything that was written down about a message, in order."""
        steps = self._client.list_workflow_steps(reference)
        return [
            Entry(step["function_name"], _time(step["completed_at_epoch_ms"]), step["output"])
            for step in steps
            if isinstance(step["output"], dict)  # what a message remembers for others is no entry of its journal
        ]


def standing_of(row: WorkflowStatus) -> Standing:
    """Where the message of a workflow stands."""
    if row.status in {"ENQUEUED", "PENDING", "DELAYED"}:
        return Standing("working")
    if row.status != "SUCCESS":
        # A fault in our own workflow, outside of any step: the message stays where it is and is tried again later.
        ended = datetime.fromtimestamp((row.updated_at or 0) / 1000, UTC)
        return Standing("waiting", ended + AFTER_A_FAULT, INTERNAL_ERROR)
    result: dict[str, Any] = row.output or {}
    until = datetime.fromisoformat(result["until"]) if "until" in result else None
    return Standing(result["outcome"], until, result)


def _time(epoch_ms: int | None) -> datetime:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
