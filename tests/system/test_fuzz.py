"""A thousand hostile mails, each through everything: nothing raises, nothing grows, and what comes out is inert.

`--fuzz-examples 100000 --timeout 0` runs more of them than the usual ones.
"""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, given, seed, settings

from poller import logs
from poller.parsing import parser
from poller.triage import screening, sender
from tests.support.effort import counted
from tests.support.hostile_mail import mails
from tests.support.rendered_texts import Outputs, check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.model import Request

PARTS = 4  # so that they can run side by side
MOST_CALLS = 1_000_000  # that a mail costs; the worst of a thousand cost 170,000
COUNTED_EVERY = 10
NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWN = ("figurative.example",)
CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f\u2028\u2029\ud800-\udfff]")


@pytest.fixture
def journal() -> Iterator[io.StringIO]:
    """What the daemon logs when nobody looks at it on a terminal."""
    root, stderr = logging.getLogger(), sys.stderr
    handlers, level = root.handlers[:], root.level
    sys.stderr = io.StringIO()
    logs.configure("INFO")
    yield sys.stderr
    sys.stderr = stderr
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_mail_gives_bounded_and_inert_output(
    part: int, pytestconfig: pytest.Config, tmp_path: Path, journal: io.StringIO
) -> None:
    """Parsed, screened, classified by rules, written for every service and logged: within its bounds, and inert."""
    examples = max(1, pytestconfig.getoption("fuzz_examples") // PARTS)
    path = tmp_path / "mail.eml"
    number = count()

    # The seed makes every run the same one.
    @seed(part)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mails())
    def goes_through(mail: bytes) -> None:
        path.write_bytes(mail)
        # Counting doubles the time that it takes.
        with counted(MOST_CALLS) if next(number) % COUNTED_EVERY == 0 else nullcontext():
            made = follow()
        # Not counted: the parsers of the checks are not ours.
        check(made)
        check_log(made.request, journal)

    def follow() -> Outputs:
        request = parser.parse(path, "support@figurative.example", NOW)
        check_request(request)
        request = sender.identify(request, OWN, "mx.figurative.example")
        reason = screening.screen(request, own=OWN)
        assert reason is None or (reason.isascii() and 0 < len(reason) < 80 and reason.isprintable())
        made = Outputs(request)
        _ = (made.notes, made.subtask, made.comment, made.ticket, made.titles, made.letter)
        return made

    goes_through()


def check_request(request: Request) -> None:
    assert len(request.text) <= 100_000
    assert request.newest.strip() in request.text or len(request.newest) <= len(request.text)
    assert not CONTROL.search(request.text)
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301  as it comes from the process that parses
    lines = [request.subject, *(value for _, value in request.headers)]
    lines += [
        word for address in (request.author, request.sender) for word in (address.display_name, address.addr_spec)
    ]
    lines += [file.filename for file in request.attachments]
    assert not any(CONTROL.search(line) or "\n" in line or "\t" in line for line in lines)
    assert all(0 < len(file.filename) <= 150 for file in request.attachments)
    assert all(link.startswith("https://") and link.isprintable() for link in request.links)
    assert len(request.links) <= 50
    for file in request.attachments[:20]:
        with file.content.open() as stream:
            assert len(stream.read(100_000)) == min(file.size_bytes, 100_000)


def check_log(request: Request, journal: io.StringIO) -> None:
    """One line of ASCII JSON an event, whatever is in it."""
    journal.seek(0)
    journal.truncate()
    name = request.attachments[0].filename if request.attachments else ""
    words = {"subject": request.subject, "text": request.text[:500], "sender": request.sender.addr_spec, "name": name}
    structlog.get_logger("fuzz").info("event", **words)
    line = journal.getvalue()
    assert line.isascii()
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    assert {key: json.loads(line)[key] for key in words} == words
