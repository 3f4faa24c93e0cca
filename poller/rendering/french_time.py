"""Format days, moments and durations in French."""

from __future__ import annotations

from datetime import datetime, timedelta

from poller.rendering.phrases import NBSP

JOURS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MOIS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)


def moment(at: datetime) -> str:
    """Format a moment in French: « jeudi 19 novembre à 10 h 05 »."""
    return f"{JOURS[at.weekday()]} {_day(at)} à {at.hour}{NBSP}h{NBSP}{at.minute:02}"


def period(begins: datetime, ends: datetime) -> str:
    """Format the days from one midnight to another in French: « Du 30 novembre au 6 décembre 2026 »."""
    last = ends - timedelta(days=1)
    first = _ordinal(begins) if begins.month == last.month else _day(begins)
    year = f" {begins.year}" if begins.year != last.year else ""
    return f"Du {first}{year} au {_day(last)} {last.year}"


def _day(day: datetime) -> str:
    return f"{_ordinal(day)} {MOIS[day.month - 1]}"


def _ordinal(day: datetime) -> str:
    return "1er" if day.day == 1 else str(day.day)


def duration(seconds: float) -> str:
    """Format a duration in French: « 40 s », « 12 min », « 3 h 05 », « 2 j 4 h »."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004  a minute and a half is better said in seconds
        return f"{seconds:.0f}{NBSP}s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}{NBSP}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60:02}"
    return f"{minutes // 1440}{NBSP}j{NBSP}{minutes % 1440 // 60}{NBSP}h"
