"""Corrections: a person has put a message under another category, and it is dispatched as that.

Each correction is a durable workflow of its own. Its id is the record of it, and the journal of the message stays as it
is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from poller.model import Category, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from poller.workflow.results import WorkResult
    from poller.workflow.status import MessageRecord

    _Status = TypeVar("_Status")

# Prefix of facts. With a message's reference: it failed. With a correction's id: it was filed as failed.
FAILED = "failed-"


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of one message."""

    reference: str  # of the message
    category: Category  # that it is from now on
    number: int  # from 1

    @property
    def id(self) -> str:
        """Return the id of its workflow: `0123456789abcdef/modelisation/1`."""
        return f"{self.reference}/{self.category.lower()}/{self.number}"


def correction_of(workflow_id: str) -> Correction | None:
    """Return the correction that a workflow is, None for the work on a message itself."""
    reference, _, rest = workflow_id.partition("/")
    category, _, number = rest.partition("/")
    return Correction(reference, Category(category.upper()), int(number)) if rest else None


def number_of(workflow_id: str) -> int:
    """Return the number of the correction that a workflow is, 0 for the work on a message itself."""
    number = workflow_id.rpartition("/")[2]
    return int(number) if number != workflow_id else 0


def message_of(workflow_id: str) -> str:
    """Return the reference of the message that a workflow is about."""
    return workflow_id.partition("/")[0]


def ids(references: Iterable[str], number: int = 1) -> list[str]:
    """Return the possible ids of the correction of this number: one for each message and category."""
    return [Correction(reference, category, number).id for reference in references for category in Category]


def chain(reference: str, statuses: Callable[[Iterable[str]], dict[str, _Status]]) -> dict[str, _Status]:
    """Return the status of all work on a message, by id and in order.

    The message itself comes first, where it is known, then its corrections.
    """
    found = statuses([reference])
    number = 1
    # By exact ids: no index of the state store's tables serves a search by prefix.
    while corrected := statuses(ids([reference], number)):
        found |= corrected
        number += 1
    return found


def current(messages: Iterable[MessageRecord]) -> list[MessageRecord]:
    """Return each message once, as its last correction left it, the first seen first."""
    last: dict[str, MessageRecord] = {}
    for message in messages:
        reference = message_of(message.reference)
        # By number: times in the state store may have whole seconds only.
        if number_of(message.reference) >= number_of(last.get(reference, message).reference):
            last[reference] = message
    return list(last.values())


def last_of_each(ids: Iterable[str]) -> dict[str, str]:
    """Return the id of the last correction of each message, by reference. `ids` has the first begun first."""
    last: dict[str, str] = {}
    for each in ids:
        reference = message_of(each)
        if number_of(each) >= number_of(last.get(reference, each)):
            last[reference] = each
    return last


def replaced(ids: Collection[str]) -> set[str]:
    """Return the ids of the messages and corrections that one of these corrections has replaced."""
    last = last_of_each(ids)
    return last.keys() | set(ids) - set(last.values())


def is_half_done(result: WorkResult) -> bool:
    """Return whether the result is of a correction that did not come to its end.

    One that waits for a receipt that says so counts as well.
    """
    return result.final_outcome in {Outcome.FAILED, Outcome.GONE} and result.was is not None


def category_of(result: WorkResult) -> Outcome:
    """Return the category of a message as an outcome, by the result of the work on it.

    It is the outcome if the message has no category.
    """
    if is_half_done(result):
        return result.outcome if result.was in {None, Outcome.FORGOTTEN} else result.was
    return result.category.outcome if result.category else result.outcome
