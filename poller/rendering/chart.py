"""Scale a chart of stacked columns, and set it as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BANDS = 4  # between the lines of the axis, at most
_BLOCKS = 20  # of the longest bar, in text


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns of several parts, one beside the other, over an axis of round numbers."""

    title: str
    parts: Sequence[tuple[str, str]]  # name and colour (#rrggbb, to be seen on white and on black)
    columns: Sequence[tuple[str, Sequence[int]]]  # label, and how many of each part

    @property
    def most(self) -> int:
        """Total of the highest column. 0 if the chart shows nothing."""
        return max((sum(counts) for _, counts in self.columns), default=0)

    @property
    def axis(self) -> list[int]:
        """Return the numbers of the axis from 0 up: equal steps of 1, 2 or 5 times a power of ten, past the highest."""
        step = next(
            digit * 10**power for power in range(10) for digit in (1, 2, 5) if digit * 10**power * _BANDS >= self.most
        )
        return [step * number for number in range(max(1, -(-self.most // step)) + 1)]


def as_text(chart: Chart) -> str:
    """Render the chart as text: a bar of one line for each column, with the number of each part."""
    width = max((len(label) for label, _ in chart.columns), default=0)
    most = max(1, chart.most)
    lines = [
        f"{label:<{width}}  {'█' * round(sum(counts) / most * _BLOCKS)} {sum(counts)}"
        for label, counts in chart.columns
    ]
    return "\n".join([chart.title, *lines])
