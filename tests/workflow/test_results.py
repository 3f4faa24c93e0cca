"""The JSON form of recorded results: the next release reads it, so no key of it ever changes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from poller.model import Category, Link, ModelFacts, NoPicture, Outcome, Preview, StoredFile, UploadDecision
from poller.workflow.results import Participants, Received, WorkResult
from poller.workflow.steps import StepName

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PEOPLE = Participants("c0ffee", "decade", colleague=True)
PEOPLE_JSON = {"customer": "c0ffee", "writer": "decade", "colleague": True}

RECEIVED = Received(None, AT, "thread-1", ("thread-0",), PEOPLE)
RECEIVED_JSON: dict[str, Any] = {
    "ignored": None,
    "received_at": "2026-11-22T09:30:00+00:00",
    "key": "thread-1",
    "forebears": ["thread-0"],
    "people": PEOPLE_JSON,
}
DECIDED = {"upload_decisions": (UploadDecision.FILE, UploadDecision.TOO_BIG), "goes_on_at": AT, "episode": "0f"}
DECIDED_JSON = {"fates": ["file", "too_big"], "goes_on_at": "2026-11-22T09:30:00+00:00", "episode": "0f"}

NOBODY = {"customer": "", "writer": "", "colleague": False}
BEGUN = {"category": Category.MODELISATION, "confidence": 0.75, "decided_by": "claude", "needs_review": True}
BEGUN_JSON: dict[str, Any] = {
    "people": NOBODY,
    "category": "modelisation",
    "confidence": 0.75,
    "decided_by": "claude",
    "needs_review": True,
    "fates": [],
    "files": [],
    "contact_id": "",
    "ticket": None,
    "note_id": "",
    "subtask": None,
    "skipped": [],
}
DONE = WorkResult(
    Outcome.MODELISATION,
    thread="0123456789abcdef",
    people=PEOPLE,
    upload_decisions=(UploadDecision.FILE, UploadDecision.LOGO),
    files=("https://files.example/a",),
    contact_id="51",
    ticket=Link("7", "https://t.example/7"),
    note_id="9",
    subtask=Link("8", "https://s.example/8"),
    skipped=(StepName.SEND_NOTIFICATION,),
    **BEGUN,
)
DONE_JSON = BEGUN_JSON | {
    "outcome": "modelisation",
    "thread": "0123456789abcdef",
    "people": PEOPLE_JSON,
    "fates": ["file", "logo"],
    "files": ["https://files.example/a"],
    "contact_id": "51",
    "ticket": {"id": "7", "url": "https://t.example/7"},
    "note_id": "9",
    "subtask": {"id": "8", "url": "https://s.example/8"},
    "skipped": ["send_notification"],
}
FAILED = WorkResult(Outcome.FAILED, step=StepName.CREATE_NOTE, reason="HTTP 400")
FAILED_JSON = {"outcome": "failed", "step": "create_note", "reason": "HTTP 400"}
WAITING = {"step": StepName.SEND_RECEIPT, "reason": "IMAP APPEND: refused", "until": AT}
WAITING_JSON = {
    "outcome": "waiting",
    "step": "send_receipt",
    "reason": "IMAP APPEND: refused",
    "until": "2026-11-22T09:30:00+00:00",
    "gate": "",
}

# As the releases before the typed results wrote them, key by key.
RESULTS: dict[str, tuple[WorkResult, dict[str, Any]]] = {
    "dispatched": (DONE, DONE_JSON),
    "ignored": (WorkResult(Outcome.IGNORED, reason="canary"), {"outcome": "ignored", "reason": "canary"}),
    "gone": (WorkResult(Outcome.GONE), {"outcome": "gone"}),
    "gone on the way": (WorkResult(Outcome.GONE, **BEGUN), {"outcome": "gone"} | BEGUN_JSON),
    "failed": (FAILED, FAILED_JSON),
    "failed on the way": (replace(FAILED, **BEGUN), FAILED_JSON | BEGUN_JSON),
    "failed and not labelled": (replace(FAILED, unfiled=True), FAILED_JSON | {"unfiled": True}),
    "waiting": (WorkResult(Outcome.WAITING, **WAITING), WAITING_JSON),
    "waiting for a service": (
        WorkResult(Outcome.WAITING, **WAITING | {"breaker": "hubspot"}),
        WAITING_JSON | {"gate": "hubspot"},
    ),
    "waiting for its receipt": (
        replace(DONE, outcome=Outcome.WAITING, filed=Outcome.MODELISATION, **WAITING),
        DONE_JSON | WAITING_JSON | {"filed": "modelisation"},
    ),
    "with private files and a zip": (
        replace(DONE, all_files=StoredFile("fichiers.zip", "https://z.example", 9), attached=((0, "18"), (2, "19"))),
        DONE_JSON
        | {
            "all_files": {"filename": "fichiers.zip", "url": "https://z.example", "size_bytes": 9},
            "attached": [[0, "18"], [2, "19"]],
        },
    ),
    "corrected": (replace(DONE, was=Outcome.IGNORED), DONE_JSON | {"was": "ignored"}),
    "corrected without a record": (replace(DONE, was=Outcome.FORGOTTEN), DONE_JSON | {"was": ""}),
    "not recorded": (WorkResult(Outcome.FORGOTTEN), {"outcome": "forgotten"}),
    "at work": (WorkResult(Outcome.WORKING), {"outcome": "working"}),
}


PICTURED = replace(
    DONE,
    previews=(
        Preview(0, facts=ModelFacts(triangles=15_452), url="https://files.example/a.apercu.png"),
        Preview(2, facts=ModelFacts(), url="https://files.example/c.apercu.png"),
        Preview(3, url="https://files.example/d.jpg"),
    ),
)
PICTURED_JSON = DONE_JSON | {
    "previews": [
        {"number": 0, "url": "https://files.example/a.apercu.png", "triangles": 15_452},
        {"number": 2, "url": "https://files.example/c.apercu.png", "triangles": None},
        {"number": 3, "url": "https://files.example/d.jpg"},
    ]
}
RESULTS["with pictures"] = (PICTURED, PICTURED_JSON)


def types_of(value: object) -> set[type]:
    """Return the types in a JSON value, at every depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {type(value)}.union(*map(types_of, inner))


