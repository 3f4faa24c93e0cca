"""What may not get worse: each a number or a ratio in one run, and all of them in RESULTS.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import backlog, heavy, instant
from tests.bench.machine import description
from tests.bench.table import Row, show

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

BENCH = "bars"
RESULTS = Path(__file__).parent / "RESULTS.md"
SMALL, LATENCY_S, SLOWER = 500, 0.2, 1.2


def _small(seed: int, tell: Callable[[str], object]) -> list[Row]:
    rows = backlog.run(SMALL, seed, tell, latency_s=LATENCY_S, slower=SLOWER, pictures=False)
    what = f"{SMALL} small mails without pictures, services answer in {LATENCY_S * 1000:.0f} ms: "
    return [replace(row, bench=BENCH, measure=what + row.measure) for row in rows if "seconds" in row.measure] + [
        replace(row, bench=BENCH) for row in rows if not row.good and "seconds" not in row.measure
    ]


BARS: dict[str, Callable[[int, Callable[[str], object]], list[Row]]] = {
    "one": lambda _, tell: instant.cheap(tell),
    "look": lambda _, tell: instant.full(tell),
    "fast": lambda _, tell: heavy.fast(tell),
    "lean": lambda _, tell: heavy.lean(tell),
    "small": _small,
}


def run(named: Collection[str] | None, seed: int, tell: Callable[[str], object]) -> list[Row]:
    """The bars that are named, or all; of all the results are written down."""
    rows = [row for name, bar in BARS.items() if not named or name in named for row in bar(seed, tell)]
    if not named:
        RESULTS.write_text(
            "# The bars, as last measured\n\n`./dev bench bars` wrote this.\n\n"
            f"{description()}\n\n```\n{show(rows)}\n```\n",
            encoding="utf-8",
        )
        tell(f"bars: written to {RESULTS.name}")
    return rows
