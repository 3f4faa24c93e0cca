"""Keep the vectors of the labelled requests that come with the package, so that only new mails need be embedded.

The file has a row for each line of `requests.jsonl`: a signed byte for each dimension, the largest one at 127. Made by
the embedding that `model.json` names.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

from poller.learning.embedding import DIMENSIONS
from poller.learning.learned_model import SEED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.learning.embedding import Vector

FILE: Final = SEED / "vectors.i8"
_LARGEST: Final = 127


def load() -> list[Vector]:
    """Return the vectors in the order of the requests, each of length 1."""
    values = array("b", FILE.read_bytes())
    return [_of_length_1(values[start : start + DIMENSIONS]) for start in range(0, len(values), DIMENSIONS)]


def save(vectors: Iterable[Vector]) -> None:
    """Write the vectors, in the order of the requests."""
    with FILE.open("wb") as file:
        for vector in vectors:
            scale = _LARGEST / max(map(abs, vector))
            array("b", (round(value * scale) for value in vector)).tofile(file)


def _of_length_1(values: array[int]) -> Vector:
    length = math.sqrt(math.fsum(value * value for value in values))
    return tuple(value / length for value in values)
