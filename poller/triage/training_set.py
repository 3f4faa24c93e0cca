"""Make of labelled mails what the learnt model learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.learning import embedding, learned_model
from poller.learning.training import Example
from poller.triage import evaluation, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poller.triage.evaluation import Labelled

_AT_ONCE = 100  # mails that one process embeds


def seed() -> list[Labelled]:
    """Return the labelled mails that come with the package."""
    with learned_model.LABELLED.open(encoding="utf-8") as lines:
        return list(evaluation.read(lines))


def training_set(mails: Iterable[Labelled], tell: Callable[[int], object] = lambda _: None) -> list[Example]:
    """Embed labelled mails. Of those with the same text the last one counts. `tell` gets the number that are done.

    Raises:
        EmbeddingFailedError: the process that embeds them gave no vectors.
    """
    by_text = {embedding.text_of(mail.request): mail for mail in mails}
    texts, examples = list(by_text), []
    for start in range(0, len(texts), _AT_ONCE):
        tell(start)
        some = texts[start : start + _AT_ONCE]
        for text, vector in zip(some, embedding.embed(some), strict=True):
            mail = by_text[text]
            silent = rules.confident_verdict(mail.request) is None
            examples.append(Example(text, vector, mail.label, silent))
    return examples
