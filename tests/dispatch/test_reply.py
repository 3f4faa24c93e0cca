"""A customer's answer goes to the ticket there is; anybody else's mail opens its own."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.dispatch.job import LazyMessage, StepContext
from poller.dispatch.reply import Conversation, find_threads
from poller.model import Category, Link, Outcome
from poller.workflow.errors import StepDeferredError
from poller.workflow.results import Participants, WorkResult
from tests.support.pipeline_harness import Desk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from tests.conftest import Office

MAILS = samples()
ASKED = b"<modelisation_with_files@samples.example>"


def answer(raw: bytes, *headers: bytes, number: int = 1) -> bytes:
    """The mail once more, with another Message-ID, as an answer to the modelling request."""
    raw = re.sub(rb"(?m)^Message-ID: .*$", b"Message-ID: <answer-%d@samples.example>" % number, raw)
    return b"".join(header + b"\n" for header in headers) + raw


def outcomes(office: Office, *mails: bytes) -> list[str]:
    return sorted(status.outcome for status in office.once(*mails).values())


@pytest.mark.parametrize("header", [b"In-Reply-To: " + ASKED, b"References: " + ASKED + b" <agent@hubspot.example>"])
def test_reply_adds_note_to_ticket_and_comment_to_subtask(office: Office, header: bytes) -> None:
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
    asked, answered = (each.message for each in box.smtp.messages)
    assert answered["Subject"].startswith("[Réponse]")
    assert answered["References"] == asked["Message-ID"], "one conversation for the admin"
    assert answered["From"].startswith("Modélisation · réponse du client <")
    assert office.mailboxes() == {"Modélisation": 2}


def test_reply_to_reply_finds_same_ticket(desk: Desk) -> None:
    """The thread is followed to the mail that opened it."""
    desk.gets(MAILS["support"])
    desk.gets(answer(MAILS["support"], b"In-Reply-To: <support@samples.example>", number=1))
    desk.gets(answer(MAILS["support"], b"In-Reply-To: <answer-1@samples.example>", number=2))
    assert desk.made() == (1, 2, 0)


def test_stranger_with_known_message_id_gets_own_ticket(desk: Desk) -> None:
    """A Message-ID is no secret: only the ticket's contact may write to the ticket."""
    desk.gets(MAILS["modelisation_with_files"])
    assert desk.gets(answer(MAILS["support"], b"In-Reply-To: " + ASKED)).outcome == "support"
    assert desk.made() == (2, 1, 0)


def test_bulk_reply_of_ticket_contact_is_not_ignored(desk: Desk) -> None:
    """Nor a notice of absence, which the ticket's readers should know of; but of the ticket's contact alone."""
    desk.gets(MAILS["support"])
    asked, bulk = b"In-Reply-To: <support@samples.example>", b"Precedence: bulk"
    stranger = re.sub(rb"(?m)^From: .*$", b"From: max@stranger.example", MAILS["support"])
    mails = (
        answer(MAILS["support"], asked, bulk, b"X-Spam-Flag: YES", number=1),
        answer(stranger, asked, bulk, number=2),
        answer(MAILS["support"], asked, b"Auto-Submitted: auto-replied", number=3),
        answer(MAILS["support"], b"In-Reply-To: <unknown@samples.example>", bulk, number=4),
    )
    assert [desk.gets(mail).outcome for mail in mails] == ["support", "ignored", "support", "ignored"]
    assert desk.made() == (1, 2, 0)


def test_same_subject_is_no_thread(desk: Desk) -> None:
    """Two requests under one subject are two requests."""
    desk.gets(MAILS["support"])
    desk.gets(answer(MAILS["support"]))
    assert desk.made() == (2, 0, 0)


