"""The parts that notifications and receipts share."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest

from poller.model import Category, DispatchResult, Opinion, Preview, StoredFile, UploadDecision
from poller.rendering import letter_parts
from poller.rendering.mail_page import LEFT, Tone
from poller.rendering.receipt import failure_receipt, receipt
from poller.workflow.errors import StepFailedError
from tests.rendering.test_stored_files import FACTS, LINE, MISSING, SHOWN, plain
from tests.rendering.test_tickets import DONE, FILES, LOGO, PLAN, REQUEST, SURE
from tests.support.rendered_texts import Page

SENDER = "support@figurative.example"
FAILURE = StepFailedError("create_subtask", "refused", "HTTP 404")


def read(raw: bytes) -> tuple[str, Page, str]:
    """Return the text, the page and the sender of a receipt."""
    message = message_from_bytes(raw, policy=policy.default)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[attr-defined]
    return plain(text.replace("\r\n", "\n")), Page(html), message["From"]


def test_receipt_has_words_pictures_and_facts() -> None:
    """The same as the notification, in the same mailbox as the mail: pictures are linked, facts stand in the text."""
    text, page, sender = read(receipt(REQUEST, SHOWN, sender=SENDER, zone=ZoneInfo("Europe/Paris")).raw)
    assert sender == f"Modélisation · à vérifier <{SENDER}>"
    assert "Reçu le : dimanche 22 novembre 2026 à 1 h 00\n" in text
    assert "\n\nLe client a écrit :\n> Bonjour,\n>\n> Une chaise.\n\n" in text
    assert f"✓ model.glb (48 Mo), déposé : {FILES}/model.glb\n  {LINE}\n  {MISSING}\n" in text
    assert f"Tout télécharger (49 Mo) : {FILES}/tout.zip" in text
    assert "✓ 2 aperçus des fichiers\n" in text
    assert page.pictures == {f"{FILES}/photo.jpg", f"{FILES}/model.glb.apercu.png"}


def test_failure_receipt_has_words_button_and_origin() -> None:
    made = failure_receipt(
        REQUEST, REQUEST.reference, FAILURE, DONE, [], detail="HTTP 404", stamp="1", sender=SENDER, mailbox="À revoir"
    )
    text, page, _ = read(made.raw)
    assert "le message est classé dans le dossier « À revoir »." in text
    assert "Vérifiez « parent_task_id » dans la section [clickup] de config.toml" in text
    assert "> Une chaise." in text
    assert "\nMessage d’origine du service :\nHTTP 404\n" in text
    assert DONE.ticket
    assert f"Ouvrir le ticket HubSpot : {DONE.ticket.url}\n" in text
    assert DONE.ticket.url in page.links


@pytest.mark.parametrize(
    ("opinion", "decided_by", "line"),
    [
        (Opinion(Category.MODELISATION, 0.97, sure=True), "claude", "même avis (confiance : 97 %)"),
        (
            Opinion(Category.SUPPORT, 0.7, sure=False),
            "claude",
            "Support (confiance : 70 %, pas assez pour décider)",
        ),
        (Opinion(Category.MODELISATION, 0.97, sure=True), "learned", None),
        (None, "rules", None),
    ],
)
def test_receipt_has_opinion_beside_decision(opinion: Opinion | None, decided_by: str, line: str | None) -> None:
    done = replace(DONE, classification=replace(SURE, decided_by=decided_by, opinion=opinion))
    text, *_ = read(receipt(REQUEST, done, sender=SENDER).raw)
    assert ("Avis appris" in text) == bool(line)
    assert line is None or f"Avis appris : {line}\n" in text


@pytest.mark.parametrize(
    ("category", "decided_by", "words", "tone"),
    [
        (Category.SUPPORT, "rules", "Support (confiance : 95 %)", Tone.SUPPORT),
        (Category.MODELISATION, "person", "Modélisation (catégorie choisie par une personne)", Tone.MODELISATION),
    ],
)
def test_category_has_words_and_colour(category: Category, decided_by: str, words: str, tone: Tone) -> None:
    found = replace(SURE, category=category, decided_by=decided_by)
    assert plain(letter_parts.sureness(found)) == words
    assert letter_parts.tone(DispatchResult(found)) is tone


@pytest.mark.parametrize(
    ("category", "heading"),
    [(Category.SUPPORT, "Pièces jointes, dans le message"), (Category.MODELISATION, "Resté dans le message")],
)
def test_what_stayed_is_one_list(category: Category, heading: str) -> None:
    request = replace(REQUEST, attachments=(PLAN, LOGO))
    done = DispatchResult(replace(SURE, category=category), upload_decisions=(UploadDecision.KEPT, UploadDecision.LOGO))
    ((title, lines),) = letter_parts.left_in_message(request, done)
    assert title == heading
    assert [(mark, url) for mark, _, url, *_ in lines] == [(LEFT, "")] * 2
    assert letter_parts.left_in_message(replace(request, attachments=()), DispatchResult(SURE)) == []


def test_pictures_are_those_of_stored_files() -> None:
    """Not of what is unknown to the mail, and none that is not https."""
    previews = (
        *(Preview(0, url=f"{FILES}/0.png"), Preview(0, "a.obj", FACTS, f"{FILES}/1.png")),
        *(Preview(1, url="http://files.example/2.png"), Preview(9, url=f"{FILES}/3.png")),
    )
    done = replace(DONE, previews=previews, uploads=(*DONE.uploads, (9, f"{FILES}/9.glb")))
    found = letter_parts.thumbnails(REQUEST, done)
    assert [(each.source, each.target, each.alt) for each in found] == [
        (f"{FILES}/0.png", f"{FILES}/photo.jpg", "Aperçu de photo.jpg"),
        (f"{FILES}/1.png", f"{FILES}/photo.jpg", "Aperçu de a.obj dans photo.jpg"),
    ]


def test_a_file_that_must_be_sent_again_is_to_check() -> None:
    """In an answer, too."""
    line = "« model.glb » : il manque « model.bin », à demander au client."
    for checks in (letter_parts.to_check(REQUEST, SHOWN), letter_parts.to_check_of_reply(REQUEST, SHOWN)):
        assert line in [plain(each) for each in checks]
    assert letter_parts.to_check(REQUEST, DONE) == []


def test_link_to_all_files_is_labelled_with_its_size() -> None:
    zipped = StoredFile("tout.zip", f"{FILES}/tout.zip", 1_000)
    label, url = letter_parts.all_files(replace(DONE, all_files=zipped))
    assert (plain(label), url) == ("Tout télécharger (1 ko)", zipped.url)
    assert letter_parts.all_files(DONE) == ("", "")
