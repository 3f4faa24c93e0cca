"""Measure what Claude makes of mails when it is shown the most similar of the others, as if people corrected those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poller.learning import embedding
from poller.learning.lessons import lesson_of, nearest
from poller.triage.evaluation import judge
from poller.triage.wording.reading import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integrations.claude import Claude
    from poller.learning.embedding import Vector
    from poller.learning.lessons import Lesson
    from poller.triage.evaluation import Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """A mail that Claude decided on, without the examples and with them."""

    before: Verdict
    after: Verdict


def changes(verdicts: Sequence[Verdict], claude: Claude) -> Iterator[Change]:
    """Ask Claude again about each mail that it decided on, with the most similar of all others as examples.

    Raises:
        EmbeddingFailedError: the mails cannot be compared.
        TransientError: Claude cannot be reached now.
        ConfigurationError: Claude refuses the credentials.
    """
    vectors = embedding.embed([text_of(each.mail.request) for each in verdicts])
    for at, verdict in enumerate(verdicts):
        if verdict.found.decided_by == "claude":
            others = _others(verdicts, vectors, at)
            yield Change(verdict, judge(verdict.mail, claude, lessons=_always(nearest(vectors[at], others))))


def _always(shown: Sequence[Lesson]) -> Callable[[Vector | None], Sequence[Lesson]]:
    return lambda _: shown


def _others(verdicts: Sequence[Verdict], vectors: Sequence[Vector], left_out: int) -> Iterator[tuple[Vector, Lesson]]:
    for at, verdict in enumerate(verdicts):
        if at != left_out:
            yield vectors[at], lesson_of(verdict.mail.request, verdict.mail.label)


def as_json(found: Sequence[Change]) -> dict[str, Any]:
    """Return what the examples changed, as plain data."""
    return {
        "asked": len(found),
        "right_before": sum(each.before.right for each in found),
        "right_after": sum(each.after.right for each in found),
        "mended": [each.before.mail.id for each in found if each.after.right > each.before.right],
        "spoilt": [each.before.mail.id for each in found if each.after.right < each.before.right],
    }


def as_lines(found: Sequence[Change]) -> Iterator[str]:
    """Format what the examples changed, for a person."""
    told = as_json(found)
    yield f"of {told['asked']} that Claude decided {told['right_before']} right, with examples {told['right_after']}"
    for what in ("mended", "spoilt"):
        yield from (f"{what}: {mail}" for mail in told[what])
