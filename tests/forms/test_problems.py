"""Tests of errors as problem details (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.form_site import Site


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/forms/contact", 405)])
def test_framework_errors_are_problem_details(standing_site: Site, method: str, path: str, status: int) -> None:
    """A program that knows one problem knows them all."""
    answer = standing_site.client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    if status == 405:
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
