"""The letter to the customer: what it says, in which language, and that a stranger's words harm nobody in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from integrations.errors import ConfigurationError
from poller.config.settings import Settings
from poller.model import (
    Acknowledgement,
    Address,
    Category,
    Classification,
    DispatchResult,
    ModelFacts,
    ModelIssue,
    Preview,
)
from poller.rendering import receipt
from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
from poller.triage.language import Language
from tests.rendering.test_template import HOSTILE, OURS, Seen, hostile_done, hostile_request
from tests.rendering.test_tickets import REQUEST
from tests.support import rendered_texts as outputs

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

NAMED = ("Auto-Submitted", "X-Auto-Response-Suppress", "Reply-To", "In-Reply-To", "Message-ID")
FRIDAY = datetime(2026, 11, 27, 15, 20, tzinfo=UTC)
CHAIR = ModelFacts(
    triangles=15_000,
    size=(0.812, 0.45, 0.43),
    unit="m",
    issues=(ModelIssue.MISSING_FILES,),
    missing=("bois.png",),
)
PICTURE = "https://files.example/0.apercu.png"
MODELLING = Classification(Category.MODELISATION, 1.0, "rules", "", needs_review=False)


def settings(**given: Any) -> Settings:
    mailbox = {"host": "h", "username": "support@figurative.example", "password": "x"}
    return Settings.model_validate(
        {"imap": mailbox, "smtp": {"host": "h", "sender": "robot@figurative.example"}} | given
    )


def sent(request: Any, done: DispatchResult, language: Language, *, repeats: bool, **given: Any) -> bytes:
    """Write the letter as it goes over the wire."""
    written = AcknowledgementWriter(settings(**given)).write(request, done, language, FRIDAY, repeats=repeats)
    return written.as_bytes(policy=policy.SMTP.clone(cte_type="7bit"))


def letter(
    request: Any = REQUEST,
    done: DispatchResult | None = None,
    language: Language = Language.FRENCH,
    *,
    repeats: bool = True,
    **given: Any,
) -> EmailMessage:
    """Write the letter, and read what would be sent."""
    done = done or DispatchResult(MODELLING, previews=(Preview(0, facts=CHAIR, url=PICTURE),))
    return message_from_bytes(sent(request, done, language, repeats=repeats, **given), policy=policy.default)


def body(message: EmailMessage, kind: str = "plain") -> str:
    return str(message.get_body((kind,)).get_content()).replace("\r\n", "\n")  # type: ignore[union-attr, arg-type]


def test_letter_about_a_model_says_what_came_and_what_is_missing() -> None:
    text, html = (body(letter(), kind) for kind in ("plain", "html"))
    for words in (
        "15\u202f000\xa0triangles, 812\xa0×\xa0450\xa0×\xa0430\xa0mm",
        "Ce modèle utilise «\xa0bois.png\xa0», qui n’était pas joint\xa0: merci de nous l’envoyer.",
        f"Référence\xa0: {REQUEST.reference}",
        "au plus tard le lundi 30\xa0novembre à 16\xa0h (heure de Paris)",
    ):
        assert words in text
    assert f'src="{PICTURE}"' in html


def test_letter_in_english_has_english_numbers_and_days() -> None:
    message = letter(language=Language.ENGLISH)
    for text in (body(message), body(message, "html")):
        assert "15,000\xa0triangles" in text
        assert "Monday 30 November at 16:00" in text
        assert "“bois.png”" in text
    assert message["Subject"].startswith("We have received “")


def test_letter_asks_for_the_unit_only_where_none_is_stated() -> None:
    asks = "ne précise pas l’unité"
    assert asks not in body(letter())
    preview = Preview(0, facts=replace(CHAIR, unit=""), url=PICTURE)
    assert asks in body(letter(done=DispatchResult(MODELLING, previews=(preview,))))


@pytest.mark.parametrize(
    ("found", "lists"),
    [
        (MODELLING, True),
        (replace(MODELLING, needs_review=True), False),
        (replace(MODELLING, category=Category.SUPPORT), False),
    ],
)
def test_letter_lists_files_of_certain_modelling_requests_only(found: Classification, lists: bool) -> None:
    assert ("Voici ce qui nous est parvenu" in body(letter(done=DispatchResult(found)))) is lists


def test_letter_names_a_closing_period_that_lies_before_the_answer() -> None:
    closed = {"closed_from": "2026-11-30", "closed_until": "2026-12-01"}
    text = body(letter(office=closed))
    assert "fermés du 30\xa0novembre 2026 au 1er\xa0décembre 2026 inclus" in text
    assert "mercredi 2\xa0décembre à 16\xa0h" in text
    assert "fermés" not in body(letter(office={"closed_from": "2026-12-24", "closed_until": "2026-12-31"}))


def test_letter_repeats_the_subject_without_its_prefixes() -> None:
    message = letter(replace(REQUEST, subject="[EXTERNAL] TR: RE: Une chaise"))
    assert message["Subject"] == "Bien reçu : Une chaise"


def test_promise_without_end_is_a_wrong_setting() -> None:
    """No letter could be written with it."""
    with pytest.raises(ValidationError, match="answer_within_h"):
        settings(acknowledgement={"answer_within_h": float("inf")})


def test_letter_without_a_promise_names_no_hour() -> None:
    assert "dès que possible" in body(letter(acknowledgement={"answer_within_h": 0}))


def test_letter_is_an_automatic_answer_that_finds_its_ticket() -> None:
    """RFC 3834: programs leave it alone; a long Message-ID, as of Exchange, is not encoded.

    Exchange is asked to answer it with nothing but the report that it was not delivered ([MS-OXCMAIL] 2.1.3.2.20).
    """
    named = "<" + "PAXPR02MB" * 9 + "@eurprd02.prod.outlook.com>"
    request = replace(REQUEST, message_id=named, references=("<1@ana.example>", "<=?utf-8?q?a=0Aa?=@x>"))
    message = letter(request)
    raw = sent(request, DispatchResult(MODELLING), Language.FRENCH, repeats=True)
    assert f"In-Reply-To: {named}\r\nReferences: <1@ana.example>\r\n {named}\r\n".encode() in raw
    found = {name: str(message[name]) for name in NAMED}
    assert found == {
        "Auto-Submitted": "auto-replied",
        "X-Auto-Response-Suppress": "DR, RN, NRN, OOF, AutoReply",
        "Reply-To": "support@figurative.example",
        "In-Reply-To": named,
        "Message-ID": f"<{REQUEST.reference}.acknowledgement@figurative-poller.invalid>",
    }
    assert message["References"].split() == ["<1@ana.example>", named]
    assert message["From"] == "Figurative <robot@figurative.example>"
    assert message["X-Figurative-Poller"] == "acknowledgement"


def test_letter_to_a_visitor_of_a_form_repeats_none_of_their_words() -> None:
    """Anybody can have it sent to anybody: it must not carry a stranger's words or pictures."""
    message = letter(repeats=False)
    raw = body(message) + body(message, "html") + str(message["Subject"])
    names = [attachment.filename for attachment in REQUEST.attachments]
    assert "Fichier 1" in raw
    assert not [words for words in (REQUEST.subject, "bois.png", PICTURE, *names) if words in raw]


