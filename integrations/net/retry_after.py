"""Read what any HTTP service answers: the time of a retry, and the JSON object in a body."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds until the time in a Retry-After header field, 0.0 when it has passed.

    None means absent or unreadable. Not capped: the caller decides how long a message waits. RFC 9110 section 10.2.3.
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
        # A date that ends in "-0000" is in UTC, and Python reads it as naive (RFC 5322 section 3.3).
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def json_object(body: str | bytes) -> dict[str, Any]:
    """Return the JSON object in a body, empty when there is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
