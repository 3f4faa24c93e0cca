"""How right the rules and the learnt model are together, without Claude, on mails that the model does not know."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poller.learning.advice import Advice, Adviser
from poller.learning.training import lower_bound, train
from poller.triage.classification import classify_request
from poller.triage.training_set import seed, training_set
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poller.learning.training import Example
    from poller.model import Request

BENCH = "learned"
ADDED = "seed-"  # begins the ids of the plain cases, which are always learnt from and never judged
CUTS = 5  # ways to cut the labelled mails in parts
RIGHT, DECIDE, DECIDED_RIGHT = 0.90, 0.60, 0.985  # the bars


class Known(Adviser):
    """An adviser whose advice is known, so that no mail is embedded twice."""

    def __init__(self, advice: Advice) -> None:
        """Keep the advice."""
        self._advice = advice

    def advise(self, request: Request) -> Advice:
        """Return the advice on any request."""
        del request
        return self._advice


@dataclass(frozen=True)
class Judged:
    """What the rules and the model made of mails."""

    mails: int = 0
    right: int = 0
    decided: int = 0  # by the rules, or by the model where it was sure
    decided_right: int = 0

    def __add__(self, other: Judged) -> Judged:
        """The two together."""
        return Judged(
            self.mails + other.mails,
            self.right + other.right,
            self.decided + other.decided,
            self.decided_right + other.decided_right,
        )

    def rows(self, how: str) -> list[Row]:
        """One for each bar."""
        right, decided = self.right / self.mails, self.decided / self.mails
        decided_right = self.decided_right / max(self.decided, 1)
        return [
            Row(BENCH, f"right without Claude, {how}", f"{right:.1%}", f"at least {RIGHT:.0%}", right >= RIGHT),
            Row(
                BENCH,
                f"decided by rules and model, {how}",
                f"{decided:.1%}",
                f"at least {DECIDE:.0%}",
                decided >= DECIDE,
            ),
            Row(
                BENCH,
                f"right among those, {how}",
                f"{decided_right:.1%}, {lower_bound(self.decided_right, self.decided):.1%} at least",
                f"at least {DECIDED_RIGHT:.1%}",
                decided_right >= DECIDED_RIGHT,
            ),
        ]


def judge(known: Sequence[Example], new: Sequence[tuple[Example, Request]]) -> Judged:
    """Learn from the known mails, and judge the new ones as the daemon does without Claude."""
    model, judged = train(known).model, Judged()
    for example, request in new:
        found = classify_request(request, None, Known(Advice(model.opinion(example.vector), decides=True)))
        right, decided = found.category is example.label, not found.needs_review
        judged += Judged(1, right, decided, right and decided)
    return judged


def run(tell: Callable[[str], object]) -> list[Row]:
    """By cross-validation in ten parts, by halves, and on plain cases that neither rules nor model know."""
    mails = seed()
    tell(f"learned: {len(mails)} mails are embedded")
    pairs = list(zip(training_set(mails), mails, strict=True))
    added = [(example, mail.request) for example, mail in pairs if mail.id.startswith(ADDED)]
    hard = [(example, mail.request) for example, mail in pairs if not mail.id.startswith(ADDED)]
    chance = random.Random(1)  # noqa: S311  no secret

    def cut(parts: int, judged: int) -> Judged:
        """The hard mails in so many parts, and some of these judged, each by what was learnt from all others."""
        chance.shuffle(hard)
        found = Judged()
        for part in range(judged):
            known = [example for at, (example, _) in enumerate(hard) if at % parts != part]
            found += judge([*known, *(example for example, _ in added)], hard[part::parts])
        return found

    parts, halves = Judged(), Judged()
    for _ in range(CUTS):
        parts += cut(10, 10)
        halves += cut(2, 2)
    plain = judge([example for example, _ in hard], added)
    told = [replace(row, expected="", good=True) for row in plain.rows("of plain mails unknown to both")]
    return [*parts.rows("of ten parts"), *halves.rows("of halves"), *told]