@pytest.mark.parametrize("language", Language)
def test_letter_when_the_mail_is_hostile_shows_its_words_as_text(language: Language) -> None:
    words = HOSTILE + "\r\nBcc: victim@x.example\u202e"
    facts = ModelFacts(triangles=1, missing=(words,), issues=tuple(ModelIssue), unit=words, size=(1, 1, 1))
    request = replace(hostile_request(words), sender=Address(words, "ana@ruiz.example"))
    done = replace(hostile_done(words), previews=(Preview(0, words, facts, f"javascript:{words}"),))
    done = replace(done, classification=MODELLING)
    message = letter(request, done, language)
    assert message["Bcc"] is None
    assert message["To"] == "ana@ruiz.example"
    page = Seen(body(message, "html"))
    assert page.tags <= outputs.PAGE_TAGS
    assert page.attributes <= outputs.PAGE_ATTRIBUTES
    assert page.links <= OURS
    assert "<script>alert(1)</script>" in page.words


def test_templates_of_a_customer_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "acknowledgement.fr.txt").write_text("Reçu\n\nMerci, {{ letter.reference }} & cie\n")
    message = letter(acknowledgement={"templates": str(tmp_path)})
    assert (message["Subject"], body(message)) == ("Reçu", f"Merci, {REQUEST.reference} & cie\n")
    assert "Nous avons bien reçu" in body(message, "html")


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("Reçu\n\n{% if letter.subject %}\n", "acknowledgement.fr.txt, line 3"),
        ("Reçu\n\n{{ letter.sender }}\n", "'sender'"),
        ("Reçu\n\n{{ client }}\n", "'client' is undefined"),
        ("Reçu\n\n{{ letter.name() }}\n", "not callable"),
        ("Reçu\n\n{% include 'other.txt' %}\n", "other.txt"),
        ("Reçu\n\n{{ letter.__class__.__init__.__globals__ }}\n", "unsafe"),
        ("Reçu\n\n{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}\n", "recursion"),
        ("Reçu\n", "the first line is the subject"),
        (None, "has none of acknowledgement.fr.txt"),
    ],
)
def test_templates_that_do_not_work_are_a_wrong_setting(tmp_path: Path, template: str | None, fault: str) -> None:
    """Told at the start and by `poller check`, and not by the letters that never go out."""
    if template is not None:
        (tmp_path / "acknowledgement.fr.txt").write_text(template)
    with pytest.raises(ConfigurationError, match="templates") as refused:
        AcknowledgementWriter(settings(acknowledgement={"templates": str(tmp_path)}))
    assert fault in str(refused.value)


@pytest.mark.parametrize("fate", Acknowledgement)
def test_receipt_has_a_line_for_each_fate_of_the_letter(fate: Acknowledgement) -> None:
    """In French, and a person is asked only where the address was refused, at once or later."""
    told = receipt.receipt(REQUEST, DispatchResult(MODELLING, acknowledgement=fate), sender="robot@figurative.example")
    read = message_from_bytes(told.raw, policy=policy.default)
    (line,) = [line for line in body(read).splitlines() if "ccusé de réception" in line]  # type: ignore[arg-type]
    assert line[0] in "✓✗–"
    assert fate not in line
    plain = receipt.receipt(REQUEST, DispatchResult(MODELLING), sender="robot@figurative.example")
    needs_person = fate in {Acknowledgement.REFUSED, Acknowledgement.BOUNCED}
    assert told.needs_person is (plain.needs_person or needs_person)
