"""A daemon at work in this process, and messages that wait in one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from poller.daemon.loop import STOP, Asked, Loop
from poller.workflow.results import WorkResult
from poller.workflow.status import MessageStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from poller.config.settings import Settings


@contextmanager
def running(settings: Settings) -> Iterator[Loop]:
    """A loop at work, which is stopped in the end."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    at_work = Loop(settings, asked)
    thread = threading.Thread(target=at_work.run, args=(lambda: settings,))
    thread.start()
    try:
        yield at_work
    finally:
        asked.put(STOP)
        thread.join()


def waiting_at(until: datetime, found: dict[str, str]) -> MessageStatus:
    """Make the status of a message that waits until then."""
    return MessageStatus(WorkResult.from_json({"outcome": "waiting", "until": until.isoformat()} | found))
