"""Compute the reference of a message: from its header where that is enough, from its content otherwise."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poller.mime import headers
from poller.mime.reference import reference_of, reference_of_content
from poller.parsing import parser

if TYPE_CHECKING:
    from poller.model import Request

MAILS = Path(__file__).parents[1] / "mails"
RECEIVED = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
TOP = b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: x\r\nDate: Tue, 3 Nov 2026 10:12:00 +0100\r\n"


def parse(path: Path, message: bytes) -> Request:
    """Return the request in a message, which is written to a spool file in this directory."""
    (path / "spool").write_bytes(message)
    return parser.parse(path / "spool", "support@example.com", RECEIVED)


def test_reference_is_digest_of_account_and_four_fields() -> None:
    fields = [
        b"support@example.com",
        b"<reply-1@portes-levy.example>",
        b"=?utf-8?q?Camille_L=C3=A9vy?= <Camille.Levy@Portes-Levy.example>",
        b"Tue, 3 Nov 2026 10:12:00 +0100",
        b"=?utf-8?B?UmU6IFBvcnRlIGVuIGNow6puZQ==?=",
    ]
    assert (
        parser.parse(MAILS / "reply.eml", "support@example.com", RECEIVED).reference
        == hashlib.sha256(b"\0".join(fields)).hexdigest()[:16]
    )


BROKEN = {
    "as it should be": TOP,
    "folded": TOP.replace(b"Subject: x", b"Subject: x\r\n\ty"),
    "byte order mark": b"\xef\xbb\xbf" + TOP,
    "mbox line": b"From a@example.com Tue Nov  3 10:12:00 2026\r\n" + TOP,
    "line that is no field": b"From: z\r\nbonjour\r\n" + TOP,
    "LF": TOP.replace(b"\r\n", b"\n"),
    "CR": TOP.replace(b"\r\n", b"\r"),
    "NUL": TOP.replace(b"Subject: x", b"Subject: \0"),
    "raw 8-bit": TOP.replace(b"Subject: x", b"Subject: \xe9"),
    "no angle brackets": TOP.replace(b"<1@example.com>", b"1@example.com"),
    "half an id": TOP.replace(b"<1@example.com>", b"<"),
    "too long": TOP + b"X-A: " + b"x" * 1_000_000 + b"\r\n",
    "blank line first": b"\r\n" + TOP,
    "no message id": TOP.replace(b"Message-ID", b"X-Id"),
    "no date": TOP.replace(b"Date", b"X-Date"),
    "empty date": TOP.replace(b"Tue, 3 Nov 2026 10:12:00 +0100", b" "),
    "empty message id": TOP.replace(b"<1@example.com>", b""),
    "no header": b"bonjour\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("top", BROKEN.values(), ids=BROKEN)
def test_reference_from_header_equals_that_of_request(top: bytes, tmp_path: Path) -> None:
    message = top + b"\r\nBonjour"
    # A server gives what stands before the first blank line, and our mailbox the first 256 KB of it.
    end = headers.END_OF_HEADER.search(message)
    header = b"\r\n" if message.startswith(b"\r\n") else message[: end.end() if end else None][: headers.HEADER_BYTES]
    request = parse(tmp_path, message)
    from_header = reference_of("support@example.com", header)
    assert request.reference == (from_header or reference_of_content("support@example.com", tmp_path / "spool"))
    assert len(request.reference) == 16
    assert request.message_id.startswith("<")
    assert request.message_id.endswith(">")


def test_reference_differs_by_account_and_mail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    found = {
        reference_of("a", TOP),
        reference_of("b", TOP),
        reference_of("a", TOP.replace(b"<1@", b"<2@")),
        reference_of_content("a", tmp_path / "a"),
        reference_of_content("b", tmp_path / "a"),
        reference_of_content("a", tmp_path / "b"),
    }
    assert len(found) == 6


FORM = TOP.replace(b"Date", b"X-Date") + b"To: support@example.com\r\n\r\nBonjour"
SAME = {
    "another way here": b"Received: from a by b; Sun, 22 Nov 2026 10:00:01 +0100\r\nDelivered-To: c@example.com\r\n"
    + FORM,
    "marked on the way": FORM.replace(b"Subject", b"X-Spam: no\r\nDKIM-Signature: v=1;\r\n b=x\r\nSubject"),
    "folded": FORM.replace(b"Subject: ", b"Subject:\r\n "),
    "mbox line": b"From a@example.com Tue Nov  3 10:12:00 2026\r\n" + FORM,
}
OTHER = {
    "body": FORM + b".",
    "From": FORM.replace(b"From: a@", b"From: b@"),
    "To": FORM.replace(b"To: support@", b"To: contact@"),
    "Subject": FORM.replace(b"Subject: x", b"Subject: y"),
    "Message-ID": FORM.replace(b"<1@", b"<2@"),
}


@pytest.mark.parametrize(
    ("message", "same"), [(FORM, True), *((m, True) for m in SAME.values()), *((m, False) for m in OTHER.values())]
)
def test_reference_without_date_uses_content_of_sender(message: bytes, same: bool, tmp_path: Path) -> None:
    """A form with one Message-ID for all its customers loses none; two aliases' copies of a mail are one."""
    reference = parse(tmp_path, FORM).reference
    assert (parse(tmp_path, message).reference == reference) is same
    assert reference_of("support@example.com", message) is None


def test_reference_without_date_uses_whole_message(tmp_path: Path) -> None:
    """The one byte that is different may come after megabytes that are not."""
    first, second = (parse(tmp_path, FORM + b"\r\n" * 2_000_000 + end).reference for end in (b"a", b"b"))
    assert first != second
