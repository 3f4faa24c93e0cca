"""Count working days, Monday to Friday without the public holidays of France, and the office hours in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """The hours of each working day in which people answer. Hours are counted on the clock of the zone."""

    opens_h: int  # 0 to 23
    closes_h: int  # after `opens_h`, at most 24
    zone: tzinfo
    closed_from: date | None = None  # first day of a closing period; None: there is none
    closed_until: date | None = None  # its last day

    def after(self, at: datetime, hours: float) -> datetime:
        """Return the moment at which so many office hours have passed. `at` is aware."""
        now, left = at.astimezone(self.zone), timedelta(hours=hours)
        day = now.date()
        while True:
            begins, ends = self._span(day, now)
            if begins < ends and left <= ends - begins:
                return begins + left
            left -= ends - begins
            day += timedelta(days=1)

    def between(self, since: datetime, until: datetime) -> float:
        """Return how many office hours there are from one moment to another, 0 if the second is not later."""
        since, until = since.astimezone(self.zone), until.astimezone(self.zone)
        passed = timedelta()
        for number in range((until.date() - since.date()).days + 1):
            begins, ends = self._span(since.date() + timedelta(days=number), since)
            passed += max(min(ends, until) - begins, timedelta())
        return passed / timedelta(hours=1)

    def is_open(self, at: datetime) -> bool:
        """Return whether a moment is within the office hours."""
        now = at.astimezone(self.zone)
        begins, ends = self._span(now.date(), now)
        return begins <= now < ends

    def _span(self, day: date, not_before: datetime) -> tuple[datetime, datetime]:
        """Return the beginning and the end of a day's office hours, of equal value if there are none."""
        midnight = datetime.combine(day, time(), self.zone)
        ends = midnight + timedelta(hours=self.closes_h)
        is_closed = self.closed_from and self.closed_until and self.closed_from <= day <= self.closed_until
        if is_closed or not is_working_day(day):
            return ends, ends
        return min(max(midnight + timedelta(hours=self.opens_h), not_before), ends), ends


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
