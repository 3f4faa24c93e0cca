"""Corrections by their ids, and the outcome that a corrected message has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poller.model import Category, Outcome
from poller.workflow import corrections
from poller.workflow.corrections import Correction, correction_of, message_of, number_of
from poller.workflow.results import WorkResult
from poller.workflow.status import MessageRecord, MessageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

REFERENCE = "0123456789abcdef"
AT = datetime(2026, 11, 22, tzinfo=UTC)


def record(workflow_id: str, outcome: Outcome = Outcome.SUPPORT) -> MessageRecord:
    return MessageRecord(workflow_id, AT, AT, MessageStatus(WorkResult(outcome)))


def test_correction_id_is_read_back() -> None:
    """The ids are recorded, so their form never changes."""
    correction = Correction(REFERENCE, Category.MODELISATION, 12)
    assert correction.id == "0123456789abcdef/modelisation/12"
    assert correction_of(correction.id) == correction
    assert (message_of(correction.id), number_of(correction.id)) == (REFERENCE, 12)


def test_message_id_is_no_correction() -> None:
    assert correction_of(REFERENCE) is None
    assert (message_of(REFERENCE), number_of(REFERENCE)) == (REFERENCE, 0)


def test_correction_ids_of_a_number_are_one_for_each_category() -> None:
    assert corrections.ids(["0f", "1f"], 2) == [
        "0f/support/2",
        "0f/modelisation/2",
        "1f/support/2",
        "1f/modelisation/2",
    ]


@pytest.mark.parametrize(
    ("known", "chain"),
    [
        ([], []),
        (["0f"], ["0f"]),
        (["0f/support/2", "0f/modelisation/1", "0f", "1f"], ["0f", "0f/modelisation/1", "0f/support/2"]),
        (["0f/modelisation/1"], ["0f/modelisation/1"]),
    ],
)
def test_chain_of_a_message_is_in_order(known: list[str], chain: list[str]) -> None:
    """The message first, where it is known; of another message nothing."""

    def statuses(asked: Iterable[str]) -> dict[str, str]:
        return {each: "known" for each in asked if each in known}

    assert list(corrections.chain("0f", statuses)) == chain


def test_current_record_of_a_message_is_its_last_correction() -> None:
    """By number, whatever the order; at the place where the message was first seen."""
    last, other = record("0f/support/2", Outcome.FAILED), record("1f")
    assert corrections.current([last, record("0f"), other, record("0f/modelisation/1")]) == [last, other]


@pytest.mark.parametrize(
    ("result", "half_done", "category"),
    [
        (WorkResult(Outcome.SUPPORT, category=Category.SUPPORT), False, Outcome.SUPPORT),
        (WorkResult(Outcome.FAILED, category=Category.MODELISATION), False, Outcome.MODELISATION),
        (WorkResult(Outcome.IGNORED), False, Outcome.IGNORED),
        (WorkResult(Outcome.FORGOTTEN), False, Outcome.FORGOTTEN),
        (
            WorkResult(Outcome.MODELISATION, category=Category.MODELISATION, was=Outcome.SUPPORT),
            False,
            Outcome.MODELISATION,
        ),
        (WorkResult(Outcome.FAILED, category=Category.SUPPORT, was=Outcome.MODELISATION), True, Outcome.MODELISATION),
        (WorkResult(Outcome.GONE, category=Category.SUPPORT, was=Outcome.IGNORED), True, Outcome.IGNORED),
        (WorkResult(Outcome.FAILED, category=Category.SUPPORT, was=Outcome.FORGOTTEN), True, Outcome.FAILED),
        (
            WorkResult(Outcome.WAITING, filed=Outcome.FAILED, category=Category.SUPPORT, was=Outcome.MODELISATION),
            True,
            Outcome.MODELISATION,
        ),
    ],
)
def test_category_after_a_half_done_correction_is_the_earlier_one(
    result: WorkResult, half_done: bool, category: Outcome
) -> None:
    """A correction that failed changed nothing for the team yet."""
    assert corrections.is_half_done(result) is half_done
    assert corrections.category_of(result) is category