def test_reply_waits_for_original_mail(office: Office) -> None:
    """While the first one waits for HubSpot there is no ticket yet; then there is one, with a note."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", times=3))
    office.once(MAILS["support"], answer(MAILS["support"], b"In-Reply-To: <support@samples.example>"))
    assert office.counts()["tickets"] == 1
    assert office.counts()["notes"] == 1


def test_reply_comment_with_lost_answer_is_not_repeated(office: Office) -> None:
    """The comment was written and the answer to it cut: the next try finds it."""
    office.once(MAILS["modelisation_with_files"])
    office.fail("clickup", Fault("cut_after_commit", "POST", re.compile("/comment")))
    office.once(answer(MAILS["modelisation_with_files"], b"In-Reply-To: " + ASKED))
    assert len(office.sandbox.clickup.subtasks[0].comments) == 1


CUSTOMER, STRANGER = b"Jeanne <jeanne@client.example>", b"Max <max@stranger.example>"
SUPPORT = b"Bonjour,\n\nMa facture est fausse, merci de la corriger et de me rembourser.\n"
MODELLING = "Bonjour,\n\nPouvez-vous modéliser ce fauteuil en 3D ? Le plan est joint.\n".encode()


def a_mail(number: int, sent_by: bytes, text: bytes = SUPPORT, **headers: bytes) -> bytes:
    """Make a mail from this address, with a Message-ID of its number and the headers that are given."""
    fields = {"From": sent_by, "To": b"support@figurative.example", "Message-ID": b"<%d@x.example>" % number}
    fields |= {"Date": b"Sun, 22 Nov 2026 10:00:00 +0100", "Subject": b"Facture" if text == SUPPORT else b"3D"}
    fields |= {"Content-Type": b"text/plain; charset=utf-8"} | headers
    return (
        b"".join(b"%s: %s\n" % (name.replace("_", "-").encode(), value) for name, value in fields.items())
        + b"\n"
        + text
    )


def test_customer_reply_to_colleague_finds_own_ticket(desk: Desk) -> None:
    """The nearest mail opened the colleague's ticket; the one before it the customer's own."""
    desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, STRANGER, In_Reply_To=b"<1@x.example>"))
    assert desk.made() == (2, 0, 0)
    done = desk.gets(a_mail(3, CUSTOMER, In_Reply_To=b"<2@x.example>", References=b"<1@x.example> <2@x.example>"))
    assert (desk.made(), done.thread) == ((2, 1, 0), "0000000000000000")


@pytest.mark.parametrize(
    ("opened", "answered", "notes"),
    [
        ({}, {"From": STRANGER, "Reply_To": CUSTOMER}, 0),
        ({}, {"Reply_To": b"assistant@client.example"}, 1),
        ({"Reply_To": b"assistant@client.example"}, {"Reply_To": b"assistant@client.example"}, 1),
        ({"Reply_To": b"assistant@client.example"}, {"From": b"assistant@client.example"}, 1),
        ({"Reply_To": b"assistant@client.example"}, {}, 0),
        ({"From": b"form@site.example", "Reply_To": CUSTOMER}, {}, 1),
        ({"From": b"form@site.example", "Reply_To": CUSTOMER}, {"From": b"form@site.example", "Reply_To": STRANGER}, 0),
        ({}, {"From": b"", "Reply_To": CUSTOMER}, 0),
        ({}, {"From": b"JEANNE@client.example"}, 1),
        ({}, {"From": STRANGER, "Reply_To": CUSTOMER, "Precedence": b"bulk"}, 0),
    ],
)
def test_reply_author_is_verified_by_from(
    desk: Desk, opened: dict[str, bytes], answered: dict[str, bytes], notes: int
) -> None:
    """Or by From and Reply-To together, as they stood in the first mail; a Reply-To alone may name anybody."""
    desk.gets(a_mail(1, CUSTOMER, **opened))
    desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>", **answered))
    assert desk.made() == (1 if notes or "Precedence" in answered else 2, notes, 0)


def test_reply_through_own_group_is_of_the_customer(desk: Desk) -> None:
    """The group puts its own address into From; a Reply-To tells nothing there either."""
    ours = {"From": b"'Jeanne' via Support <support@figurative.studio>", "X_Original_From": CUSTOMER}
    desk.environment["IMAP_OWN_DOMAINS"] = "figurative.studio"
    desk.gets(a_mail(1, CUSTOMER, **ours))
    desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>", **ours))
    assert desk.made() == (1, 1, 0)
    desk.gets(
        a_mail(3, CUSTOMER, In_Reply_To=b"<1@x.example>", **ours | {"X_Original_From": STRANGER, "Reply_To": CUSTOMER})
    )
    assert desk.made() == (2, 1, 0)


def test_quoting_a_ticket_creates_no_contact(desk: Desk) -> None:
    """Not of a bulk mail that is ignored in the end, and not of a From beside the address to answer."""
    desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, STRANGER, In_Reply_To=b"<1@x.example>", Precedence=b"bulk"))
    desk.gets(a_mail(3, STRANGER, In_Reply_To=b"<1@x.example>", Reply_To=b"eve@stranger.example"))
    assert [each.properties["email"] for each in desk.sandbox.hubspot.contacts] == [
        "jeanne@client.example",
        "eve@stranger.example",
    ]


def test_reply_finds_ticket_after_contact_merge(desk: Desk) -> None:
    """The ticket's contact has another id since, and its note is put on the one of today."""
    desk.gets(a_mail(1, CUSTOMER))
    crm = desk.sandbox.hubspot.crm
    (contact,) = crm.records("contacts")
    del crm._records["contacts"][contact.id]
    merged = crm.create("contacts", {"email": "jeanne@client.example"})
    desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>"))
    assert desk.made() == (1, 1, 0)
    assert crm.associated("contacts", merged.id, "notes") == [desk.sandbox.hubspot.notes[0].id]


