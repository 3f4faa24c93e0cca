"""What is remembered of each message, and how to read it beside a running daemon."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbos import DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from integrations.errors import ConfigurationError, TransientError
from poller import state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbos import WorkflowStatus

    from poller.settings import Settings


MESSAGE, FACT = "message", "fact"  # the names of the workflows: a message's, and a short text under a key
_AT_ONCE = 500  # rows that are asked for, or deleted, by one statement
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
AFTER_A_FAULT = timedelta(minutes=5)
INTERNAL_ERROR: dict[str, Any] = {"step": "", "reason": "internal error", "gate": ""}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands."""

    outcome: str  # "working", "waiting", "gone", "failed", "ignored", "support", "modelisation"
    until: datetime | None = None  # of a waiting one
    result: dict[str, Any] | None = None  # what the work returned, of a finished one: ids, URLs, reasons

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


class Memory:
    """The state beside a daemon that may be at work on it; to be closed."""

    def __init__(self, settings: Settings) -> None:
        """Open the state of these settings.

        Raises:
            ConfigurationError: nothing has run on it yet, or the database refuses us.
            TransientError: the database is out of reach; so do all the methods.
        """
        path = Path(settings.state_url.split("///", 1)[-1])
        if settings.state_url.startswith("sqlite"):
            if not path.is_file():
                raise ConfigurationError(f"nothing has run yet: there is no state in {path.parent}")
        elif (found := state.check(settings.state_url)).endswith(state.FRESH):
            raise ConfigurationError(f"nothing has run yet: {found}")
        with _in_reach():
            self._client = DBOSClient(
                system_database_url=settings.state_url,
                serializer=DBOSPortableJSONSerializer(),
                retry_connection_errors=False,
            )

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def recall(self, key: str) -> str:
        """What is kept under a key, "" when nothing is."""
        with _in_reach():
            rows = self._client.list_workflows(workflow_ids=[key], status="SUCCESS", load_input=False)
        return str(rows[0].output) if rows else ""

    def messages(self, *, references: Iterable[str] | None = None, since: datetime | None = None) -> list[Remembered]:
        """Messages in the order in which they were first seen."""
        with _in_reach():
            rows = self._client.list_workflows(
                name=MESSAGE,
                workflow_ids=None if references is None else list(references),
                start_time=since.isoformat() if since else None,
                load_input=False,
            )
        return [_remembered(row) for row in rows]

    def stopped(self, since: datetime) -> list[Remembered]:
        """The messages that finished, or began to wait, at that moment or later."""
        with _in_reach():
            rows = self._client.list_workflows(name=MESSAGE, completed_after=since.isoformat(), load_input=False)
        return [_remembered(row) for row in rows]

    def journal(self, reference: str) -> list[Entry]:
        """Everything that was written down about a message, in order."""
        with _in_reach():
            steps = self._client.list_workflow_steps(reference)
        return [
            Entry(step["function_name"], _time(step["completed_at_epoch_ms"]), step["output"])
            for step in steps
            if isinstance(step["output"], dict)  # what a message remembers for others is no entry of its journal
        ]

    def facts(self, prefix: str, before: datetime | None = None) -> dict[str, str]:
        """What is kept under the keys that begin so; with `before` only what is from before that moment."""
        with _in_reach():
            rows = self._client.list_workflows(
                name=FACT,
                workflow_id_prefix=prefix,
                end_time=before.isoformat() if before else None,
                status="SUCCESS",
                load_input=False,
            )
        return {row.workflow_id: str(row.output) for row in rows}

    def forget(self, ids: Iterable[str]) -> None:
        """Delete messages by reference, and facts by key, with all that was written down about them."""
        wanted = list(ids)
        with _in_reach():
            for start in range(0, len(wanted), _AT_ONCE):
                self._client.delete_workflows(wanted[start : start + _AT_ONCE])


@contextmanager
def _in_reach() -> Iterator[None]:
    """What the database says, by what is to be done about it; its own words may hold names, and are kept to it."""
    try:
        yield
    except ProgrammingError as error:
        raise ConfigurationError("the state has no tables of ours: nothing has run on it yet") from error
    except (DBAPIError, NoConnectionError) as error:
        if "no such table" in str(error):
            raise ConfigurationError("the state has no tables of ours: nothing has run on it yet") from error
        if "not a database" in str(error):
            raise ConfigurationError("the state is no SQLite database; look at STATE_URL") from error
        raise TransientError("the database is out of reach: look at STATE_URL") from error


def _remembered(row: WorkflowStatus) -> Remembered:
    return Remembered(row.workflow_id, _time(row.created_at), _time(row.updated_at), standing_of(row))


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
