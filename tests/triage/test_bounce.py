"""Recognise the words of a bounce, and no others."""

from __future__ import annotations

import pytest

from poller.triage.bounce import bounced, has_bounce_subject, mentions_bounce, names_undelivered, tells_of_delivery
from tests.triage.helpers import request


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Delivery delayed: Votre devis", "Your message is late."),
        ("Remise différée : Votre message", "x"),
        ("Devis", "Unable to deliver to x@e.example"),
    ],
)
def test_report_of_a_mail_that_did_not_arrive_mentions_it(subject: str, text: str) -> None:
    assert mentions_bounce(request(subject=subject, text=text))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Devis", "Une chaise en 3D ?"),
        ("Re: Devis", "La chaise a été remise aux clients."),
        ("Delivery of the sofa", "It has been delayed by a week."),
        ("Delivery delayed for our sofa", "It will only leave the factory in May."),
        ("Échantillons", "Le colis n'a pas été distribué, à quelle adresse l'envoyer ?"),
    ],
)
def test_words_of_a_person_are_no_report(subject: str, text: str) -> None:
    assert not mentions_bounce(request(subject=subject, text=text))


def test_report_of_a_delivery_is_known() -> None:
    relayed = "La remise est terminée, mais aucune notification de remise n'a été envoyée."
    assert tells_of_delivery(request(subject="Relayé : Devis", text=relayed))
    assert tells_of_delivery(request(text="Your message has been delivered to the following recipients:"))
    assert not tells_of_delivery(request(subject="Re: Devis", text=relayed))
    assert not tells_of_delivery(request(text="La chaise a été remise aux clients."))
    assert not tells_of_delivery(request(text="Le devis a été remis à notre direction.\nana@e.example"))
    assert not tells_of_delivery(request(text="The sample has been delivered to your studio.\nana@e.example"))


def test_bounce_by_subject_names_a_recipient_or_a_code() -> None:
    assert has_bounce_subject(request(subject="Non remis : Devis"))
    assert not has_bounce_subject(request(subject="Re: Non remis : Devis"))
    failed = "Your message could not be delivered"
    assert names_undelivered(request(text=f"{failed}: 5.1.1"))
    assert names_undelivered(request(text=f"{failed} to ana@e.example"))
    assert not names_undelivered(request(text=failed))
    assert not names_undelivered(request(text="The parcel could not be delivered, ask ana@e.example."))


def test_report_names_our_letter_only_when_it_failed() -> None:
    letter = b"\n\nMessage-ID: <0123456789abcdef.acknowledgement@figurative-poller.invalid>\n"
    assert bounced(b"Action: failed" + letter) == "0123456789abcdef"
    assert bounced(b"Action: delayed" + letter) == ""
