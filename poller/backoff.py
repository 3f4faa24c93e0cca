"""Give the delays between the tries of a step, and between the polls of a mailbox."""

from __future__ import annotations

from random import uniform

# Seconds before the second, third, ... try; the last one repeats.
DELAYS_S: tuple[float, ...] = (2, 10, 60, 300, 900)


# Seconds until the next poll after the first, second, ... failed poll; the last delay repeats. A server that is back is
# found within a minute. A server that refuses the login is asked seldom: some lock an account after frequent attempts.
POLL_DELAYS_S: tuple[float, ...] = (1, 5, 15, 60)
POLL_REFUSED_S = 300.0
POLL_ASKED_MOST_S = 900.0  # however long a throttling server asks to be left alone


def delay_of(failures: int, *, refused: bool = False, asked_s: float | None = None) -> float:
    """Return the delay before the next attempt on the mailbox, in seconds, after so many failed attempts.

    It is never shorter than the server asked, `asked_s`, up to POLL_ASKED_MOST_S.
    """
    delays_s = (*POLL_DELAYS_S, POLL_REFUSED_S) if refused else POLL_DELAYS_S
    most_s = delays_s[min(failures, len(delays_s) - 1)]
    # Jitter: when a server is back, its clients must not all reconnect at the same moment.
    delay_s = most_s * uniform(0.5, 1)  # noqa: S311  no secret
    return max(delay_s, min(asked_s or 0.0, POLL_ASKED_MOST_S))
