"""Tell a refusal by a service from a block before it, by a firewall or a proxy that dislikes what a call contains."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from integrations.errors import BlockedError, ServiceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A service explains these itself when they are about our key.
ABOUT_THE_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class UnexplainedRefusalError(TransientError):
    """A 401 or 403 without the service's own words, which says nothing about our key."""


def unexplained(line: str, *, outcome_unknown: bool = False) -> UnexplainedRefusalError:
    """Return the error for such an answer to the call that `line` names."""
    return UnexplainedRefusalError(f"{line}, not in the service's own words", outcome_unknown=outcome_unknown)


@contextmanager
def blocks_told_apart(probe: Callable[[], object]) -> Iterator[None]:
    """Find out what an unexplained refusal within the block is about, by one more call that contains nothing of a mail.

    `probe` makes that call with the same key, and raises the errors of the service.

    Raises:
        BlockedError: the probe is answered, so it is about what the call contains.
        UnexplainedRefusalError: the probe fails as well, so the service is out of reach.
        ConfigurationError: the service answers the probe that it refuses our key.
    """
    try:
        yield
    except UnexplainedRefusalError as refused:
        try:
            probe()
        except ServiceError:
            raise refused from None
        raise BlockedError(f"{refused}: a firewall on the way blocks what this call contains, others pass") from refused