def test_reply_from_secondary_address_matches_contact(desk: Desk) -> None:
    desk.gets(a_mail(1, CUSTOMER))
    desk.sandbox.hubspot.contacts[0].properties["hs_additional_emails"] = "jeanne@home.example"
    desk.gets(a_mail(2, b"jeanne@home.example", In_Reply_To=b"<1@x.example>"))
    assert desk.made() == (1, 1, 0)


@pytest.mark.parametrize("gone", [False, True])
def test_reply_to_failed_or_removed_mail_finds_its_ticket(desk: Desk, gone: bool) -> None:
    """It failed behind the ticket, or a person took it away: one request has one ticket all the same."""
    if gone:
        desk.taken = "0000000000000000"
    else:
        desk.sandbox.hubspot.fail(Fault("status", "POST", "/crm/objects/2026-09/notes", status=400))
    first = desk.gets(a_mail(1, CUSTOMER, MODELLING))
    assert first.outcome == ("gone" if gone else "failed")
    done = desk.gets(a_mail(2, CUSTOMER, MODELLING, In_Reply_To=b"<1@x.example>"))
    assert (done.outcome, done.thread) == ("modelisation", "0000000000000000")
    assert desk.made() == ((1, 2, 1) if gone else (1, 1, 0))


def test_reply_to_failed_reply_finds_ticket(desk: Desk) -> None:
    """The note was there and the comment was not: the third mail names the second one alone."""
    desk.gets(a_mail(1, CUSTOMER, MODELLING))
    desk.sandbox.clickup.fail(Fault("status", "POST", re.compile("/comment"), status=400))
    assert desk.gets(a_mail(2, CUSTOMER, MODELLING, In_Reply_To=b"<1@x.example>")).outcome == "failed"
    first, failure = (message_from_bytes(each.raw) for each in desk.sandbox.smtp.messages)
    assert failure["In-Reply-To"] == failure["References"] == first["Message-ID"]
    desk.gets(a_mail(3, CUSTOMER, MODELLING, In_Reply_To=b"<2@x.example>"))
    assert desk.made() == (1, 3, 1)


