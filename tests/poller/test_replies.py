"""A customer's answer goes to the ticket there is; anybody else's mail opens its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.samples import samples

if TYPE_CHECKING:
    from tests.conftest import Office

MAILS = samples()
ASKED = b"<modelisation_with_files@samples.example>"


def answer(raw: bytes, *headers: bytes, number: int = 1) -> bytes:
    """The mail once more, with another Message-ID, as an answer to the modelling request."""
    raw = re.sub(rb"(?m)^Message-ID: .*$", b"Message-ID: <answer-%d@samples.example>" % number, raw)
    return b"".join(header + b"\n" for header in headers) + raw


def outcomes(office: Office, *mails: bytes) -> list[str]:
    return sorted(standing.outcome for standing in office.once(*mails).values())


@pytest.mark.parametrize("header", [b"In-Reply-To: " + ASKED, b"References: " + ASKED + b" <agent@hubspot.example>"])
def test_an_answer_is_a_note_on_the_ticket_and_a_comment_on_the_subtask(office: Office, header: bytes) -> None:
    """With its new files; no second ticket, no second subtask, and the admin is told where it went."""
    office.once(MAILS["modelisation_with_files"])
    assert outcomes(office, answer(MAILS["modelisation_with_files"], header)) == ["modelisation"]
    box = office.sandbox
    assert office.counts() == {
        "contacts": 1,
        "tickets": 1,
        "notes": 2,
        "subtasks": 1,
        "files": 4,
        "notifications": 2,
    }
    note = box.hubspot.notes[1]
    assert box.hubspot.associated("notes", note.id, "tickets") == [box.hubspot.tickets[0].id]
    assert "Réponse" in note.properties["hs_note_body"]
    (comment,) = box.clickup.subtasks[0].comments
    assert "piètement" in str(comment)
    assert box.smtp.messages[1].message["Subject"].startswith("[Réponse]")
    assert office.mailboxes() == {"Modélisation": 2}


def test_an_answer_to_an_answer_finds_the_same_ticket(office: Office) -> None:
    """The thread is followed to the mail that opened it."""
    office.once(MAILS["support"])
    first = answer(MAILS["support"], b"In-Reply-To: <support@samples.example>", number=1)
    office.once(first)
    office.once(answer(MAILS["support"], b"In-Reply-To: <answer-1@samples.example>", number=2))
    assert office.counts()["tickets"] == 1
    assert office.counts()["notes"] == 2


def test_a_stranger_who_quotes_the_message_id_gets_a_ticket_of_their_own(office: Office) -> None:
    """A Message-ID is no secret: only the ticket's contact may write to the ticket."""
    office.once(MAILS["modelisation_with_files"])
    assert outcomes(office, answer(MAILS["support"], b"In-Reply-To: " + ASKED)) == ["support"]
    assert office.counts()["tickets"] == 2
    assert office.counts()["notes"] == 1


def test_the_same_subject_alone_is_no_thread(office: Office) -> None:
    """Two requests under one subject are two requests."""
    office.once(MAILS["support"])
    office.once(answer(MAILS["support"]))
    assert office.counts()["tickets"] == 2


def test_an_answer_waits_for_the_mail_that_it_answers(office: Office) -> None:
    """While the first one waits for HubSpot there is no ticket yet; then there is one, with a note."""
    office.fail("hubspot", Fault("status", "POST", "/crm/v3/objects/tickets", times=3))
    office.once(MAILS["support"], answer(MAILS["support"], b"In-Reply-To: <support@samples.example>"))
    assert office.counts()["tickets"] == 1
    assert office.counts()["notes"] == 1


def test_an_answer_whose_comment_was_lost_on_the_way_is_not_made_twice(office: Office) -> None:
    """The comment was written and the answer to it cut: the next try finds it."""
    office.once(MAILS["modelisation_with_files"])
    office.fail("clickup", Fault("cut_after_commit", "POST", re.compile("/comment")))
    office.once(answer(MAILS["modelisation_with_files"], b"In-Reply-To: " + ASKED))
    assert len(office.sandbox.clickup.subtasks[0].comments) == 1
