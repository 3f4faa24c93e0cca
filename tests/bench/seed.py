"""Learn anew what comes with the package, after a change of its labelled requests: `python -m tests.bench.seed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.learning import embedding, learned_model, seed_vectors, training
from poller.triage.training_set import seed, training_set, without_vectors
from poller.triage.wording.reading import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poller.learning.embedding import Vector


def main() -> None:
    """Write the vectors and the model of terms, which the other one needs, then the other one."""
    mails = seed()
    seed_vectors.save(_embedded([text_of(mail.request) for mail in mails]))
    terms = training.train_terms(without_vectors(mails))
    learned_model.SEED_TERMS.write_text(learned_model.dumps(terms.model), encoding="utf-8")
    learned_model.of_terms.cache_clear()
    both = training.train(training_set(mails))
    learned_model.SEED_MODEL.write_text(learned_model.dumps(both.model), encoding="utf-8")
    for trained in (terms, both):
        print(training.as_json(trained))  # noqa: T201


def _embedded(texts: Sequence[str], at_once: int = 100) -> Iterator[Vector]:
    for start in range(0, len(texts), at_once):
        yield from embedding.embed(texts[start : start + at_once])


if __name__ == "__main__":
    main()
