"""Tests of the messages and their status as text and as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from poller.cli import report
from poller.workflow.results import WorkResult
from poller.workflow.status import Entry, MessageStatus

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 22, 15, tzinfo=PARIS)
EARLIER = NOW - timedelta(seconds=1)
TICKET = {"id": "1", "url": "https://app.hubspot.com/1"}


def waiting(found: dict[str, Any]) -> MessageStatus:
    """Make the status of a message that waits until NOW."""
    return MessageStatus(WorkResult.from_json({"outcome": "waiting", "until": NOW.isoformat()} | found))


def entry(step: str, second: float, **content: Any) -> Entry:
    return Entry(step, NOW + timedelta(seconds=second), content | {"by": "a"})


@pytest.mark.parametrize(
    ("result", "service"),
    [
        ({"step": "label", "gate": "", "reason": "IMAP: timed out"}, "labels"),
        ({"step": "label", "gate": "imap", "reason": "IMAP is out of reach"}, "imap"),
        ({"step": "create_note", "gate": "", "reason": "IMAP: timed out"}, "imap"),
        ({"step": "create_note", "gate": "imap", "reason": "IMAP is out of reach"}, "imap"),
        ({"step": "create_note", "gate": "", "reason": "what was done may not show yet"}, "hubspot"),
        ({"step": "find_thread", "gate": "", "reason": "the message that it answers still waits"}, ""),
        ({"step": "", "gate": "", "reason": "internal error"}, ""),
        ({}, ""),
    ],
)
def test_waiting_message_names_failed_service(result: dict[str, str], service: str) -> None:
    """It tried itself, or the circuit breaker is open because another one did."""
    assert waiting(result).service == service


def test_message_waiting_for_receipt_is_shown_as_done() -> None:
    """As what it is filed as; why it has no receipt yet, and until when, stands beside that."""
    why = {"step": "send_receipt", "gate": "", "reason": "IMAP connect: refused"}
    assert report.line("1", waiting(why | {"filed": "modelisation"}), EARLIER) == (
        "1  MODELISATION  send_receipt: IMAP connect: refused  until 2026-11-22 15:00:00 CET"
    )


def test_past_wait_is_shown_as_due() -> None:
    """Its turn has not come yet, or no daemon runs: no moment that is past is one until which it waits."""
    why = {"step": "create_note", "gate": "hubspot", "reason": "HubSpot is out of reach"}
    for now, until in ((EARLIER, "until 2026-11-22 15:00:00 CET"), (NOW, "due now")):
        shown = report.line("1", waiting(why), now)
        assert shown == f"1  WAITING  create_note: HubSpot is out of reach  {until}"


def test_show_lists_every_attempt_with_result() -> None:
    """A death, a failure that was tried again, a file each, and a step that is at work."""
    entries = [
        entry("create_ticket", 0, begun="x"),
        entry("create_ticket", 10, begun="x"),
        entry("create_ticket", 10.5, retry="HTTP 503", until="2026-11-22T14:01:00+00:00"),
        entry("create_ticket", 60, begun="x"),
        entry("create_ticket", 60.25, ok=TICKET),
        entry("upload_files", 61, begun="x"),
        entry("upload_files", 62, ok="https://files.example/1"),
        entry("upload_files", 62, begun="x"),
        entry("upload_files", 64, fatal="R2 upload: HTTP 400", kind="refused"),
        entry("upload_files", 64, stands=True),
        entry("send_failure", 65, begun="x"),
    ]
    tries = list(report.tries(entries))
    assert [(each["step"], each["attempt"], each["took_s"]) for each in tries] == [
        ("create_ticket", 1, None),
        ("create_ticket", 2, 0.5),
        ("create_ticket", 3, 0.25),
        ("upload_files", 1, 1.0),
        ("upload_files", 1, 2.0),
        ("send_failure", 1, None),
    ]
    assert (tries[2]["ok"], "by" in tries[2]) == (TICKET, False)
    assert [" ".join(line.split()) for each in tries for line in report.try_lines(each, PARIS)] == [
        "2026-11-22 15:00:00 CET create_ticket begun, and no end of it yet",
        "2026-11-22 15:00:10 CET create_ticket try 2 0.5 s failed: HTTP 503; again at 2026-11-22 15:01:00 CET",
        "2026-11-22 15:01:00 CET create_ticket try 3 0.2 s https://app.hubspot.com/1",
        "2026-11-22 15:01:02 CET upload_files 1.0 s https://files.example/1",
        "2026-11-22 15:01:04 CET upload_files 2.0 s FAILED for good: R2 upload: HTTP 400",
        "2026-11-22 15:01:05 CET send_failure begun, and no end of it yet",
    ]


@pytest.mark.parametrize(
    ("returned", "beside", "below"),
    [
        (None, "done", []),
        ("https://files.example/1", "https://files.example/1", []),
        ({"category": "SUPPORT", "needs_review": False, "reason": ""}, "category: SUPPORT, needs_review: no", []),
        (
            {"at": "x", "ignored": None, "people": {"sender": "a", "colleague": True}, "forebears": ["b", "c"]},
            "",
            ["at: x", "people.sender: a", "people.colleague: yes", "forebears: b, c"],
        ),
        ([{"url": "u", "size": 0}, {"url": "v\x1b[31m\nw"}], "1.url: u, 1.size: 0, 2.url: v[31m w", []),
        ([[0, "https://files.example/1"]], "1: 0, https://files.example/1", []),
    ],
)
def test_show_prints_step_results_safely(returned: Any, beside: str, below: list[str]) -> None:
    """Names and values, nothing that is empty, nothing that a terminal would obey."""
    (tried,) = report.tries([entry("receive", 0, begun="x"), entry("receive", 1, ok=returned)])
    first, *others = report.try_lines(tried, PARIS, verbose=True)
    assert first == f"  2026-11-22 15:00:01 CET  {'receive':<22} {'':<6}   1.0 s  {beside}".rstrip()
    assert [line.strip() for line in others] == below


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (True, "done"),
        (
            {"key": "thread-3b", "people": {"customer": "cdcd"}, "fates": ["file"], "ignored": "our own mail"},
            "ignored: our own mail",
        ),
        ({"id": "1", "url": "https://app.hubspot.com/1"}, "https://app.hubspot.com/1"),
        ([{"number": 0, "url": "https://files.example/1.png"}], "https://files.example/1.png"),
        (
            {"category": "SUPPORT", "opinion": {"category": "MODELISATION", "confidence": 0.6, "sure": False}},
            "category: SUPPORT, opinion: MODELISATION",
        ),
    ],
)
def test_show_leaves_out_internals(returned: Any, told: str) -> None:
    """Digests, keys and stored names are for `--verbose`."""
    (tried,) = report.tries([entry("receive", 0, begun="x"), entry("receive", 1, ok=returned)])
    (line,) = report.try_lines(tried, PARIS)
    assert line.partition(" s  ")[2] == told
