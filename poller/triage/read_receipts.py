"""Recognise the confirmation that a mail was read, where it has not the form of a report (RFC 8098)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.triage import vocabulary
from poller.triage.rules import folded

if TYPE_CHECKING:
    from poller.model import Request

_RECEIPT_CHARS = 300  # of the text, in which a receipt says what it is
_RECEIPT_SUBJECT = re.compile(
    r"\s*(?:lu|non lu|read|not read|gelesen|le\u00eddo|(?:confirmation|accus\u00e9) de lecture"
    r"|(?:return|read) receipt(?: \(displayed\))?|lesebest\u00e4tigung|conferma di lettura"
    r"|confirmaci\u00f3n de lectura|letto|lida|gelezen|l\u00e4st|l\u00e6st|przeczytan[oey]|p\u0159e\u010dteno)\s*[:-]",
    re.IGNORECASE,
)
_RECEIPT_WORDS = re.compile(
    r"\b(?:a ete (?:lu|affiche|supprime sans)|(?:was|has been) (?:read|displayed|deleted without)"
    r"|wurde (?:[\w.]+ ){0,9}gelesen|fue leido|ha sido leido|foi lid[oa]|e stato letto"
    r"|(?:is|werd) (?:[\w.]+ ){0,9}gelezen|(?:blev|har) last|zostala przeczytana|byla prectena)\b"
)
# A person has read an offer or a brief, and goes on.
_MAIL = re.compile(
    r"\b(?:messages?|e ?mails?|mails?|courriels?|nachricht|mensaje|mensagem|messaggio|bericht|meddelande\w*"
    r"|besked\w*|wiadomosc|zprava)\b"
)


def read_receipt(request: Request) -> str | None:
    """Recognise a read receipt without the form of a report, as some phones and older Outlooks send it, or None."""
    said = folded(request.text[:_RECEIPT_CHARS])
    of_a_mail = _RECEIPT_WORDS.search(said) and _MAIL.search(said)
    is_receipt = of_a_mail and _RECEIPT_SUBJECT.match(request.subject) and not vocabulary.GO_AHEAD.search(said)
    return "read receipt (subject)" if is_receipt else None
