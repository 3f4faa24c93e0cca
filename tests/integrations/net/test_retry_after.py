"""Tests of the Retry-After header field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from integrations.net.retry_after import parse_retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_reads_seconds_and_ignores_invalid(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_retry_after_date_gives_seconds_until_it(zone: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2)).replace("+0000", zone)
    assert parse_retry_after(later) == pytest.approx(7200, abs=5)
