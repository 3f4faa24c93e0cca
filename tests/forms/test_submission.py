"""Tests of the fields and files of a posted body, and of each mistake in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poller.forms.submission import FormBody
from tests.support.form_site import CUSTOMER, Site, delivered

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

WRONG: dict[str, tuple[dict[str, Any], int, list[tuple[str, str]]]] = {
    "no JSON": ({"content": b"{"}, 400, []),
    "JSON that is too deep": ({"content": b"[" * 200_000}, 400, []),
    "JSON that is too long": ({"content": b'"' + b"x" * 1_000_000 + b'"'}, 413, []),
    "no object": ({"json": ["a"]}, 422, []),
    "nothing": ({"json": {}}, 422, [("email", "missing"), ("message", "missing")]),
    "a number": ({"json": {"email": 1, "message": "x"}}, 422, [("email", "not_text")]),
    "no address": ({"json": {"email": "a@b", "message": "x"}}, 422, [("email", "invalid")]),
    "two addresses": ({"json": {"email": "a@b.fr,c@d.fr", "message": "x"}}, 422, [("email", "invalid")]),
    "an address with a field": (
        {"json": {"email": "a@b.fr\r\nBcc: c@d.fr", "message": "x"}},
        422,
        [("email", "invalid")],
    ),
    "an address with a line end": ({"json": {"email": "a@b.fr\n", "message": "x"}}, 422, [("email", "invalid")]),
    "an address that nobody reads": (
        {"json": CUSTOMER | {"email": "no-reply@client.example"}},
        422,
        [("email", "no_answer")],
    ),
    "our own address": ({"json": CUSTOMER | {"email": "Support@Figurative.example"}}, 422, [("email", "no_answer")]),
    "our own address, with a word": (
        {"json": CUSTOMER | {"email": "support+x@figurative.example"}},
        422,
        [("email", "no_answer")],
    ),
    "a message that nobody can see": ({"json": CUSTOMER | {"message": " \u200b\n"}}, 422, [("message", "missing")]),
    "a long name": ({"json": CUSTOMER | {"name": "x" * 101}}, 422, [("name", "too_long")]),
    "a long message": ({"json": CUSTOMER | {"message": "x" * 50_001}}, 422, [("message", "too_long")]),
    "an unknown field": ({"json": CUSTOMER | {"phone\r\n": "1"}}, 422, [("phone", "unknown")]),
    "files that are none": ({"json": CUSTOMER | {"files": "x"}}, 422, [("files", "not_a_file")]),
    "a key that is none": ({"json": CUSTOMER | {"idempotency_key": "é"}}, 422, [("idempotency_key", "invalid")]),
    "a field twice": (
        {"files": [("email", (None, "a@b.fr"))] * 2 + [("message", (None, "x"))]},
        422,
        [("email", "repeated")],
    ),
    "a file for a text": ({"data": CUSTOMER, "files": {"name": ("a.txt", b"x")}}, 422, [("name", "not_text")]),
    "a file of another field": ({"data": CUSTOMER, "files": {"cv": ("a.txt", b"x")}}, 422, [("cv", "unknown")]),
    "too many files": ({"data": CUSTOMER, "files": [("files", ("a", b"x"))] * 11}, 422, [("files", "too_many")]),
    "too many parts": ({"files": [(f"f{n}", (None, "x")) for n in range(201)]}, 413, []),
    "another type": ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, []),
    "no boundary": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 415, []),
    "no parts": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, []),
    "half a body": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.fr\r\n--b\r\n',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        [],
    ),
    "a long boundary": (
        {"content": b"x", "headers": {"Content-Type": f"multipart/form-data; boundary={'b' * 999}"}},
        400,
        [],
    ),
    "a bad key": ({"headers": {"Idempotency-Key": "a b"}}, 400, []),
}


@pytest.mark.parametrize(("given", "status", "wrong"), WRONG.values(), ids=WRONG)
def test_invalid_post_gets_problem_details(
    sandbox: Sandbox, standing_site: Site, given: dict[str, Any], status: int, wrong: list[tuple[str, str]]
) -> None:
    """As RFC 9457 has it, each field by a word that a program knows; nothing is left behind."""
    if "content" in given:
        given = {"headers": {"Content-Type": "application/json"}} | given
    answer = standing_site.post(**({"json": None} if {"content", "data", "files"} & set(given) else {}) | given)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["type"], bool(problem["title"] and problem["detail"])) == (
        status,
        "about:blank",
        True,
    )
    assert [(each["field"], each["code"]) for each in problem.get("errors", [])] == wrong
    assert delivered(sandbox) == []


def test_closing_half_written_file_on_full_disk_is_no_error() -> None:
    """A file that is to be forgotten may be closed half written."""
    with FormBody() as filled:
        filled.open.enter_context(Path("/dev/full").open("wb")).write(b"x")  # noqa: SIM115  it closes it
