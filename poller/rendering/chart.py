"""A bar chart as every mail client shows it: made of table cells, without an image that a client might hold back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.escaping import html

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = 20  # of the longest bar, in text
_HIGHEST = 85  # width of the longest bar, in percent
_TABLE = 'cellpadding="0" cellspacing="0" border="0"'
_CELL = "padding:0 8px 0 0;font-size:14px;line-height:26px;white-space:nowrap"


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of several parts, one below the other."""

    title: str
    parts: Sequence[tuple[str, str]]  # name and colour (#rrggbb, to be seen on white and on black)
    bars: Sequence[tuple[str, Sequence[int]]]  # label, and how many of each part


def as_text(chart: Chart) -> str:
    """A line a bar."""
    most = max((sum(counts) for _, counts in chart.bars), default=0) or 1
    width = max((len(label) for label, _ in chart.bars), default=0)
    lines = [
        f"{label:<{width}}  {'█' * round(sum(counts) / most * _BLOCKS)} {sum(counts)}" for label, counts in chart.bars
    ]
    return "\n".join([chart.title, *lines])


def as_html(chart: Chart) -> str:
    """A table with a row a bar, under it what the colours mean."""
    most = max((sum(counts) for _, counts in chart.bars), default=0) or 1
    rows = "\n".join(_row(chart, label, counts, most) for label, counts in chart.bars)
    legend = " ".join(f'<span style="color:{colour}">■</span> {html(name)}' for name, colour in chart.parts)
    return (
        f'<p style="font-size:14px;opacity:.75;margin:0 0 4px">{html(chart.title)}</p>\n'
        f'<table width="100%" {_TABLE}>\n{rows}\n</table>\n<p style="font-size:14px;margin:4px 0 20px">{legend}</p>'
    )


def _row(chart: Chart, label: str, counts: Sequence[int], most: int) -> str:
    total = sum(counts)
    bar = ""
    if total:
        cells = "".join(
            f'<td width="{count / total:.0%}" height="16" bgcolor="{colour}" style="font-size:1px">&#160;</td>'
            for (_, colour), count in zip(chart.parts, counts, strict=True)
            if count
        )
        # The number stands behind the bar, in a cell of the same row.
        width = f'width="{_HIGHEST * total / most:.0f}%" align="left" style="margin:5px 0"'
        bar = f"<table {width} {_TABLE}><tr>{cells}</tr></table>"
    number = f'<span style="font-size:14px;line-height:26px">&#160;{total}</span>'
    return f'<tr><td width="1%" style="{_CELL}">{html(label)}</td><td>{bar}{number}</td></tr>'
