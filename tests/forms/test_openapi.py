"""Tests of /openapi.json against the behaviour of the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
import schemathesis
from hypothesis import given, strategies
from schemathesis.specs.openapi.checks import negative_data_rejection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.form_site import Site


@pytest.mark.parametrize(
    ("method", "mode", "common"),
    [
        ("POST", schemathesis.GenerationMode.POSITIVE, 202),
        ("POST", schemathesis.GenerationMode.NEGATIVE, 422),
        ("GET", schemathesis.GenerationMode.POSITIVE, 200),
    ],
    ids=["taken", "not taken", "page"],
)
def test_openapi_document_matches_behaviour(
    site: Callable[..., Site], method: str, mode: schemathesis.GenerationMode, common: int
) -> None:
    """Schemathesis finds no answer that /openapi.json does not promise, nor a post that is taken against its word."""
    # Its patterns repeat as often as a text is long, and each of tens of thousands takes it a second to read.
    here = site(FORMS_MAX_PER_ADDRESS_PER_H="0", FORMS_MAX_TEXT_CHARS="500")
    document = here.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    # What is delivered is another test's matter; and one form is enough for a few seconds.
    form = document["paths"].pop("/forms/{form}")
    for operation in form.values():
        operation["parameters"] = [each for each in operation.get("parameters", ()) if each["in"] != "path"]
    document["paths"] = {"/forms/contact": form}
    for body in form["post"]["requestBody"]["content"].values():
        assert "topic_again" not in body["schema"]["properties"]  # a program must find that out by itself
    schema = schemathesis.openapi.from_dict(document)
    seen: set[int] = set()
    schema.config.base_url = str(here.client.base_url)

    # A text is all that multipart/form-data knows: "true" is one, and only schemathesis knows that it was none.
    blind = [negative_data_rejection]

    @given(strategies.data())
    @hypothesis.settings(max_examples=20, deadline=None, derandomize=True, database=None)
    def conforms(data: strategies.DataObject) -> None:
        case = data.draw(schema["/forms/contact"][method].as_strategy(generation_mode=mode))
        answer = case.call()
        seen.add(answer.status_code)
        case.validate_response(answer, excluded_checks=blind if case.media_type == "multipart/form-data" else [])

    conforms()
    assert common in seen
