"""Read and write the status file beside the daemon's lock, which `poller status` shows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from poller import atomic_file
from poller.logs import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FILE = "last-poll.json"
LATE_POLLS, LATE_S = 5, 300.0  # polls are late after so many intervals, and at least so long, without a good one


@dataclass(frozen=True, slots=True)
class PollStatus:
    """The state of the mailbox polls, as the daemon of this machine last wrote it."""

    began_at: datetime  # when the daemon was started; aware, UTC
    looked_at: datetime | None  # the last good poll; None: there was none since then
    failing_since: datetime | None = None  # None: the last poll was good
    reason: str = ""  # why polls fail
    unreadable: int = 0  # messages that the mail server lists but does not return
    refused: Mapping[str, str] = field(default_factory=dict)  # services that refuse us, each with its reason
    by_once: bool = False  # whether it is of `poller once`, after which no process is left

    def is_late(self, now: datetime, interval_s: float) -> bool:
        """Return True if the last good poll is too long ago for polls at this interval."""
        return (now - (self.looked_at or self.began_at)).total_seconds() > max(LATE_S, LATE_POLLS * interval_s)


class StatusFile:
    """The status file of one daemon."""

    def __init__(self, directory: Path, *, by_once: bool = False) -> None:
        """Record the current time as the daemon's start. Nothing is written yet."""
        self._path, self._began_at, self._by_once = directory / FILE, datetime.now(UTC), by_once
        self._said: PollStatus | None = None
        self._unwritten = Trouble(log, "status_file_not_written")

    def leave(
        self,
        looked_at: datetime | None,
        failing_since: datetime | None,
        reason: str,
        unreadable: int = 0,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Write the status file if the status changed.

        An OS error such as a full disk is logged, once, and the next call tries again.
        """
        reason = reason if failing_since else ""
        poll_status = PollStatus(
            self._began_at, looked_at, failing_since, reason, unreadable, dict(refused or {}), self._by_once
        )
        if poll_status == self._said:
            return
        times = {"began_at": self._began_at, "looked_at": looked_at, "failing_since": failing_since}
        said: dict[str, Any] = {"reason": poll_status.reason, "unreadable": unreadable}
        said |= {"refused": poll_status.refused} if refused else {}
        said |= {"once": True} if self._by_once else {}
        text = json.dumps({name: at and at.isoformat() for name, at in times.items()} | said)
        try:
            atomic_file.replace(self._path, text, 0o600)
        except OSError as error:
            self._unwritten.met(str(error.strerror))
            return
        self._unwritten.over()
        self._said = poll_status


def read(directory: Path) -> PollStatus | None:
    """Return the status that was last written, or None if there is none or it cannot be read."""
    try:
        left = json.loads((directory / FILE).read_text(encoding="utf-8"))
        began, looked, failing = (_time(left[name]) for name in ("began_at", "looked_at", "failing_since"))
        unreadable = int(left.get("unreadable", 0))
        began = began or datetime.fromtimestamp(0, UTC)
        refused = {str(service): str(reason) for service, reason in left.get("refused", {}).items()}
        by_once = bool(left.get("once"))
        return PollStatus(began, looked, failing, str(left["reason"]), unreadable, refused, by_once)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # The machine may have crashed before the whole file was on the disk.


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