def test_reply_on_deleted_ticket_opens_new_ticket(desk: Desk) -> None:
    """And the next answer finds that one."""
    desk.gets(a_mail(1, CUSTOMER, MODELLING))
    del desk.sandbox.hubspot.crm._records["tickets"][desk.sandbox.hubspot.tickets[0].id]
    done = desk.gets(a_mail(2, CUSTOMER, MODELLING, In_Reply_To=b"<1@x.example>"))
    assert (done.outcome, done.thread) == ("modelisation", "0000000000000001")
    assert desk.made() == (1, 2, 0)
    desk.gets(a_mail(3, CUSTOMER, MODELLING, In_Reply_To=b"<2@x.example>", References=b"<1@x.example> <2@x.example>"))
    assert desk.made() == (1, 3, 1)


def test_refused_note_on_existing_ticket_is_a_failure(desk: Desk) -> None:
    """The ticket is there: a second one would hide what is wrong."""
    desk.gets(a_mail(1, CUSTOMER))
    desk.sandbox.hubspot.fail(Fault("status", "POST", "/crm/objects/2026-09/notes", status=400))
    done = desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>"))
    assert (done.outcome, done.step) == ("failed", "create_note")
    assert desk.made() == (1, 0, 0)


def test_reply_without_subtask_adds_note_and_tells_admin(desk: Desk) -> None:
    """The 3D team has no place to read it any more."""
    desk.gets(a_mail(1, CUSTOMER, MODELLING))
    desk.sandbox.clickup.tasks.pop(desk.sandbox.clickup.subtasks[0].id)
    done = desk.gets(a_mail(2, CUSTOMER, MODELLING, In_Reply_To=b"<1@x.example>"))
    assert (done.outcome, done.subtask, done.skipped) == (Outcome.MODELISATION, None, ())
    assert desk.made() == (1, 2, 0)
    told = desk.sandbox.smtp.messages[-1].message.get_body(("plain",)).get_content()
    assert "La demande n’a pas (ou plus) de sous-tâche ClickUp" in told
    assert "app.clickup.com" not in told


class Crossing(Desk):
    """A desk where the first mail is finished, and leaves the mailbox, between the two searches for it."""

    searches = 0

    def older(self, reference: str, message_ids: Iterable[str]) -> str:
        del reference, message_ids
        self.searches += 1
        return "the other" if self.searches == 1 else ""

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        self.searches += 1
        return super().recall(keys) if self.searches > 1 else {}


def test_reply_finds_ticket_of_mail_that_ends_during_lookup(sandbox: Sandbox, tmp_path: Path) -> None:
    """It no longer waits and is not remembered yet: asked in that order, both would deny it."""
    desk = Crossing(sandbox, tmp_path)
    desk.gets(a_mail(1, CUSTOMER))
    desk.searches = 0
    desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>"))
    assert desk.made() == (1, 1, 0)


def test_reply_waits_for_every_running_parent_mail(desk: Desk) -> None:
    """Also one that has its ticket already: its subtask may still come."""
    first = desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, STRANGER))
    desk.results["0000000000000000"] = WorkResult(Outcome.WORKING)
    later = a_mail(3, CUSTOMER, In_Reply_To=b"<2@x.example>", References=b"<1@x.example>")
    with pytest.raises(StepDeferredError, match="still at work"):
        desk.gets(later)
    desk.results["0000000000000000"] = first
    desk.gets(later)
    assert desk.made() == (2, 1, 0)


COLLEAGUE = b"Paul <paul@figurative.example>"
VERIFIED = b"mx.figurative.example; dmarc=pass header.from=figurative.example"


@pytest.mark.parametrize(
    "proof", [b"mx.figurative.example; dmarc=fail header.from=figurative.example", b"mx.else; none"]
)
def test_unverified_colleague_reply_opens_own_ticket(desk: Desk, proof: bytes) -> None:
    """Whoever writes under our domain and quotes a Message-ID adds nothing to a customer's ticket."""
    desk.environment["IMAP_AUTHSERV_ID"] = "mx.figurative.example"
    desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, COLLEAGUE, In_Reply_To=b"<1@x.example>", Authentication_Results=proof))
    assert desk.made() == (2, 0, 0)


