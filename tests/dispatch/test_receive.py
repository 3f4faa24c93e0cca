"""The first step of a message: screened, decided about, and given its turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from poller.cli.samples import samples
from poller.dispatch import conversation
from poller.dispatch.receive import CROWD, TOO_OFTEN, receive, wait_turn
from poller.errors import MessageGoneError
from poller.model import UploadDecision
from poller.own_mail import HEADER
from poller.workflow.errors import StepDeferredError
from poller.workflow.steps import StepName
from tests.support.pipeline_harness import REFERENCE, Desk, StepHarness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox

MAILS = samples()
ANSWERS = b"In-Reply-To: <support@samples.example>\n"
NOTICE = b"Auto-Submitted: auto-replied\n" + MAILS["support"]
OWN = HEADER.encode() + b": notification\n" + MAILS["support"]


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Desk:
    """Work on one mail after the other."""
    return Desk(sandbox, tmp_path)


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
    with pytest.raises(StepDeferredError, match=CROWD):
        wait_turn(bench.context(), replace(later, crowd=True))
    bench.fault = MessageGoneError()
    with pytest.raises(MessageGoneError):
        wait_turn(bench.context(), later)


def test_turn_without_an_episode_is_never_waited_for(harness: Callable[[bytes], StepHarness]) -> None:
    bench = harness(MAILS["support"])
    received = receive(bench.context())
    wait_turn(bench.context(), replace(received, goes_on_at=datetime.now(UTC) + timedelta(hours=1)))
    assert bench.fetches == 1


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(60_000)


def shown(sender: str, number: int, *pictures: bytes, html: str = "{}", answers: int = 0) -> bytes:
    """Return a mail that shows these pictures in its text."""
    message = EmailMessage()
    message["From"], message["To"] = sender, "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Fauteuil à modéliser en 3D", f"<{number}@vasseur.example>"
    if answers:
        message["In-Reply-To"] = message["References"] = f"<{answers}@vasseur.example>"
    message.set_content("Bonjour, merci de modéliser ce fauteuil en 3D.")
    tags = "".join(f'<img src="cid:{number}-{at}">' for at in range(len(pictures)))
    message.add_alternative(html.format(tags), subtype="html")
    for at, picture in enumerate(pictures):
        message.get_payload()[1].add_related(picture, "image", "png", cid=f"<{number}-{at}>", filename=f"{at}.png")
    return bytes(message)


@pytest.mark.parametrize("answers_from", ["claire@vasseur.example", "paul@figurative.example"])
def test_picture_that_is_on_the_ticket_is_no_file_of_an_answer(desk: Desk, answers_from: str) -> None:
    """Whoever sends it back, and wherever it stands; a new picture is a file."""
    desk.environment["IMAP_OWN_DOMAINS"] = "figurative.example"
    first = desk.gets(shown("claire@vasseur.example", 1, PICTURE))
    assert [str(fate) for fate in first.upload_decisions] == ["file"]
    answer = desk.gets(shown(answers_from, 2, PICTURE, PICTURE + b"new", answers=1))
    assert [str(fate) for fate in answer.upload_decisions] == ["inline", "file"]


def test_picture_sent_before_is_no_file_of_a_later_mail(desk: Desk) -> None:
    """Of this sender: a banner in a signature comes with each mail."""
    desk.gets(shown("claire@vasseur.example", 1, PICTURE))
    again = desk.gets(shown("claire@vasseur.example", 2, PICTURE))
    other = desk.gets(shown("lou@lambert.example", 3, PICTURE))
    assert [[str(fate) for fate in result.upload_decisions] for result in (again, other)] == [["inline"], ["file"]]
