"""Days, moments and durations, as people write them in French."""

from __future__ import annotations

from datetime import datetime

import pytest

from poller.rendering import french_time


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3569, "59 min"),
        (3600, "1 h 00"),
        (172_799, "2 j 0 h"),
        (187_200, "2 j 4 h"),
    ],
)
def test_duration_is_formatted_for_people(seconds: float, said: str) -> None:
    assert french_time.duration(seconds).replace("\xa0", " ") == said


def test_moment_names_day_and_time() -> None:
    said = french_time.moment(datetime.fromisoformat("2026-11-01T09:05:00+01:00"))
    assert said.replace("\xa0", " ") == "dimanche 1er novembre à 9 h 05"
