"""Ask the learnt model about a request that the rules are not sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from poller.learning import embedding, learned_model
from poller.logs import Trouble
from poller.triage.wording.reading import read_mail, text_of
from poller.triage.wording.terms import terms_of

if TYPE_CHECKING:
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.learning.embedding import Vector
    from poller.model import Opinion, Request

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Advice:
    """The opinion on a request. Nothing is known where the model or its embedding cannot be used."""

    opinion: Opinion | None = None
    decides: bool = False  # the opinion decides where it is sure, and takes the place of a guess
    vector: Vector | None = None  # of the request


NONE: Final = Advice()


class Adviser:
    """The learnt model in a directory, read anew for each request: `poller learn` may have replaced it."""

    def __init__(self, directory: Path, *, decides: bool) -> None:
        """Keep the arguments. Nothing is read yet."""
        self._directory, self._decides = directory, decides
        self._unusable = Trouble(log, "learned_model_unusable")
        self._failing = Trouble(log, "embedding_failed")

    def advise(self, request: Request) -> Advice:
        """Return the opinion on a request. Whatever fails is logged once, and leaves it without one."""
        try:
            vector = embedding.embed([text_of(request)])[0]
        except embedding.EmbeddingFailedError as error:
            self._failing.met(str(error))
            return NONE
        self._failing.over()
        try:
            model = learned_model.current(self._directory)
        except learned_model.UnusableModelError as error:
            self._unusable.met(str(error))
            return Advice(vector=vector)
        self._unusable.over()
        return Advice(model.opinion(vector, terms_of(read_mail(request))), self._decides, vector)


def adviser(settings: Settings) -> Adviser | None:
    """Return the adviser that the settings ask for, None where it is off or its extra is not installed."""
    mode = settings.learning.mode
    if mode == "off" or not embedding.is_installed():
        return None
    return Adviser(settings.directory, decides=mode == "decide")
