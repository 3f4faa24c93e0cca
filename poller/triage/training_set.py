"""Make of labelled mails what the learnt model learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.learning import embedding, learned_model, seed_vectors
from poller.learning.training import Example
from poller.triage import evaluation, rules
from poller.triage.wording.reading import read_mail, text_of
from poller.triage.wording.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poller.learning.embedding import Vector
    from poller.triage.evaluation import Labelled

_AT_ONCE = 100  # mails that one process embeds


def seed() -> list[Labelled]:
    """Return the labelled mails that come with the package."""
    with learned_model.LABELLED.open(encoding="utf-8") as lines:
        return list(evaluation.read(lines))


def training_set(mails: Iterable[Labelled], tell: Callable[[int], object] = lambda _: None) -> list[Example]:
    """Make examples of labelled mails, of which those that came with the package are embedded already.

    Of those with the same text the last one counts. `tell` gets the number that are embedded.

    Raises:
        EmbeddingFailedError: the process that embeds them gave no vectors.
    """
    by_text = {text_of(mail.request): mail for mail in mails}
    vectors = dict(zip(map(_text_of, seed()), seed_vectors.load(), strict=True))
    texts = [text for text in by_text if text not in vectors]
    for start in range(0, len(texts), _AT_ONCE):
        tell(start)
        some = texts[start : start + _AT_ONCE]
        vectors |= zip(some, embedding.embed(some), strict=True)
    return [_example(mail, vectors[text]) for text, mail in by_text.items()]


def _text_of(mail: Labelled) -> str:
    return text_of(mail.request)


def _example(mail: Labelled, vector: Vector) -> Example:
    silent = rules.confident_verdict(mail.request) is None
    return Example(_text_of(mail), vector, mail.label, silent, terms_of(read_mail(mail.request)))


def without_vectors(mails: Iterable[Labelled]) -> list[Example]:
    """Make examples to learn from by terms alone. Those are silent on which no written rule speaks."""
    found = []
    for mail in mails:
        read = read_mail(mail.request)
        silent = rules.written_verdict(read) is None
        found.append(Example(_text_of(mail), (), mail.label, silent, terms_of(read)))
    return found
