"""The scale of a chart, and its form as text."""

from __future__ import annotations

import pytest

from poller.rendering.chart import Chart, as_text


def a_chart(*totals: int) -> Chart:
    return Chart("Par jour", (("A", "#3b82f6"),), [(f"jour {number}", (total,)) for number, total in enumerate(totals)])


@pytest.mark.parametrize(
    ("most", "axis"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (9, [0, 5, 10]),
        (20, [0, 5, 10, 15, 20]),
        (21, [0, 10, 20, 30]),
        (1_234, [0, 500, 1_000, 1_500]),
    ],
)
def test_axis_has_at_most_four_steps_of_a_round_number(most: int, axis: list[int]) -> None:
    """It ends at or above the highest column."""
    assert a_chart(most).axis == axis


def test_chart_as_text_has_bars_as_long_as_their_numbers() -> None:
    """A day without anything has no bar."""
    chart = Chart("Par jour", (("A", "#1"), ("B", "#2")), (("lun.", (3, 1)), ("mar.", (2, 0)), ("mer.", (0, 0))))
    lines = ["Par jour", "lun.  " + "█" * 20 + " 4", "mar.  " + "█" * 10 + " 2", "mer.   0"]
    assert as_text(chart).splitlines() == lines


def test_chart_without_any_number_is_drawn_without_a_bar() -> None:
    """Nothing is divided by the highest column, which is empty."""
    assert as_text(a_chart(0)) == "Par jour\njour 0   0"
    assert Chart("", (), ()).most == 0
