"""Tests of errors as problem details (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poller.forms.problems import Problem, Wrong, later

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


def test_problem_lists_wrong_fields_with_code_and_words() -> None:
    """A program reads the code, a person the words."""
    problem = Problem(422, "some fields cannot be taken", wrong=(Wrong("email", "missing"), Wrong("x", "unknown")))
    assert problem.as_json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "some fields cannot be taken",
        "errors": [
            {"field": "email", "code": "missing", "detail": "is missing"},
            {"field": "x", "code": "unknown", "detail": "is no field of this form"},
        ],
    }


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.6, "2"), (60.0, "60")])
def test_later_rounds_retry_after_to_whole_seconds(seconds: float, header: str) -> None:
    """At least one: 0 would invite another try at once."""
    problem = later("the mailbox is out of reach", seconds)
    assert (problem.status, problem.headers) == (503, {"Retry-After": header})
