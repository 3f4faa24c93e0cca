"""The sign of life that a daemon leaves beside its lock, for whoever asks how it is: `poller status`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FILE = "last-poll.json"
LATE_POLLS, LATE_S = 5, 300.0  # so many intervals without a good poll, and so long at least, are too many


@dataclass(frozen=True, slots=True)
class Sign:
    """How the looks into the mailbox went, as the daemon of this machine last said."""

    began_at: datetime  # when the daemon was started; aware, UTC
    looked_at: datetime | None  # the last good poll; None: there was none since then
    failing_since: datetime | None = None  # None: the last poll was good
    reason: str = ""  # why polls fail
    unreadable: int = 0  # messages that the mail server lists and does not give

    def is_late(self, now: datetime, interval_s: float) -> bool:
        """Whether the mailbox has not been looked into for too long, if it is to be done at this interval."""
        return (now - (self.looked_at or self.began_at)).total_seconds() > max(LATE_S, LATE_POLLS * interval_s)


class Signs:
    """What one daemon says of itself."""

    def __init__(self, directory: Path) -> None:
        """Nothing is said yet; the daemon begins now."""
        self._path, self._began_at = directory / FILE, datetime.now(UTC)
        self._said: Sign | None = None

    def leave(
        self, looked_at: datetime | None, failing_since: datetime | None, reason: str, unreadable: int = 0
    ) -> None:
        """Say how it is, where that is new; a full disk is logged, and nobody's trouble otherwise."""
        sign = Sign(self._began_at, looked_at, failing_since, reason if failing_since else "", unreadable)
        if sign == self._said:
            return
        times = {"began_at": self._began_at, "looked_at": looked_at, "failing_since": failing_since}
        said = {"reason": sign.reason, "unreadable": unreadable}
        text = json.dumps({name: at and at.isoformat() for name, at in times.items()} | said)
        try:
            replace(self._path, text, 0o600)
        except OSError as error:
            log.warning("sign_not_left", reason=error.strerror)
        self._said = sign


def found(directory: Path) -> Sign | None:
    """The sign that was left last, None when there is none, or none that can be read."""
    path = directory / FILE
    if not path.exists():
        return None
    try:
        left = json.loads(path.read_text(encoding="utf-8"))
        began, looked, failing = (_time(left[name]) for name in ("began_at", "looked_at", "failing_since"))
        unreadable = int(left.get("unreadable", 0))
        return Sign(began or datetime.fromtimestamp(0, UTC), looked, failing, str(left["reason"]), unreadable)
    except (ValueError, TypeError, KeyError):
        return None  # The machine may have gone down before all of it was on the disk.


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file so that whoever reads it finds all of the old text or all of the new.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask is
        file.write(text)
    new.replace(path)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
