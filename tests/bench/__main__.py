"""Measurements: `python -m tests.bench [classification | learned | soak | backlog | bars | models | memory]`.

By default the first two are run.
Exit code 1 when anything is lost or doubled, does not come to its end, or takes more time or calls than it may.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from poller.triage import evaluation
from tests.bench import backlog, bars, classification, learned, memory, models, soak
from tests.bench.table import Row, show

if TYPE_CHECKING:
    from argparse import Namespace

LABELLED = Path(__file__).parents[1] / "triage" / "labelled_requests.jsonl"


def classify(_: Namespace) -> list[Row]:
    """How right the rules are, over the file named in CLASSIFICATION_SET, else over the tests' own."""
    path = Path(os.environ.get("CLASSIFICATION_SET") or LABELLED)
    score = classification.measure(list(evaluation.read(path.read_text(encoding="utf-8").splitlines())))
    number = score.decided + score.rest
    counted = {
        f"mails of {path.name}": f"{number}",
        "decided by the rules": f"{score.decided} ({score.decided / number:.0%})",
        "right among those": f"{score.right} ({score.right / max(score.decided, 1):.1%})",
        "right by the fallback on the rest": f"{score.rest_right} of {score.rest}",
        "rules alone, overall": f"{(score.right + score.rest_right) / number:.1%}",
    }
    return [Row("classification", measure, value) for measure, value in counted.items()]


def learn(_: Namespace) -> list[Row]:
    """How right rules and learnt model are together."""
    return learned.run(tell)


def torment(given: Namespace) -> list[Row]:
    """The soak."""
    return soak.run(soak.Plan(given.mails, given.kills, given.seed), tell)


def drain(given: Namespace) -> list[Row]:
    """The backlog."""
    return backlog.run(given.backlog, given.seed, tell)


def tell(line: str) -> None:
    """How far it is: the table alone goes to standard output."""
    print(line, file=sys.stderr)  # noqa: T201


def measure(given: Namespace) -> list[Row]:
    """The bars, or those named in --bar."""
    return bars.run(given.bar, given.seed, tell)


def portray(_: Namespace) -> list[Row]:
    """The look into the files of MODEL_CORPUS."""
    return models.run(tell)


def remember(given: Namespace) -> list[Row]:
    """What a long memory costs."""
    return memory.run(given.messages, tell)


BENCHES = {
    "classification": classify,
    "learned": learn,
    "soak": torment,
    "backlog": drain,
    "bars": measure,
    "models": portray,
    "memory": remember,
}
USUAL = ("classification", "soak")  # the backlog and the bars take as long as the services' limits do


def main() -> None:
    """Run the benches that were named, and print one table."""
    usual = soak.Plan()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bench", nargs="*", help=f"{', '.join(BENCHES)}; {' and '.join(USUAL)} when none is named")
    parser.add_argument("--seed", type=int, default=usual.seed, help="of mails, faults and kills")
    parser.add_argument("--mails", type=int, default=usual.mails, help="that the soak delivers")
    parser.add_argument("--kills", type=int, default=usual.kills, help="that the soak makes")
    parser.add_argument("--backlog", type=int, default=1000, help="mails that wait when the backlog begins")
    parser.add_argument("--messages", type=int, default=1_000_000, help="that the memory holds")
    parser.add_argument("--bar", action="append", choices=bars.BARS, help="of the bars; all when none is named")
    given = parser.parse_args()
    if unknown := set(given.bench) - BENCHES.keys():
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    rows = [row for name, bench in BENCHES.items() if name in (given.bench or USUAL) for row in bench(given)]
    print(show(rows))  # noqa: T201  printing is what it does
    sys.exit(0 if all(row.good for row in rows) else 1)


if __name__ == "__main__":
    main()
