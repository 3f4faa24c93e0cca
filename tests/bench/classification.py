"""How right the rules are on labelled mails, without asking anybody: `python tests/bench/classification.py FILE.jsonl`.

One mail a line: id, from, subject, body, attachments (filename, content_type, size), label. Nothing else is read. The
terms of mails that come with the package are weighed by what is learnt from all others.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from poller.learning.training import train_terms
from poller.triage import rules
from poller.triage.evaluation import Labelled, read
from poller.triage.training_set import seed, without_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Score:
    """What the rules made of a set of mails."""

    decided: int  # where they were certain
    right: int  # of those
    rest: int
    rest_right: int  # by their likelier category
    wrong: tuple[str, ...]  # ids of the wrong ones among the decided

    def __str__(self) -> str:
        """Five lines for a terminal."""
        share = self.decided / (self.decided + self.rest)
        return "\n".join(
            (
                f"mails                  {self.decided + self.rest}",
                f"decided by rules       {self.decided} ({share:.0%})",
                f"right among those      {self.right} ({self.right / max(self.decided, 1):.1%})",
                f"fallback on the rest   {self.rest_right} of {self.rest} ({self.rest_right / max(self.rest, 1):.0%})",
                f"rules alone, overall   {(self.right + self.rest_right) / (self.decided + self.rest):.0%}",
            )
        )


def measure(mails: Sequence[Labelled]) -> Score:
    """How often the rules decide, and how often they are right, with weights that were learnt without these mails."""
    judged = {mail.id for mail in mails}
    weighed = train_terms(without_vectors(mail for mail in seed() if mail.id not in judged)).model
    seen: Counter[tuple[bool, bool]] = Counter()
    wrong = []
    for mail in mails:
        opinion = rules.confident_verdict(mail.request, weighed)
        right = (opinion or rules.best_guess(mail.request, weighed)).category is mail.label
        seen[opinion is not None, right] += 1
        if opinion and not right:
            wrong.append(mail.id)
    decided, rest = (seen[certain, True] + seen[certain, False] for certain in (True, False))
    return Score(decided, seen[True, True], rest, seen[False, True], tuple(wrong))


def main() -> None:
    """Print the score of each file, and which mails the rules got wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, nargs="+")
    for path in parser.parse_args().file:
        score = measure(list(read(path.read_text(encoding="utf-8").splitlines())))
        print(f"{path.name}\n{score}")  # noqa: T201 — printing is what it does
        for mail_id in score.wrong:
            print(f"wrong                  {mail_id}")  # noqa: T201
        print()  # noqa: T201


if __name__ == "__main__":
    main()
