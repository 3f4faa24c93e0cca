"""Tests of working days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from poller.working_days import OfficeHours, add_working_days, due_day, is_working_day

PARIS = ZoneInfo("Europe/Paris")
OFFICE = OfficeHours(9, 18, PARIS, date(2026, 12, 24), date(2027, 1, 3))


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2026-11-30", 1, "2026-12-01"),  # a Monday
        ("2026-12-04", 1, "2026-12-07"),  # over the weekend
        ("2026-12-05", 1, "2026-12-07"),  # from a Saturday
        ("2026-12-06", 5, "2026-12-11"),  # from a Sunday
        ("2026-04-30", 1, "2026-05-04"),  # 1 May is a Friday
        ("2026-04-03", 1, "2026-04-07"),  # Good Friday is worked, Easter Monday is not
        ("2026-05-13", 2, "2026-05-18"),  # Ascension Day
        ("2026-05-22", 1, "2026-05-26"),  # Whit Monday
        ("2026-12-24", 2, "2026-12-29"),  # Christmas and a weekend
        ("2027-12-31", 1, "2028-01-03"),  # the turn of the year
        ("2026-12-04", 0, "2026-12-04"),
        ("2026-12-05", 0, "2026-12-07"),
        ("2026-12-25", 0, "2026-12-28"),
    ],
)
def test_add_working_days_skips_weekends_and_holidays(day: str, count: int, expected: str) -> None:
    assert add_working_days(date.fromisoformat(day), count) == date.fromisoformat(expected)


def test_year_has_eleven_holidays_on_weekdays_at_most() -> None:
    """Of the eleven French holidays of 2026, nine fall on a weekday: 252 days are worked."""
    days = (date.fromordinal(date(2026, 1, 1).toordinal() + number) for number in range(365))
    assert sum(map(is_working_day, days)) == 252


@pytest.mark.parametrize(
    ("arrived_at", "expected"),
    [
        ("2026-12-03T22:59:59", "2026-12-04"),  # still Thursday in Paris
        ("2026-12-03T23:00:00", "2026-12-07"),  # Friday in Paris
        ("2026-07-02T22:00:00", "2026-07-06"),  # likewise, in summer
        ("2026-12-23T23:30:00", "2026-12-28"),  # 24 December in Paris
    ],
)
def test_due_day_counts_from_the_day_in_the_zone(arrived_at: str, expected: str) -> None:
    arrived = datetime.fromisoformat(arrived_at).replace(tzinfo=UTC)
    assert due_day(arrived, 1, PARIS) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("at", "hours", "expected"),
    [
        ("2026-12-03T10:00", 8, "2026-12-03T18:00"),  # a Thursday
        ("2026-12-03T10:30", 8, "2026-12-04T09:30"),
        ("2026-12-04T17:00", 2, "2026-12-07T10:00"),  # over the weekend
        ("2026-12-05T12:00", 1, "2026-12-07T10:00"),  # from a Saturday
        ("2026-12-03T06:00", 1, "2026-12-03T10:00"),  # before the office opens
        ("2026-12-03T20:00", 0, "2026-12-04T09:00"),  # after it closes
        ("2026-12-23T17:30", 1, "2027-01-04T09:30"),  # over the closing period
        ("2026-10-23T17:00", 2, "2026-10-26T10:00"),  # the clocks are put back on the Sunday between
    ],
)
def test_office_hours_after_a_moment_skip_nights_and_closed_days(at: str, hours: float, expected: str) -> None:
    """What was counted one way is counted the other."""
    since, found = (datetime.fromisoformat(each).replace(tzinfo=PARIS) for each in (at, expected))
    assert OFFICE.after(since.astimezone(UTC), hours) == found
    assert OFFICE.between(since, found.astimezone(UTC)) == hours
    assert OFFICE.between(found, since) == 0


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-12-03T09:00", True),
        ("2026-12-03T08:59", False),
        ("2026-12-03T18:00", False),
        ("2026-12-05T12:00", False),
        ("2026-12-28T12:00", False),
    ],
)
def test_office_is_open_within_its_hours_on_working_days(at: str, is_open: bool) -> None:
    assert OFFICE.is_open(datetime.fromisoformat(at).replace(tzinfo=PARIS).astimezone(UTC)) is is_open
