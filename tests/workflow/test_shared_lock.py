"""Steps run side by side, and a step that may have killed the process runs alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from poller.workflow.shared_lock import SharedLock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def entered(enter: AbstractContextManager[None]) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that enters, says so, and stays until it is let go."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with enter:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    return thread, inside, leave


def test_suspect_message_runs_alone() -> None:
    """It waits for those at work, keeps later ones out, and runs beside no other."""
    step_lock = SharedLock()
    neighbour, beside, leave_neighbour = entered(step_lock.shared())
    assert beside.wait(5)
    suspect, alone, leave_suspect = entered(step_lock.exclusive())
    assert not alone.wait(0.1)
    latecomer, late, leave_latecomer = entered(step_lock.shared())
    assert not late.wait(0.1)
    leave_neighbour.set()
    assert alone.wait(5)
    assert not late.wait(0.1)
    leave_suspect.set()
    assert late.wait(5)
    leave_latecomer.set()
    for thread in (neighbour, suspect, latecomer):
        thread.join(5)


def test_suspect_messages_run_one_at_a_time() -> None:
    """Otherwise the death of the process could be charged to the wrong one."""
    step_lock = SharedLock()
    first, alone, leave_first = entered(step_lock.exclusive())
    assert alone.wait(5)
    second, beside, leave_second = entered(step_lock.exclusive())
    assert not beside.wait(0.1)
    leave_first.set()
    assert beside.wait(5)
    leave_second.set()
    for thread in (first, second):
        thread.join(5)