@pytest.mark.parametrize("kind", RESULTS)
def test_result_of_each_kind_has_the_recorded_keys_alone(kind: str) -> None:
    """An earlier release must read it, too, after a way back."""
    result, found = RESULTS[kind]
    assert result.as_json() == found
    assert json.loads(json.dumps(result.as_json())) == found
    assert types_of(result.as_json()) <= {dict, list, str, int, float, bool, type(None)}


@pytest.mark.parametrize("kind", RESULTS)
def test_result_read_from_its_record_is_the_same(kind: str) -> None:
    result, found = RESULTS[kind]
    read = WorkResult.from_json(found)
    assert read == result
    assert read.people.colleague is result.people.colleague  # which does not count for equality
    assert read.as_json() == found


@pytest.mark.parametrize(
    ("found", "result"),
    [
        ({"outcome": "support"}, WorkResult(Outcome.SUPPORT)),
        ({"outcome": "failed"}, WorkResult(Outcome.FAILED)),
        (
            {"outcome": "waiting", "step": "label", "reason": "IMAP"},
            WorkResult(Outcome.WAITING, step=StepName.LABEL, reason="IMAP"),
        ),
        (
            {"outcome": "support", "category": "support", "ticket": {"id": "7", "url": "https://t.example/7"}},
            WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, ticket=Link("7", "https://t.example/7")),
        ),
        ({"outcome": "gone", "was": "", "category": None}, WorkResult(Outcome.GONE, was=Outcome.FORGOTTEN)),
        (
            DONE_JSON | {"people": {"customer": "c0ffee", "writer": "decade"}},
            replace(DONE, people=Participants("c0ffee", "decade")),
        ),
    ],
)
def test_result_of_an_earlier_release_lacks_keys_and_is_read(found: dict[str, Any], result: WorkResult) -> None:
    assert WorkResult.from_json(found) == result


def test_result_records_no_name_or_word_of_a_file() -> None:
    """A program, a missing file and a path in an archive are words of the mail. No picture, no record."""
    facts = ModelFacts(triangles=15_452, size=(1, 2, 3), program="Blender", missing=("secret.png",))
    pictured = Preview(0, "chaises/ondine.obj", facts, "https://files.example/a.apercu.png")
    unpictured = Preview(1, facts=facts, no_picture=NoPicture.FORMAT)
    found = replace(DONE, previews=(pictured, unpictured)).as_json()
    assert found["previews"] == PICTURED_JSON["previews"][:1]
    assert WorkResult.from_json(found).previews == PICTURED.previews[:1]


@pytest.mark.parametrize("missing", sorted(DONE_JSON.keys() - {"outcome"}))
def test_result_without_any_one_key_is_read(missing: str) -> None:
    """A row of a release that did not know the key."""
    read = WorkResult.from_json({key: value for key, value in DONE_JSON.items() if key != missing})
    assert read.outcome is Outcome.MODELISATION
    assert read != DONE


def test_final_outcome_while_waiting_for_receipt_is_the_label() -> None:
    assert RESULTS["waiting for its receipt"][0].final_outcome is Outcome.MODELISATION
    assert RESULTS["waiting"][0].final_outcome is Outcome.WAITING


KINDS_RECEIVED: dict[str, tuple[Received, dict[str, Any]]] = {
    "work": (replace(RECEIVED, **DECIDED), RECEIVED_JSON | DECIDED_JSON),
    "work with files": (
        replace(RECEIVED, **DECIDED, support_files="r2", support_decisions=(UploadDecision.KEPT,) * 2),
        RECEIVED_JSON | DECIDED_JSON | {"support_files": "r2", "support_fates": ["kept", "kept"]},
    ),
    "ignored": (replace(RECEIVED, ignored="bulk"), RECEIVED_JSON | {"ignored": "bulk", "unless_answer": False}),
    "ignored unless an answer": (
        replace(RECEIVED, ignored="bulk", unless_answer=True, **DECIDED),
        RECEIVED_JSON | DECIDED_JSON | {"ignored": "bulk", "unless_answer": True},
    ),
}


@pytest.mark.parametrize("kind", KINDS_RECEIVED)
def test_received_of_each_kind_is_recorded_and_read(kind: str) -> None:
    received, found = KINDS_RECEIVED[kind]
    assert received.as_json() == found
    assert types_of(received.as_json()) <= {dict, list, str, bool, type(None)}
    read = Received.from_json(json.loads(json.dumps(found)))
    assert read == received
    assert read.people.colleague


def test_received_of_an_earlier_release_lacks_keys_and_is_read() -> None:
    """It knew neither the people nor the time of delivery, and decided nothing about attachments."""
    read = Received.from_json({"ignored": None, "key": "thread-1", "forebears": []})
    assert read == Received(None, None, "thread-1", (), Participants())


@pytest.mark.parametrize("outcome", Outcome)
def test_result_of_every_outcome_survives_the_record(outcome: Outcome) -> None:
    assert WorkResult.from_json(WorkResult(outcome).as_json()) == WorkResult(outcome)
