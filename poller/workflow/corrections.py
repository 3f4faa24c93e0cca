"""A correction: a person has put a message under another category, and it is dispatched as that from then on.

Each is a durable workflow of its own, and its id is the record of it: the journal of the message stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from poller.model import Category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poller.workflow.status import Remembered

    _Standing = TypeVar("_Standing")

# Under which is remembered, with a message's reference, that it failed; with a correction's id, that it was filed so.
FAILED = "failed-"


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of one message."""

    reference: str  # of the message
    category: Category  # that it is from now on
    number: int  # from 1

    @property
    def id(self) -> str:
        """Of its workflow: `0123456789abcdef/modelisation/1`."""
        return f"{self.reference}/{self.category.lower()}/{self.number}"


def correction_of(workflow_id: str) -> Correction | None:
    """The correction that a workflow is, None for the work on a message itself."""
    reference, _, rest = workflow_id.partition("/")
    category, _, number = rest.partition("/")
    return Correction(reference, Category(category.upper()), int(number)) if rest else None


def number_of(workflow_id: str) -> int:
    """Which correction a workflow is, 0 for the work on a message itself."""
    correction = correction_of(workflow_id)
    return correction.number if correction else 0


def message_of(workflow_id: str) -> str:
    """The reference of the message that a workflow is about."""
    return workflow_id.partition("/")[0]


def ids(references: Iterable[str], number: int = 1) -> list[str]:
    """What the correction of this number may be called, for each of the messages."""
    return [Correction(reference, category, number).id for reference in references for category in Category]


def chain(reference: str, standings: Callable[[Iterable[str]], dict[str, _Standing]]) -> dict[str, _Standing]:
    """By id, in order, where everything stands that was done about a message: itself first, where it is known."""
    found = standings([reference])
    number = 1
    # By their exact ids: no index of the memory's tables is made for the beginnings of ids.
    while corrected := standings(ids([reference], number)):
        found |= corrected
        number += 1
    return found


def current(messages: Iterable[Remembered]) -> list[Remembered]:
    """Each message once, as its last correction left it; the first seen first."""
    last: dict[str, Remembered] = {}
    for message in messages:
        reference = message_of(message.reference)
        # By its number: the memory's clock may know seconds only.
        if number_of(message.reference) >= number_of(last.get(reference, message).reference):
            last[reference] = message
    return list(last.values())


def is_half_done(result: dict[str, Any]) -> bool:
    """Whether what returned this is a correction that did not come to its end, or waits for a receipt that says so."""
    return result.get("filed", result["outcome"]) in {"failed", "gone"} and "was" in result


def category_of(result: dict[str, Any]) -> str:
    """What a message is, by what the work on it returned: "support", "modelisation", or its outcome if neither."""
    category = result["was"] if is_half_done(result) else result.get("category")
    return str(category or result["outcome"])
