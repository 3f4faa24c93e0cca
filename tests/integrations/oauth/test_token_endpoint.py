"""Tests of a token endpoint that is busy or out of reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import TransientError
from tests.support.token_endpoint import TokenEndpoint
from tests.support.token_providers import google, microsoft

if TYPE_CHECKING:
    from collections.abc import Callable


BOTH: list[Callable[[str], Any]] = [google, microsoft]


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("status", "body", "header", "after_s"),
    [
        (503, {"error": "temporarily_unavailable"}, "X: y", None),
        (500, b"<html>", "X: y", None),
        (429, {"error": "rate"}, "Retry-After: 7", 7.0),
        (200, b"<html>log in to the network</html>", "X: y", None),
        (400, b"<html>", "X: y", None),
        (400, {"error": "internal_failure"}, "X: y", None),
        (400, {"error": "invalid_request", "error_description": "server_error"}, "X: y", None),
        (400, {"error": "temporarily_unavailable"}, "Retry-After: 7", 7.0),
    ],
)
def test_busy_provider_raises_transient_error(
    provider: Callable[[str], Any], status: int, body: Any, header: str, after_s: float | None
) -> None:
    """Of ours: no library asks again of itself."""
    with TokenEndpoint((status, body), header=header) as endpoint:
        with pytest.raises(TransientError, match=f"token: {status}") as caught:
            provider(endpoint.url).token()
        assert endpoint.connections == 1
    assert caught.value.retry_after_s == after_s
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("provider", BOTH)
def test_unreachable_provider_raises_transient_error(provider: Callable[[str], Any]) -> None:
    """Nothing listens there now."""
    with pytest.raises(TransientError, match="token: nothing listens there"):
        provider("http://127.0.0.1:9/token").token()
