"""A ticket under another category: our lines are put right, and no words of a person are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poller.model import Category, DispatchResult, Request
from poller.rendering.phrases import marker
from poller.rendering.ticket_update import LIMIT_CHARS, updated_ticket_content
from poller.rendering.tickets import ticket_content
from tests.rendering.test_tickets import DONE, MODEL, PHOTO, PLAN, REQUEST, SURE, UNSURE

AS_SUPPORT = replace(SURE, category=Category.SUPPORT)
SUPPORT, MODELISATION = DispatchResult(AS_SUPPORT), DONE
WITH_PLAN = replace(REQUEST, attachments=(PHOTO, MODEL, PLAN))


def test_update_of_unedited_ticket_equals_new_content() -> None:
    """There, with the links in place of what had stayed in the mail; on the way back the links stay."""
    there = updated_ticket_content(ticket_content(REQUEST, SUPPORT), REQUEST, MODELISATION)
    assert there == ticket_content(REQUEST, MODELISATION)
    assert updated_ticket_content(there, REQUEST, MODELISATION) == there
    back = replace(MODELISATION, classification=AS_SUPPORT)
    assert updated_ticket_content(there, REQUEST, back) == ticket_content(REQUEST, back)


def test_update_keeps_list_of_files_not_uploaded() -> None:
    content = updated_ticket_content(ticket_content(WITH_PLAN, SUPPORT), WITH_PLAN, MODELISATION)
    (left,) = [block for block in content.split("\n\n") if block.startswith("Resté")]
    assert [line.partition(" (")[0] for line in left.split("\n")[1:]] == ["- plan.pdf"]


@pytest.mark.parametrize("mail", [REQUEST, WITH_PLAN], ids=["all uploaded", "one left"])
def test_update_keeps_all_text_of_agents(mail: Request) -> None:
    """Before, between and behind ours, in our own lists, and where an editor has made our spaces plain ones."""
    ours = ticket_content(mail, SUPPORT).replace("\xa0", " ")
    edited = f"VU PAR PAUL\n{ours}\nRAPPELER LUNDI".replace("Une chaise.", "Une chaise. ROUGE")
    edited = edited.replace("- photo.jpg", "- EN DOUBLE photo.jpg")
    content = updated_ticket_content(edited, mail, MODELISATION)
    for words in ("VU PAR PAUL", "ROUGE", "- EN DOUBLE photo.jpg", "RAPPELER LUNDI", "Demande\xa0: modélisation"):
        assert words in content
    assert "- model.glb" not in content.partition("Fichiers")[0]
    assert all(file.url in content for file in MODELISATION.files)


def test_update_ignores_ticket_text_quoted_in_mail() -> None:
    """It may quote another ticket, its category and its files."""
    words = "Bonjour,\nDemande : support\nResté dans le message :\n- autre.glb (2 Mo)\nMerci."
    mail = replace(REQUEST, text=words)
    assert updated_ticket_content(ticket_content(mail, SUPPORT), mail, MODELISATION) == ticket_content(
        mail, MODELISATION
    )


def test_update_keeps_empty_lines_of_agents() -> None:
    """Behind the line that is put right, too."""
    content = "Demande : support\n\n\nRAPPELER LUNDI"
    done = replace(MODELISATION, files=(), uploads=())
    assert updated_ticket_content(content, REQUEST, done) == content.replace(
        "Demande : support", "Demande\xa0: modélisation"
    )


def test_update_marks_review_done_and_keeps_its_reason() -> None:
    unsure = replace(SUPPORT, classification=replace(UNSURE, category=Category.SUPPORT))
    content = updated_ticket_content(ticket_content(REQUEST, unsure), REQUEST, MODELISATION)
    assert content.startswith("Vérifié\xa0: classement fait à la main. Deux demandes en une.")


def test_update_only_adds_links_to_rewritten_ticket() -> None:
    """They come at the end; without any to add nothing changes, as where only a word of ours is alike."""
    own = "Demande : support du fauteuil\nVu avec la cliente."
    assert updated_ticket_content(own, REQUEST, SUPPORT) == own
    content = updated_ticket_content(own, REQUEST, MODELISATION)
    assert content.startswith(own + "\n\nFichiers")
    assert updated_ticket_content(content, REQUEST, MODELISATION) == content


def test_update_adds_as_many_links_as_fit() -> None:
    full = "x" * (LIMIT_CHARS - 150) + f"\n{marker(REQUEST.reference)}"
    content = updated_ticket_content(full, REQUEST, MODELISATION)
    assert len(content) <= LIMIT_CHARS + 100
    assert "et 1 de plus" in content


def test_update_adds_no_links_to_full_ticket() -> None:
    """HubSpot would refuse all of it, at every try; they stand in the note."""
    content = f"Demande : support\n{'x' * LIMIT_CHARS}"
    assert updated_ticket_content(content, REQUEST, MODELISATION) == content.replace(
        "Demande : support", "Demande\xa0: modélisation"
    )
