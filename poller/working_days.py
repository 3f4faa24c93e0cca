"""Count working days: Monday to Friday, without the public holidays of France."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

_SATURDAY = 5


def is_working_day(day: date) -> bool:
    """Return True from Monday to Friday, if the day is no holiday in all of France."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def add_working_days(day: date, count: int) -> date:
    """Return the `count`-th working day after `day`. With 0, return `day`, or the working day after it."""
    while count > 0 or not is_working_day(day):
        day += timedelta(days=1)
        if is_working_day(day):
            count -= 1
    return day


def due_day(arrived_at: datetime, working_days: int, zone: tzinfo) -> date:
    """Return the day that is so many working days after an arrival. `arrived_at` is aware; its day is `zone`'s."""
    return add_working_days(arrived_at.astimezone(zone).date(), working_days)


@lru_cache(8)
def _holidays(year: int) -> frozenset[date]:
    # Imported on first use: most installations set no due date, and the package takes memory.
    from holidays import country_holidays  # noqa: PLC0415

    return frozenset(country_holidays("FR", years=year))
