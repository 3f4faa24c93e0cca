"""Nobody gets an automatic letter but a person for whom our own server vouches, and that one not often."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poller.forms import message
from poller.forms.submission import Submission
from poller.model import Acknowledgement, Address, Attachment, Kind, Request
from poller.parsing import parser
from poller.triage.acknowledgement import mailbox_of, reason_against, repeats_words, reserve
from poller.triage.screening import screen
from poller.triage.sender import identify
from tests.triage.helpers import AUTOMATIC, AWAY, SUPPRESS, Bytes, DatedFacts, request

CASES = os.environ.get("MAIL_CASES")
OWN = ("figurative.example",)
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
TO_US = ("To", "support@figurative.example")
PERSON = replace(request(TO_US), verified=True)
GLB = Attachment("chaise.glb", "model/gltf-binary", 1, Kind.MODEL, inline=False, content=Bytes())
OTHER = Address("", "other@victim.example")
TWO = f"{PERSON.author.addr_spec}, eve@{PERSON.author.addr_spec.partition('@')[2]}"


def test_person_for_whom_our_server_vouches_gets_a_letter() -> None:
    assert reason_against(PERSON, OWN, NOW) is None
    in_copy = replace(PERSON, headers=(("to", "boss@vasseur.example"), ("cc", "Support <support@figurative.example>")))
    assert reason_against(in_copy, OWN, NOW) is None
    assert repeats_words(PERSON, OWN)


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (replace(PERSON, verified=None), Acknowledgement.UNPROVEN),
        (replace(PERSON, verified=False), Acknowledgement.UNPROVEN),
        (replace(PERSON, sender=OTHER), Acknowledgement.UNPROVEN),  # Reply-To may name anyone
        (replace(PERSON, author=Address("", "anna@figurative.example")), Acknowledgement.UNPROVEN),
        (replace(PERSON, sender=Address("", "anna@figurative.example")), Acknowledgement.OURS),
        (replace(PERSON, sender=Address("", "no-reply@vasseur.example")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, sender=Address("", "Bounces+ana=x@list.example")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, sender=Address("", "meubles-request@list.example")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, sender=Address("", "no-responder@x.example")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, headers=(("from", TWO),)), Acknowledgement.UNPROVEN),
        (replace(PERSON, headers=(("to", "team@list.example"),)), Acknowledgement.NOT_TO_US),
        (replace(PERSON, headers=()), Acknowledgement.NOT_TO_US),
        (replace(PERSON, sender=Address("", "")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, sender=Address("", "a\nb@x.example")), Acknowledgement.NO_ANSWER),
        (replace(PERSON, received_at=NOW - timedelta(hours=24, seconds=1)), Acknowledgement.OLD),
        (replace(PERSON, sent_at=NOW - timedelta(days=30)), Acknowledgement.OLD),
    ],
)
def test_anyone_else_gets_no_letter_for_a_reason(mail: Request, reason: Acknowledgement) -> None:
    assert reason_against(mail, OWN, NOW) is reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("From: =?utf-8?q?ana=40ruiz=2Eexample=2C?= <claire@vasseur.example>", None),
        ("From: claire@vasseur.example, eve@vasseur.example", Acknowledgement.UNPROVEN),
        ("From: claire@vasseur.example\r\nFrom: eve@vasseur.example", Acknowledgement.UNPROVEN),
        ("From: claire@vasseur.example, " + "x" * 17_000 + ", eve@vasseur.example", Acknowledgement.UNPROVEN),
    ],
)
def test_mail_of_one_author_alone_gets_a_letter(tmp_path: Path, fields: str, reason: Acknowledgement | None) -> None:
    """An address in the name of the author is none. A second author may have named the first."""
    proof = "Authentication-Results: mx.figurative.example; dmarc=pass header.from=vasseur.example"
    (tmp_path / "mail.eml").write_bytes(
        f"{proof}\r\n{fields}\r\nTo: support@figurative.example\r\n\r\nBonjour".encode()
    )
    mail = identify(parser.parse(tmp_path / "mail.eml", "", NOW), OWN, "mx.figurative.example")
    assert mail.sender.addr_spec == "claire@vasseur.example"
    assert reason_against(mail, OWN, NOW) is reason


SIGNS = [
    *(mail for mail, _ in AUTOMATIC),
    AWAY,
    *(request(field) for field in [SUPPRESS, ("List-Id", "<a.x.example>"), ("List-Unsubscribe", "<mailto:a@x>")]),
    *(request(("Precedence", value)) for value in ("bulk", "list", "junk")),
    request(("Feedback-ID", "1")),
    request(("List-Help", "<mailto:a@x>")),
    request(("Mailing-List", "contact a@x")),
    request(("Precedence", "bulk (weekly)")),
    request(("X-Spam-Flag", "YES")),
]


@pytest.mark.parametrize("mail", [*SIGNS, *(replace(each, attachments=(*each.attachments, GLB)) for each in SIGNS)])
def test_mail_with_any_sign_of_a_program_gets_no_letter(mail: Request) -> None:
    """A 3D file makes it work, and its sender no person."""
    assert reason_against(replace(mail, verified=True), OWN, NOW) is Acknowledgement.AUTOMATIC


def test_mail_that_the_mailbox_takes_for_spam_gets_no_letter() -> None:
    assert reason_against(PERSON, OWN, NOW, junk=True) is Acknowledgement.AUTOMATIC


def test_visitor_of_our_form_gets_a_letter_without_their_words(tmp_path: Path) -> None:
    """The form's mark alone proves it: the same mail without it is nobody's."""
    submission = Submission("ana@ruiz.example", "Ana", "Achetez", "Un texte", (), "")
    form = message.written(submission, "contact", "support@figurative.example", NOW, "", b"key")
    with form.content as content:
        (tmp_path / "form.eml").write_bytes(content.read())
    mail = parser.parse(tmp_path / "form.eml", "", NOW)
    proven = identify(mail, OWN, "", b"key")
    assert (proven.sender.addr_spec, reason_against(proven, OWN, NOW)) == ("ana@ruiz.example", None)
    assert not repeats_words(proven, OWN)
    assert reason_against(identify(mail, OWN, "", b"other"), OWN, NOW) is Acknowledgement.UNPROVEN


@pytest.mark.skipif(CASES is None, reason="run with MAIL_CASES=<folder of .eml files and expected.jsonl>")
def test_mail_of_a_report_that_is_no_work_gets_no_letter() -> None:
    """As if our own server had vouched for each of them."""
    folder = Path(str(CASES))
    cases = [json.loads(line) for line in (folder / "expected.jsonl").read_text("utf-8").splitlines()]
    ignored = [case["name"] for case in cases if case["ignored"]]
    answered = []
    for name in ignored:
        mail = replace(parser.parse(folder / f"{name}.eml", "", NOW), verified=True, sent_at=NOW)
        if screen(mail, own=OWN) is None and reason_against(mail, OWN, NOW) is None:
            answered.append(name)
    assert len(ignored) > 10
    assert answered == []


def test_tag_of_an_address_makes_no_other_person_of_it() -> None:
    """Nobody gets more letters than others by a form that is filled in for ana+1@, ana+2@ and so on."""
    assert mailbox_of("Ana+1@Ruiz.example") == mailbox_of("ana@ruiz.example") == "ana@ruiz.example"
    assert mailbox_of("+1@ruiz.example") == "+1@ruiz.example"
    assert mailbox_of("a.n.a+1@googlemail.com") == mailbox_of("ana@gmail.com") == "ana@gmail.com"
    assert mailbox_of("a.na@ruiz.example") == "a.na@ruiz.example"


def test_sender_gets_only_so_many_letters_in_24_hours() -> None:
    """Another try of the same mail is no further letter."""
    facts = DatedFacts()
    assert [reserve(facts, "ana", each, NOW, 2) for each in ("1", "2", "2", "3")] == [True, True, True, False]  # type: ignore[arg-type]
    assert reserve(facts, "ben", "3", NOW, 2)  # type: ignore[arg-type]
    facts.now = NOW + timedelta(hours=24, seconds=1)
    assert reserve(facts, "ana", "4", facts.now, 2)  # type: ignore[arg-type]
