"""Which message may inspect its files, and which is woken when another one has."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from poller.dispatch.inspection_turns import AT_ONCE, InspectionTurns
from poller.workflow.errors import DependencyPendingError


def test_turn_that_ends_wakes_first_of_those_that_wait() -> None:
    """Each once, in the order they came. One that has had its turn meanwhile waits no more."""
    woken: list[str] = []
    turns = InspectionTurns(woken.append)
    with ExitStack() as stack:
        for number in range(AT_ONCE):
            stack.enter_context(turns.turn(f"taken {number}"))
        for reference in ("first", "second", "first"):
            with pytest.raises(DependencyPendingError), turns.turn(reference):
                raise AssertionError(reference)
        assert woken == []
    assert woken == ["first", "second"][:AT_ONCE]
    with turns.turn("second"):
        pass
    assert woken == ["first", "second"]


def test_turn_ends_with_an_error_as_well() -> None:
    turns = InspectionTurns()
    for _ in range(AT_ONCE + 1):
        with pytest.raises(OSError, match="full"), turns.turn("one"):
            raise OSError("full")
