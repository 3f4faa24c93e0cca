"""What a bench found, a line a measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """One measure."""

    bench: str
    measure: str
    counted: str
    expected: str = ""  # "" where nothing is: the measure is told, and not judged
    good: bool = True


def show(rows: Sequence[Row]) -> str:
    """The rows in columns; what is not as expected is marked."""
    lines = [("bench", "measure", "counted", "expected", "")]
    lines += [(row.bench, row.measure, row.counted, row.expected, "" if row.good else "<-- WRONG") for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
