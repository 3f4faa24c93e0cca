"""Recognise the confirmation that a mail was read, where it has not the form of a report (RFC 8098)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.triage.wording.reading import folded

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


def read_receipt(request: Request) -> str | None:
    """Recognise a read receipt without the form of a report, as some phones and older Outlooks send it, or None."""
    if _RECEIPT_SUBJECT.match(request.subject) and _RECEIPT_WORDS.search(folded(request.text[:_RECEIPT_CHARS])):
        return "read receipt (subject)"
    return None