@pytest.mark.parametrize(
    ("named", "headers", "made"),
    [
        (b"<1@x.example>", {}, (1, 1, 0)),
        (b"<0000000000000000.notification@figurative-poller.invalid>", {}, (1, 1, 0)),
        (b"<1@x.example>", {"Reply_To": STRANGER}, (2, 0, 0)),
        (b"<ffffffffffffffff.notification@figurative-poller.invalid>", {}, (1, 0, 0)),
        (b"<alert.imap@figurative-poller.invalid>", {}, (1, 0, 0)),
        (b"<0000000000000000.notification@figurative-poller.invalid>", {"Auto_Submitted": b"auto-replied"}, (1, 0, 0)),
        (b"<unknown@x.example>", {}, (2, 0, 0)),
    ],
)
def test_colleague_reply_in_thread_adds_note_to_ticket(
    desk: Desk, named: bytes, headers: dict[str, bytes], made: tuple[int, int, int]
) -> None:
    """To the customer with us in copy, or to our own letter; what answers a letter of no ticket's is ignored."""
    desk.environment["IMAP_AUTHSERV_ID"] = "mx.figurative.example"
    desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, COLLEAGUE, In_Reply_To=named, **headers, Authentication_Results=VERIFIED))
    assert desk.made() == made
    expected = [b"jeanne@client.example"] + ([b"paul@figurative.example"] if made[0] == 2 and not headers else [])
    if made[1]:
        assert "Réponse d’un collègue" in desk.sandbox.hubspot.notes[0].properties["hs_note_body"]
    if not headers:
        assert [each.properties["email"].encode() for each in desk.sandbox.hubspot.contacts] == expected


def test_customer_reply_to_our_notification_finds_ticket(desk: Desk) -> None:
    """A colleague may have forwarded it to them; and so may an answer to the letter about an answer."""
    desk.gets(a_mail(1, CUSTOMER))
    desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<0000000000000000.notification@figurative-poller.invalid>"))
    desk.gets(a_mail(3, CUSTOMER, In_Reply_To=b"<0000000000000001.reply@figurative-poller.invalid>"))
    assert desk.made() == (1, 2, 0)


OPENED = {"contact_id": "7", "ticket": {"id": "1", "url": "https://t.example"}, "subtask": None}
REFERENCE = "0123456789abcdef"
OLD = {"reference": REFERENCE, "outcome": "support"} | OPENED


@pytest.mark.parametrize(
    ("written", "people"),
    [
        (None, []),
        (OLD, [Participants()]),
        ([], []),
        ([OLD | {"people": {"customer": "a", "writer": "b"}}], [Participants("a", "b")]),
    ],
)
def test_replies_read_records_of_earlier_releases(desk: Desk, written: object, people: list[Participants]) -> None:
    """Rows outlive a release: then it was the nearest ticket alone, or none, and no people were recorded."""
    journal = desk.journal("0" * 16, lambda *_: {"ok": written, "by": "long ago"})
    message = LazyMessage("0" * 16, desk, desk.spool / "mail.eml", desk.settings.imap)
    found = find_threads(StepContext(journal, message, desk, desk.services, desk.settings), ["thread-1"])
    link = Link("1", "https://t.example")
    assert found == [Conversation(REFERENCE, Category.SUPPORT, "7", link, None, each) for each in people]


@pytest.mark.parametrize("was", [Outcome.IGNORED, Outcome.FORGOTTEN])
def test_reply_to_half_done_correction_joins_its_ticket(desk: Desk, was: Outcome) -> None:
    """The ticket of a correction that stopped half-way is there, though the message has come to no category."""
    desk.gets(a_mail(1, CUSTOMER))
    (root,) = desk.results
    desk.results[root] = replace(desk.results[root], outcome=Outcome.FAILED, was=was)
    done = desk.gets(a_mail(2, CUSTOMER, In_Reply_To=b"<1@x.example>"))
    assert (done.outcome, done.thread, desk.made()) == (Outcome.SUPPORT, root, (1, 1, 0))
