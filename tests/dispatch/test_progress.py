"""What was created for a message that waits, as its journal has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from poller.dispatch.progress import created_so_far
from poller.model import Category, Link, Outcome
from poller.workflow.results import Participants, Received, WorkResult
from poller.workflow.status import Entry

MESSAGE = "0123456789abcdef"
TICKET, SUBTASK = {"id": "7", "url": "https://hubspot.example/7"}, {"id": "s", "url": "https://clickup.example/s"}
RECEIVED = Received(None, None, "thread-1", (), Participants("ana", "ana")).as_json()
MODELLING = {"category": "MODELISATION", "confidence": 0.9, "decided_by": "rules", "reason": "", "needs_review": True}


def journal(*done: tuple[str, Any]) -> list[Entry]:
    """The entries of these steps, each with the intent before its result."""
    at = datetime(2026, 11, 30, tzinfo=UTC)
    return [Entry(step, at, content) for step, value in done for content in ({"begun": at.isoformat()}, {"ok": value})]


def test_request_has_what_its_steps_created() -> None:
    """What a try that failed left, or a service that is off, is not there."""
    done = journal(
        ("receive", RECEIVED),
        ("classify", MODELLING),
        ("upload_files", "https://files.example/a.glb"),
        ("find_or_create_contact", "12"),
        ("create_ticket", TICKET),
        ("create_note", None),
    )
    found = created_so_far(MESSAGE, [*done, Entry("create_subtask", done[0].at, {"retry": "away"})])
    assert found == WorkResult(
        Outcome.WAITING,
        thread=MESSAGE,
        people=Participants("ana", "ana"),
        category=Category.MODELISATION,
        confidence=0.9,
        decided_by="rules",
        needs_review=True,
        files=("https://files.example/a.glb",),
        contact_id="12",
        ticket=Link(**TICKET),
    )


def test_request_that_was_no_answer_has_no_note_of_one() -> None:
    """The ticket that it answered was deleted, so it has begun anew."""
    done = journal(("receive", RECEIVED), ("create_note", "gone"), ("classify", MODELLING))
    assert created_so_far(MESSAGE, done).note_id == ""


def test_correction_keeps_what_its_message_had() -> None:
    """With the category that a person gave it, and the ticket of a new one where the old one was deleted."""
    support = WorkResult(
        Outcome.SUPPORT,
        thread=MESSAGE,
        category=Category.SUPPORT,
        contact_id="12",
        ticket=Link("6", "https://hubspot.example/6"),
    )
    done = [("find_original", support.as_json()), ("receive", RECEIVED), ("update_ticket", False)]
    correction = f"{MESSAGE}/modelisation/1"
    assert created_so_far(correction, journal(*done)).ticket is None
    found = created_so_far(correction, journal(*done, ("create_ticket", TICKET), ("create_subtask", SUBTASK)))
    assert (found.was, found.category, found.decided_by) == (Outcome.SUPPORT, Category.MODELISATION, "person")
    assert (found.ticket, found.subtask, found.contact_id) == (Link(**TICKET), Link(**SUBTASK), "12")
