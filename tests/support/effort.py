"""The effort that a reading takes, counted instead of timed: a busy machine changes nothing about it."""

from __future__ import annotations

import os
import resource
import sys
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Text = TypeVar("Text", str, bytes)

# Some texts cost a little more when they are longer, and each has its fixed costs.
GROWTH, FIXED = 2.2, 200
PROCESSOR_S = 20  # a hundred times what a reading takes in one pass, and a hundredth of what it takes squared


@contextmanager
def counted(at_most: int = sys.maxsize) -> Iterator[list[int]]:
    """Count the calls of functions, theirs and Python's, and fail at the one that is too many.

    The list has the number in it when the block is left. It is the same number on every machine.
    """
    events, bound, count = 0, 2 * at_most, [0]  # each call has its return

    def see(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal events
        events += 1
        if events > bound:
            pytest.fail(f"more than {at_most} calls")  # no exception that a parser would catch

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield count
    finally:
        sys.setprofile(before)
        count[0] = events // 2


def ends(work: Callable[[], object]) -> None:
    """Fail unless it comes to its end in a process of its own, which is killed when it takes far too long.

    One regular expression is one call, whatever it does, and nothing but a kill interrupts each of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: the child works alone
        child = os.fork()
    if not child:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
            work()
            code = 0
        except BaseException:  # noqa: BLE001  it ends here, whatever it is
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def one_pass(read: Callable[[Text], object], piece: Text, length: int = 1_000_000, few: int = 10_000) -> None:
    """Fail unless a text of this piece, again and again, is read in one pass.

    Twice as much takes twice as many calls, and a text of this length comes to its end.
    """
    with counted() as count:
        read(piece * (few // len(piece)))
    with counted(int(GROWTH * count[0]) + FIXED):
        read(piece * (2 * few // len(piece)))
    ends(lambda: read(piece * (length // len(piece))))
