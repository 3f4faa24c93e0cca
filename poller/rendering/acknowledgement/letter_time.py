"""Format days and hours in the language of a letter to a customer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from poller.rendering.french_time import JOURS, MOIS
from poller.rendering.phrases import NBSP
from poller.triage.language import Language

if TYPE_CHECKING:
    from datetime import date, datetime

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def next_hour(at: datetime) -> datetime:
    """Return the moment, or the full hour after it."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if hour == at else hour + timedelta(hours=1)


def hour_of_day(at: datetime, language: Language) -> str:
    """Format a full hour of a day: « mardi 24 novembre à 15 h », "Tuesday 24 November at 15:00"."""
    if language is Language.ENGLISH:
        return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} at {at.hour}:00"
    return f"{JOURS[at.weekday()]} {_ordinal(at)}{NBSP}{MOIS[at.month - 1]} à {at.hour}{NBSP}h"


def day(at: date, language: Language) -> str:
    """Format a day: « 1er janvier 2027 », "1 January 2027"."""
    if language is Language.ENGLISH:
        return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
    return f"{_ordinal(at)}{NBSP}{MOIS[at.month - 1]} {at.year}"


def hour(number: int, language: Language) -> str:
    """Format an hour: « 9 h », "9:00"."""
    return f"{number}:00" if language is Language.ENGLISH else f"{number}{NBSP}h"


def _ordinal(at: date) -> str:
    return "1er" if at.day == 1 else str(at.day)
