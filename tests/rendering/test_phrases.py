"""The French words that all texts share: people, sizes, files and services."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from poller.model import Address, Attachment, Category, Classification, DispatchResult, Kind, UploadDecision
from poller.own_mail import FORM_HEADER
from poller.rendering.phrases import (
    STEPS,
    attachments,
    author_fact,
    empty,
    left_behind,
    listed,
    moment,
    services_off,
    size,
    step_title,
    to_fetch,
    unverified,
    who,
    who_wrote,
    whose_answer,
)
from poller.triage import attachment_policy
from tests.rendering.test_tickets import DONE, LOGO, MODEL, PHOTO, PLAN, REQUEST, SURE, attachment

REFUSED = replace(attachment("devis.pdf.exe", Kind.OTHER), refused=True)
ANSWER = replace(SURE, category=Category.SUPPORT, decided_by="thread")


@pytest.mark.parametrize(
    ("classification", "file", "decision", "skipped", "reason"),
    [
        (SURE, LOGO, UploadDecision.INLINE, ("upload_files",), "image intégrée au texte"),
        (SURE, LOGO, UploadDecision.LOGO, (), "logo de signature"),
        (SURE, PHOTO, UploadDecision.LOGO, (), "image déjà reçue de cet expéditeur"),
        (SURE, REFUSED, UploadDecision.REFUSED, (), "type refusé (peut contenir un programme)"),
        (SURE, PLAN, UploadDecision.KEPT, ("upload_files",), "type de fichier non déposé"),
        (SURE, PHOTO, UploadDecision.KEPT, (), "type de fichier non déposé"),
        (SURE, MODEL, UploadDecision.FILE, ("upload_files",), "R2 non configuré"),
        (SURE, MODEL, UploadDecision.FILE, (), "dépôt non effectué"),
        (SURE, MODEL, UploadDecision.TOO_BIG, (), "trop volumineux (limite : 40 Mo)"),
        (SURE, PHOTO, UploadDecision.TOO_BIG, (), "trop volumineux (limite par message : 50 Mo)"),
        (SURE, MODEL, UploadDecision.OVER_CAP, (), "quota d’envoi de l’expéditeur atteint"),
        (replace(ANSWER, decided_by="rules"), MODEL, UploadDecision.FILE, (), ""),
        (replace(ANSWER, decided_by="rules"), MODEL, UploadDecision.TOO_BIG, (), ""),
        (replace(ANSWER, decided_by="rules"), PLAN, UploadDecision.KEPT, (), ""),
        (
            replace(ANSWER, decided_by="rules"),
            REFUSED,
            UploadDecision.REFUSED,
            (),
            "type refusé (peut contenir un programme)",
        ),
        (ANSWER, MODEL, UploadDecision.FILE, ("upload_files",), "R2 non configuré"),
        (ANSWER, MODEL, UploadDecision.TOO_BIG, (), "trop volumineux (limite : 40 Mo)"),
        (ANSWER, PLAN, UploadDecision.KEPT, (), "type de fichier non déposé"),
    ],
)
def test_left_behind_lists_each_file_with_reason(
    classification: Classification, file: Attachment, decision: UploadDecision, skipped: tuple[str, ...], reason: str
) -> None:
    """Each part that is not uploaded is listed with the reason; of a new support request nothing ever is."""
    done = DispatchResult(
        classification,
        skipped=skipped,
        upload_decisions=(decision,),
        max_file_bytes=40_000_000,
        max_mail_bytes=50_000_000,
    )
    ((shown, label),) = left_behind(replace(REQUEST, attachments=(file,)), done)
    assert shown is decision
    assert label.replace("\xa0", " ").partition("), ")[2] == reason


def test_duplicate_names_the_file_it_repeats() -> None:
    photo = replace(PHOTO, fingerprint="0" * 32)
    request = replace(REQUEST, attachments=(photo, replace(photo, filename="photo (2).jpg")))
    done = DispatchResult(SURE, upload_decisions=attachment_policy.decide_uploads(request), uploads=((0, ""),))
    assert left_behind(request, done) == [(UploadDecision.DUPLICATE, "photo (2).jpg (1,2\xa0Mo), doublon de photo.jpg")]


def test_left_behind_names_right_one_of_two_similar_files() -> None:
    """Two attachments of one name and size are two files."""
    request = replace(REQUEST, attachments=(PHOTO, PHOTO))
    assert len(left_behind(request, replace(DONE, uploads=((1, ""),)))) == 1
    assert left_behind(request, DONE) == []


def test_left_behind_lists_files_without_recorded_decision() -> None:
    request = replace(REQUEST, attachments=(PLAN, MODEL))
    labels = [label for _, label in left_behind(request, DispatchResult(SURE, upload_decisions=(UploadDecision.FILE,)))]
    assert labels == ["plan.pdf (240\xa0ko), type de fichier non déposé", "model.glb (48\xa0Mo), dépôt non effectué"]


def test_files_of_truncated_mail_have_no_size() -> None:
    """What of the last one is here is not what it is in full."""
    request = replace(REQUEST, defects=(attachment_policy.oversize(62_000_000),))
    done = DispatchResult(SURE, upload_decisions=attachment_policy.decide_uploads(request))
    assert [label for _, label in left_behind(request, done)] == [
        "photo.jpg, non téléchargé",
        "model.glb, non téléchargé",
    ]


def test_services_off_lists_each_service_once() -> None:
    skipped = ("upload_files", "find_or_create_contact", "create_ticket", "create_subtask", "add_comment")
    assert services_off(DispatchResult(SURE, skipped=skipped)) == [
        ("R2", ["dépôt des fichiers"]),
        ("HubSpot", ["fiche contact", "ticket HubSpot"]),
        ("ClickUp", ["sous-tâche ClickUp", "commentaire ClickUp"]),
    ]
    assert set(skipped) <= set(STEPS)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 octet"),
        (1, "1 octet"),
        (999, "999 octets"),
        (1000, "1 ko"),
        (999_499, "999 ko"),
        (999_500, "1,0 Mo"),
        (1_250_000, "1,2 Mo"),
        (9_940_000, "9,9 Mo"),
        (9_960_000, "10 Mo"),
        (1_500_000_000, "1500 Mo"),
    ],
)
def test_size_is_formatted_in_french_units(size_bytes: int, words: str) -> None:
    assert size(size_bytes).replace("\xa0", " ") == words


def test_attachments_say_of_each_file_where_it_is() -> None:
    """In the mail's order: the link of a stored file, or the reason why it stayed."""
    request = replace(REQUEST, attachments=(PLAN, PHOTO))
    done = replace(DONE, uploads=((1, "https://files.example/photo.jpg"),))
    assert attachments(request, done) == [
        ("plan.pdf (240\xa0ko), type de fichier non déposé", ""),
        ("photo.jpg (1,2\xa0Mo), déposé", "https://files.example/photo.jpg"),
    ]


