"""Public reports about mail, each as the smallest mail that shows it: what a careful person wants of each holds."""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poller.parsing import parser
from poller.triage.attachment_policy import decide_uploads
from poller.triage.screening import screen
from poller.triage.sender import identify, writer

if TYPE_CHECKING:
    from poller.model import Request

CASES = Path(os.environ["MAIL_CASES"]) if os.environ.get("MAIL_CASES") else None
pytestmark = pytest.mark.skipif(CASES is None, reason="run with MAIL_CASES=<folder of .eml files and expected.jsonl>")
OWN = ("figurative.example",)

# Expectations that do not hold any more, each for its reason.
EXCEPTIONS = {
    ("f10_apple_text_att_text", "attachments"): "a PDF is a document, and documents are stored for the studio",
}


def cases() -> list[Any]:
    if CASES is None:
        return []
    lines = (CASES / "expected.jsonl").read_text("utf-8").splitlines()
    return [pytest.param(case, id=case["name"]) for case in map(json.loads, lines)]


def given(request: Request, field: str) -> str:
    """Return a field of which the expectation names all, as text."""
    values = {
        "sender": request.sender.addr_spec,
        "sender_name": request.sender.display_name,
        "author": request.author.addr_spec,
        "writer": writer(request, OWN).addr_spec,
        "subject": request.subject,
        "links": request.links,
        "orig": tuple(each.addr_spec for each in request.original_senders),
        "refs": (*request.in_reply_to, *request.references),
        "defects": request.defects,
    }
    return str(values[field])


def one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.parametrize("case", cases())
def test_mail_of_a_report_is_read_as_a_person_reads_it(case: dict[str, Any]) -> None:
    assert CASES is not None
    for name, field in EXCEPTIONS:
        if name == case["name"]:
            case.pop(field, None)
    request = parser.parse(
        CASES / f"{case['name']}.eml", "support@figurative.example", datetime(2026, 11, 3, tzinfo=UTC)
    )
    # As if our own server had vouched for every author: what is asked is how a mail is read.
    domain = request.author.addr_spec.rpartition("@")[2]
    proof = ("authentication-results", f"mx.figurative.example; dmarc=pass header.from={domain}")
    request = identify(replace(request, headers=(proof, *request.headers)), OWN, "mx.figurative.example")
    for field in ("sender", "sender_name", "author", "writer", "subject"):
        assert given(request, field) == case.get(field, given(request, field))
    for field in ("links", "orig", "refs", "defects"):
        assert given(request, field) == str(tuple(case[field])) if field in case else True
    for field, text in (("newest", request.newest), ("text", request.text)):
        assert [phrase for phrase in case.get(field, ()) if one_line(phrase) not in one_line(text)] == []
        assert [phrase for phrase in case.get(f"not_{field}", ()) if one_line(phrase) in one_line(text)] == []
    if "attachments" in case:
        decided = zip(request.attachments, decide_uploads(request), strict=True)
        found = [(file.filename, file.kind, fate) for file, fate in decided if not file.incidental]
        assert len(found) == len(case["attachments"])
        for file, wanted in zip(found, case["attachments"], strict=True):
            assert all(fnmatchcase(value, pattern) for value, pattern in zip(file, wanted, strict=True))
    reason, ignored = screen(request, own=OWN), case["ignored"]
    assert reason is None if ignored is None else ignored.strip("*") in (reason or "")
    assert bool(reason) is bool(ignored)
