"""The first step of a message: screened, decided about, and given its turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from poller.cli.samples import samples
from poller.dispatch import conversation
from poller.dispatch.receive import TOO_OFTEN, receive, wait_turn
from poller.errors import MessageGoneError
from poller.model import UploadDecision
from poller.own_mail import HEADER
from poller.workflow.errors import StepDeferredError
from poller.workflow.steps import StepName
from tests.support.pipeline_harness import REFERENCE, StepHarness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox

MAILS = samples()
ANSWERS = b"In-Reply-To: <support@samples.example>\n"
NOTICE = b"Auto-Submitted: auto-replied\n" + MAILS["support"]
OWN = HEADER.encode() + b": notification\n" + MAILS["support"]


@pytest.fixture
def harness(sandbox: Sandbox, tmp_path: Path) -> Callable[[bytes], StepHarness]:
    """Give a maker of one mail's steps."""
    return lambda raw: StepHarness(sandbox, tmp_path, raw)


def test_received_work_has_key_people_and_decisions(harness: Callable[[bytes], StepHarness]) -> None:
    """And the second execution has the same from the journal, without the mail."""
    bench = harness(ANSWERS + MAILS["modelisation_with_files"])
    received = receive(bench.context())
    assert received.ignored is None
    assert received.received_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert received.thread_key == conversation.key("desk", "<modelisation_with_files@samples.example>")
    assert received.parent_keys == (conversation.key("desk", "<support@samples.example>"),)
    assert received.upload_decisions == (UploadDecision.FILE, UploadDecision.FILE)
    assert received.people.customer == received.people.writer != ""
    assert (received.people.colleague, received.episode) == (False, "")
    assert receive(bench.context()) == received
    assert bench.fetches == 1


def test_received_record_holds_no_address(harness: Callable[[bytes], StepHarness]) -> None:
    bench = harness(ANSWERS + MAILS["support"])
    receive(bench.context())
    assert "@" not in str(bench.record.entries)


@pytest.mark.parametrize(
    ("raw", "asked", "ignored", "unless_answer"),
    [
        (MAILS["support"], False, False, False),
        (NOTICE, False, True, False),
        (ANSWERS + NOTICE, False, True, True),
        (NOTICE, True, False, False),
        (OWN, False, True, False),
        (OWN, True, True, False),
        (ANSWERS + OWN, False, True, False),
    ],
)
def test_automatic_mail_is_ignored_unless_it_answers_or_is_asked_for(
    harness: Callable[[bytes], StepHarness], raw: bytes, *, asked: bool, ignored: bool, unless_answer: bool
) -> None:
    """Our own mail is ignored even where a person asks for it, and only work takes a slot of its sender."""
    received = receive(harness(raw).context(), asked=asked)
    assert (bool(received.ignored), received.unless_answer) == (ignored, unless_answer)
    assert (received.goes_on_at is None) is (ignored and not unless_answer)


def test_turn_in_the_future_is_waited_for(harness: Callable[[bytes], StepHarness]) -> None:
    """It is no failure; and the mailbox is checked, as a person may have taken the mail."""
    bench = harness(MAILS["support"])
    received = receive(bench.context())
    wait_turn(bench.context(), received)
    later = replace(received, goes_on_at=datetime.now(UTC) + timedelta(hours=1), episode=REFERENCE)
    with pytest.raises(StepDeferredError) as caught:
        wait_turn(bench.context(), later)
    assert (caught.value.step, caught.value.reason) == (StepName.RECEIVE, TOO_OFTEN)
    assert (caught.value.until, caught.value.breaker) == (later.goes_on_at, "")
    bench.fault = MessageGoneError()
    with pytest.raises(MessageGoneError):
        wait_turn(bench.context(), later)


def test_turn_without_an_episode_is_never_waited_for(harness: Callable[[bytes], StepHarness]) -> None:
    bench = harness(MAILS["support"])
    received = receive(bench.context())
    wait_turn(bench.context(), replace(received, goes_on_at=datetime.now(UTC) + timedelta(hours=1)))
    assert bench.fetches == 1
