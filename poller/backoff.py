"""Who may go on, and who must wait: a service that is down, a step that has killed the process before."""

from __future__ import annotations

from random import uniform

# Seconds before the second, third, ... try; the last one repeats.
DELAYS_S: tuple[float, ...] = (2, 10, 60, 300, 900)


# Seconds until the next look after the first, second, ... one that failed; the last one repeats. A server that is back
# is found within a minute; one that goes on refusing us is asked seldom, for some lock an account that asks often.
POLL_DELAYS_S: tuple[float, ...] = (1, 5, 15, 60)
POLL_REFUSED_S = 300.0


def delay_of(failures: int, *, refused: bool = False) -> float:
    """How long to wait before the next try on the mailbox, in seconds, after so many that failed before this one."""
    delays_s = (*POLL_DELAYS_S, POLL_REFUSED_S) if refused else POLL_DELAYS_S
    most_s = delays_s[min(failures, len(delays_s) - 1)]
    # Many clients of a server that comes back must not all come at once.
    return most_s * uniform(0.5, 1)  # noqa: S311  no secret
