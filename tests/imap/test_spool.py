"""A message that is written to a file while it comes."""

from __future__ import annotations

import io

import pytest

from integrations.net.deadline import Deadline
from poller.imap import spool
from poller.imap.spool import RENEWED_BYTES, Spool


@pytest.mark.parametrize(("size", "renewed"), [(RENEWED_BYTES - 1, False), (3 * RENEWED_BYTES, True)])
def test_each_megabyte_has_the_whole_time_of_a_call(size: int, *, renewed: bool) -> None:
    """A big mail on a slow line takes long, and one that trickles no longer than the first megabyte may."""
    file = io.BytesIO()
    with Deadline(3600) as deadline:
        deadline.ends_s -= 1000
        before_s = deadline.ends_s
        Spool(file, size).take_literal(io.BytesIO(bytes(size)).read, size)
        assert (deadline.ends_s > before_s) is renewed
    assert file.getvalue() == bytes(size)


def test_what_comes_beyond_the_limit_is_dropped() -> None:
    """A server may give all of a message, whatever it is asked for."""
    file, came = io.BytesIO(), io.BytesIO(b"x" * 3 * spool.PIECE_BYTES)
    written = Spool(file, spool.PIECE_BYTES + 5)
    written.take_literal(came.read, 3 * spool.PIECE_BYTES)
    assert written.size_bytes == len(file.getvalue()) == spool.PIECE_BYTES + 5
    assert came.read() == b""


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        (b"1 (UID 7 BODY[]<0> {12}", True),
        (b"1 (BODY[]<0.99> {12}", True),
        (b"1 (UID 7 body[] {12}", True),
        (b"1 (UID 7 BODY[HEADER]<0> {12}", False),
        (b"1 (BODY[] NIL BODY[HEADER] {12}", False),
    ],
)
def test_content_of_a_message_is_known_from_its_line(line: bytes, *, begins: bool) -> None:
    assert spool.is_content(line) is begins
