"""How right the rules and the learnt model are, without Claude, on mails that neither of their weights know."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from poller.learning import learned_model
from poller.learning.training import lower_bound, train, train_terms
from poller.triage import rules
from poller.triage.evaluation import read
from poller.triage.training_set import seed, training_set, without_vectors
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poller.learning.learned_model import LearnedModel
    from poller.learning.training import Example
    from poller.model import Request
    from poller.triage.evaluation import Labelled

    Pair = tuple[Example, Example, Request]  # for the model, and for the weighed terms

BENCH = "learned"
PLAIN, CASES = "seed-", "case-"  # begin the ids of two kinds of labelled mails
# Written and labelled before anything was run on them. Nothing is learnt from them, nor changed because of one of them.
FRESH = Path(__file__).parent / "fresh_requests.jsonl"
FRESHLY = "of fresh mails, by what comes with the package"
CUTS = 3  # ways to cut the labelled mails in parts


@dataclass(frozen=True)
class Bars:
    """The least shares."""

    decided: float
    decided_right: float
    right: float  # of all, where the likelier category counts for what is not decided


RULES, BOTH = Bars(0.36, 0.98, 0.88), Bars(0.60, 0.985, 0.90)


@dataclass(frozen=True)
class Judged:
    """What was made of mails."""

    mails: int = 0
    right: int = 0
    decided: int = 0
    decided_right: int = 0

    def __add__(self, other: Judged) -> Judged:
        """The two together."""
        return Judged(
            self.mails + other.mails,
            self.right + other.right,
            self.decided + other.decided,
            self.decided_right + other.decided_right,
        )

    def rows(self, who: str, bars: Bars, how: str) -> list[Row]:
        """One for each bar."""
        right, decided = self.right / self.mails, self.decided / self.mails
        decided_right = self.decided_right / max(self.decided, 1)
        least = lower_bound(self.decided_right, self.decided)
        measured = (
            ("decided", f"{decided:.1%}", decided, bars.decided),
            ("right among those", f"{decided_right:.1%}, {least:.1%} at least", decided_right, bars.decided_right),
            ("right without Claude", f"{right:.1%}", right, bars.right),
        )
        return [
            Row(BENCH, f"{what}, {who}, {how}", found, f"at least {bar:.1%}", share >= bar)
            for what, found, share, bar in measured
        ]


def judge(known: Sequence[Pair], new: Sequence[Pair]) -> tuple[Judged, Judged]:
    """Learn from the known mails, and judge the new ones as the daemon does: by the rules, and with the model."""
    weighed = train_terms([by_terms for _, by_terms, _ in known]).model
    verdicts = [rules.confident_verdict(request, weighed) for _, _, request in known]
    model = train(
        [replace(each, silent=verdict is None) for (each, _, _), verdict in zip(known, verdicts, strict=True)]
    ).model
    return _together(new, weighed, model)


def _together(new: Sequence[Pair], weighed: LearnedModel, model: LearnedModel) -> tuple[Judged, Judged]:
    """Judge the mails by the rules alone, and by rules and model."""
    alone, both = Judged(), Judged()
    for example, _, request in new:
        verdict, opinion = rules.confident_verdict(request, weighed), model.opinion(example.vector, example.terms)
        guess = verdict or rules.best_guess(request, weighed)
        alone += _judged(right=guess.category is example.label, decided=verdict is not None)
        found = verdict or opinion
        both += _judged(right=found.category is example.label, decided=verdict is not None or opinion.sure)
    return alone, both


def _judged(*, right: bool, decided: bool) -> Judged:
    return Judged(1, right, decided, right and decided)


def _pairs(mails: list[Labelled]) -> list[Pair]:
    examples = zip(training_set(mails), without_vectors(mails), mails, strict=True)
    return [(example, by_terms, mail.request) for example, by_terms, mail in examples]


def run(tell: Callable[[str], object]) -> list[Row]:
    """In ten parts and in halves, on two kinds of mails by what was learnt from all others, and on the fresh ones."""
    mails = seed()
    pairs = _pairs(mails)
    chance = random.Random(1)  # noqa: S311  no secret

    def cut(parts: int) -> list[tuple[Judged, Judged]]:
        """The mails in so many parts, each judged by what was learnt from all others."""
        drawn = chance.sample(pairs, len(pairs))
        tell(f"learned: {len(pairs)} mails in {parts} parts")
        return [
            judge([pair for at, pair in enumerate(drawn) if at % parts != part], drawn[part::parts])
            for part in range(parts)
        ]

    def without(begins: str) -> list[tuple[Judged, Judged]]:
        """The mails of a kind, judged by what was learnt from the others."""
        of_kind = [mail.id.startswith(begins) for mail in mails]
        known, new = (
            [pair for pair, it in zip(pairs, of_kind, strict=True) if it == judged] for judged in (False, True)
        )
        return [judge(known, new)]

    with FRESH.open(encoding="utf-8") as lines:
        fresh = _pairs(list(read(lines)))
    tell(f"learned: {len(fresh)} fresh mails")
    apart = {
        FRESHLY: [_together(fresh, learned_model.of_terms(), learned_model.load(learned_model.SEED_MODEL))],
        "of a kind of plain mails": without(PLAIN),
        "of a kind of hard mails": without(CASES),
        "of ten parts": [judged for _ in range(CUTS) for judged in cut(10)],
        "of halves": [judged for _ in range(CUTS) for judged in cut(2)],
    }
    rows = []
    for how, found in apart.items():
        alone, both = (sum(judged, start=Judged()) for judged in zip(*found, strict=True))
        told = [*alone.rows("rules", RULES, how), *both.rows("rules and model", BOTH, how)]
        rows += told if how in {FRESHLY, "of ten parts"} else [replace(row, expected="", good=True) for row in told]
    return rows
