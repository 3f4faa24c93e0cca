"""Define the week that a digest is about, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from poller.model import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from poller.model import Link, Opinion, Preview

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a message that a person must take up."""

    step: str  # recorded name
    kind: str = ""  # as in `StepFailedError`; "" if it is not recorded
    reason: str = ""  # in English, fit for a log


@dataclass(frozen=True, slots=True)
class WeeklyMessage:
    """One message of the week, without its content."""

    reference: str
    seen_at: datetime  # when it was first taken up; aware
    outcome: Outcome  # the final one
    is_answer: bool = False
    needs_review: bool = False
    failure: Failure | None = None  # of a failed one
    ticket_after_s: float | None = None  # from delivery to ticket; None where it opened none
    ticket: Link | None = None
    subtask: Link | None = None
    contact_url: str = ""  # of its customer at HubSpot; "" if none is known
    portraits: tuple[Preview, ...] = ()  # those of 3D files, with a picture
    decided_by: str = ""  # who classified it first, as in `Classification`
    opinion: Opinion | None = None  # as in `Classification`
    was: Outcome | None = None  # its category before a person moved it; None if nobody did

    @property
    def is_right(self) -> bool:
        """Return whether the learnt model's opinion is the category that the message has now."""
        return self.opinion is not None and self.opinion.category.outcome is self.outcome


@dataclass(frozen=True, slots=True)
class UnansweredTicket:
    """A ticket that nobody has answered or moved on."""

    ticket: Link
    waits_h: float  # office hours since its mail was first taken up


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The tickets that nobody has answered or moved on, as far as HubSpot was asked."""

    tickets: tuple[UnansweredTicket, ...] = ()  # the longest wait first
    unchecked: int = 0  # older ones that HubSpot was not asked about: there are too many


@dataclass(frozen=True, slots=True)
class Week:
    """The messages of seven whole days."""

    begins: datetime  # midnight, aware, in the time zone of the setting
    ends: datetime  # likewise, seven days later
    messages: tuple[WeeklyMessage, ...]
    corrections: int  # messages that a person has put under another category
    unanswered: Unanswered = Unanswered()  # now, whenever they were opened

    def count(self, *outcomes: Outcome) -> int:
        """Return how many messages have one of these outcomes."""
        return sum(each.outcome in outcomes for each in self.messages)

    @property
    def delays_s(self) -> list[float]:
        """Return the times from delivery to ticket, of those that opened one."""
        return [each.ticket_after_s for each in self.messages if each.ticket_after_s is not None]

    @property
    def surely_judged(self) -> list[WeeklyMessage]:
        """Return the dispatched messages that the learnt model was sure of."""
        return [each for each in self.messages if each.opinion and each.opinion.sure and each.outcome.is_dispatched]

    @property
    def sure_opinions(self) -> tuple[int, int]:
        """Return how many opinions of the learnt model were sure, and how many of them people left standing."""
        return len(self.surely_judged), sum(each.is_right for each in self.surely_judged)

    @property
    def moved_with_opinion(self) -> list[WeeklyMessage]:
        """Return the messages that a person moved and that the learnt model had an opinion on."""
        return [each for each in self.messages if each.opinion and each.was and each.outcome.is_dispatched]

    @property
    def to_check(self) -> int:
        """Return how many messages need a person: they failed, wait, or their classification is not certain."""
        return self.count(Outcome.FAILED, Outcome.WAITING, Outcome.WORKING) + self.unsure

    @property
    def unsure(self) -> int:
        """Return how many dispatched messages have a classification that is not certain."""
        return sum(each.needs_review and each.outcome.is_dispatched for each in self.messages)
