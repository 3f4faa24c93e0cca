"""Track the machines that share one mailbox over PostgreSQL, and take over from those that fall silent.

A machine is a process. Its name is new at every start, so no two ever have the same. At every beat it tells its name to
the others (NOTIFY), and counts the beats in which it has not heard of a machine that has messages in progress. A
machine that has been silent for long enough is taken for dead, and the others go on with its messages. It may only have
been frozen or cut off. Then the state store takes nothing more from it (dbos fences it), and before it acts it checks
whether another machine may have taken over. See `ClusterMembership.lease_epoch`.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CHANNEL = "poller_machines"
SILENT_BEATS = 12  # beats that `takeover_s` is divided into
# A machine that misses a third of SILENT_BEATS gives up its lease. The rest is left for a call that has begun.
OWN_BEATS = 4
DEAF_BEATS = 2  # after which a machine that has not heard itself says so
# A dead connection must not block (https://www.postgresql.org/docs/current/libpq-connect.html).
CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def _boot_time_s() -> float:
    """Return the seconds since boot. Unlike the monotonic clock they go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClusterMembership:
    """Membership of this machine in the cluster."""

    def __init__(
        self,
        url: str,
        takeover_s: float,
        *,
        at_work: Callable[[], set[str]],
        take_over: Callable[[set[str]], None],
        clock: Callable[[], float] = _boot_time_s,
    ) -> None:
        """Choose a name. Nothing is connected yet.

        `at_work` returns the machines that have messages in progress. `take_over` gives the messages of dead machines
        to the living. `takeover_s` is the silence, in seconds, after which a machine is dead. It is longer by half than
        any call that cannot be made twice takes, and the same on all machines.
        """
        self.name = f"{socket.gethostname()}-{uuid4().hex[:8]}"
        self._url = url
        self._beat_s = takeover_s / SILENT_BEATS
        self._at_work, self._take_over, self._clock = at_work, take_over, clock
        self._heard: set[str] = set()  # since the last beat
        self._deaf_beats = 0  # in a row, in which this machine did not hear itself
        self._silent: dict[str, int] = {}  # beats
        self._touch = threading.Lock()
        self._touched = clock()
        self._lease_epoch = 0
        self._looking = threading.Lock()
        self._settled = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._live, name="machines", daemon=True)

    def start(self) -> None:
        """Tell the others that this machine lives, now and at every beat."""
        self._thread.start()

    def stop_taking_over(self) -> None:
        """Stop taking over from other machines, but still tell them that this one lives."""
        with self._looking:
            self._settled = True

    def stop(self) -> None:
        """Fall silent. This is allowed where `start` was never called."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def lease_epoch(self) -> int:
        """Return the lease epoch: the number of this unbroken time in touch with the others.

        Two calls that return the same number prove that no other machine could take over in between. After a freeze,
        and while the database is out of reach, each call returns another number.
        """
        with self._touch:
            if self._clock() - self._touched > OWN_BEATS * self._beat_s:
                self._lease_epoch += 1
            return self._lease_epoch

    def _touched_at(self, moment: float) -> None:
        with self._touch:
            if moment - self._touched > OWN_BEATS * self._beat_s:
                self._lease_epoch += 1
            self._touched = moment

    def _live(self) -> None:
        told = False
        while not self._stopped.is_set():
            try:
                with psycopg.connect(
                    self._url, autocommit=True, application_name=self.name, **CONNECTION
                ) as connection:
                    told = False
                    self._stay(connection)
            except (psycopg.Error, DBAPIError, NoConnectionError) as error:  # ours, or dbos' connection
                if not told:
                    # Logged once an outage. The text of the error may hold the names of server and user.
                    log.warning("machines_out_of_reach", error=type(error).__name__)
                told = True
                self._stopped.wait(self._beat_s)

    def _stay(self, connection: psycopg.Connection) -> None:
        """Send a beat at each interval for as long as the connection holds."""
        # What the others sent while this machine did not listen is lost, so their silence is counted anew.
        self._silent.clear()
        connection.add_notify_handler(lambda notify: self._heard.add(notify.payload))
        connection.execute(f"LISTEN {CHANNEL}")
        while True:
            # Not the moment of the answer: the others count from when they heard, which may be long before it.
            moment = self._clock()
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self.name))
            self._touched_at(moment)
            with self._looking:
                if not self._settled:
                    self._look()
            if self._stopped.wait(self._beat_s):
                return

    def _look(self) -> None:
        """Take over from the machines that have been silent for too long.

        Beats are counted, not seconds. So no machine's clock matters, and neither does a time in which this one was
        frozen. A machine that does not hear itself, as through a pooler that changes connections, would take every
        other one for dead. It takes over from none.
        """
        heard, self._heard = self._heard, set()
        self._deaf_beats = 0 if self.name in heard else self._deaf_beats + 1
        if self._deaf_beats == DEAF_BEATS:
            log.error("machine_deaf", why="PostgreSQL delivers no NOTIFY: STATE_URL must name it, or a session pooler")
        if self._deaf_beats:
            return
        others = self._at_work() - {self.name}
        self._silent = {name: 0 if name in heard else self._silent.get(name, -1) + 1 for name in others}
        dead = {name for name, beats in self._silent.items() if beats >= SILENT_BEATS}
        if dead:
            log.warning("machines_taken_over", machines=sorted(dead))
            self._take_over(dead)