def test_empty_files_are_named_where_their_size_is_known() -> None:
    request = replace(REQUEST, attachments=(replace(MODEL, size_bytes=0), replace(PLAN, size_bytes=0), PHOTO))
    assert empty(request) == ["model.glb"]
    assert empty(replace(request, defects=(attachment_policy.oversize(62_000_000),))) == []


def test_step_title_of_a_step_of_a_later_release_is_its_name() -> None:
    assert (step_title("create_note"), step_title("send_postcard")) == ("Note HubSpot", "Send_postcard")


@pytest.mark.parametrize(
    ("display_name", "addr_spec", "words"),
    [
        ("Jeanne Petit", "user@example.com", "Jeanne Petit <user@example.com>"),
        ("", "user@example.com", "user@example.com"),
        ("user@example.com", "user@example.com", "user@example.com"),
        ("Jeanne Petit", "", "Jeanne Petit"),
        ("", "", "expéditeur inconnu"),
        ("Jeanne\r\nPetit", "user@example.com", "Jeanne Petit <user@example.com>"),
    ],
)
def test_person_is_named_on_one_line_by_what_is_known(display_name: str, addr_spec: str, words: str) -> None:
    assert who(Address(display_name, addr_spec)) == words


FORM = Address("Jeanne Petit", "form@figurative.example")
FORWARDER = Address("Paul", "paul@figurative.example")


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({}, None),
        ({"author": Address("J.", "USER@example.com")}, None),
        ({"author": FORWARDER}, ("Expéditeur affiché", "Paul <paul@figurative.example>")),
        (
            {"author": FORWARDER, "original_senders": (REQUEST.sender,)},
            ("Transféré par", "Paul <paul@figurative.example>"),
        ),
        (
            {"author": FORM, "headers": ((FORM_HEADER.lower(), "contact"),)},
            ("Formulaire «\xa0contact\xa0»", "form@figurative.example"),
        ),
        (
            {"author": FORM, "headers": ((FORM_HEADER.lower(), "<script>"),)},
            ("Expéditeur affiché", "Jeanne Petit <form@figurative.example>"),
        ),
    ],
)
def test_author_is_named_where_it_is_not_the_customer(changes: dict[str, Any], fact: tuple[str, str] | None) -> None:
    assert author_fact(replace(REQUEST, **changes)) == fact


@pytest.mark.parametrize(("verified", "is_said"), [(True, False), (None, False), (False, True)])
def test_unverified_sender_is_said_when_our_server_denies_it(*, verified: bool | None, is_said: bool) -> None:
    sentence = unverified(replace(REQUEST, verified=verified))
    assert ("user@example.com" in sentence, bool(sentence)) == (is_said, is_said)


def test_links_to_fetch_are_those_of_the_web() -> None:
    links = ("https://we.tl/t-1", "javascript:alert(1)", "https://we.tl/t-2\r\nx")
    found = to_fetch(replace(REQUEST, links=links))
    assert found[0] == "https://we.tl/t-1"
    assert all(each.startswith("https://we.tl/") and each.splitlines() == [each] for each in found)


def test_list_longer_than_its_bound_counts_the_rest() -> None:
    assert list(listed(["aaa", "bbb", "ccc"], 8)) == ["aaa", "bbb", "et 1 de plus"]
    assert list(listed(["aaa"], 4)) == ["aaa"]
    assert list(listed(["aaa", "bbb"], 0, more="<{}>")) == ["<et 2 de plus>"]


def test_answer_is_named_by_its_writer() -> None:
    assert whose_answer(colleague=False) == "Réponse du client"
    assert whose_answer(colleague=True) == "Réponse d’un collègue"
    assert who_wrote(colleague=False) == "Le client a écrit"
    assert who_wrote(colleague=True) == "Un collègue a écrit"


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        (datetime(2026, 11, 22, 9, 30, tzinfo=UTC), "UTC", "dimanche 22 novembre 2026 à 9 h 30"),
        (datetime(2026, 7, 31, 22, 5, tzinfo=UTC), "Europe/Paris", "samedi 1er août 2026 à 0 h 05"),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "America/Guadeloupe", "mercredi 31 décembre 2025 à 20 h 00"),
    ],
)
def test_moment_is_said_in_the_zone_of_the_reader(at: datetime, zone: str, words: str) -> None:
    assert moment(at, ZoneInfo(zone)).replace("\xa0", " ") == words
