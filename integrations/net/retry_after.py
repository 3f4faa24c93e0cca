"""When a service said to come back."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str | None) -> float | None:
    """The seconds until a Retry-After header field's moment, 0.0 when it has passed; None when absent or unreadable.

    Not capped: how long a message may rest is the caller's decision. RFC 9110 section 10.2.3.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        # A date that ends in "-0000" is UTC by another name, and Python reads it as naive (RFC 5322 section 3.3).
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
