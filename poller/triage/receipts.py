"""Recognise what programs tell of mails and files that were sent: that one was read, recalled or downloaded.

Each function returns the reason, in a few English words without personal data, or None.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime.addresses import aligned
from poller.triage.sender import is_of_transfer_service, opening
from poller.triage.wording import vocabulary
from poller.triage.wording.reading import folded

if TYPE_CHECKING:
    from poller.model import Request

# The confirmation that a mail was read, where it has not the form of a report (RFC 8098).
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
# Outlook's whole text where the author recalls a mail: a recall reaches no other company. No person says it of another.
_RECALL = re.compile(
    r"(?!(?:je|nous|i|we|ich|wir|yo|io) )[^\n«“”„\"]{2,100} (?:(?:souhaite(?:rait)?|aimerait|voudrait) rappeler"
    r" le message|would like to recall the message|m\u00f6chte die nachricht|desea recuperar el mensaje"
    r"|desidera richiamare il messaggio"
    r"|wil het bericht),? [«“„\"][^\n]{0,300}[»“”\"](?: zur\u00fcckrufen| intrekken)?\.?(?:\n|$)",
    re.IGNORECASE,
)
# In the words of transfer services to the giver of files. Whoever hands files over is named: "... par Ana Ruiz".
_OF_A_TRANSFER = re.compile(
    r"\b(?:your (?:files?|transfer|upload) (?:has|have|was|were|is|are)(?: been)?(?: successfully)?"
    r" (?:sent|transferred|uploaded|delivered|downloaded)|files? (?:successfully )?sent(?: successfully)? to"
    r"|downloaded your (?:files?|transfer)"
    r"|(?:vos fichiers (?:ont|sont)|votre (?:transfert|envoi) (?:a|est))(?: bien)?(?: ete)?(?: bien)?"
    r" (?:envoye|transfere|telecharge|transmis)e?s?|fichiers? (?:bien )?envoyes?(?: avec succes)? a"
    r"|a (?:bien )?telecharge (?:vos|votre) (?:fichiers?|transfert|envoi|documents?)"
    r"|(?:ihre|deine) dateien wurden (?:\w+ )?(?:gesendet|verschickt|heruntergeladen)"
    r"|(?:ihr|dein) transfer wurde (?:\w+ )?(?:gesendet|verschickt|heruntergeladen)"
    r"|hat (?:ihre|deine) dateien heruntergeladen)\b(?! (?:by|par|von|de la part)\b)"
)
_HANDS_OVER = re.compile(r"\b(?:vous a (?:envoye|transmis|partage)|sent you|shared|hat (?:ihnen|dir))\b")


def read_receipt(request: Request) -> str | None:
    """Recognise a read receipt without the form of a report, as some phones and older Outlooks send it, or None."""
    said = folded(request.text[:_RECEIPT_CHARS])
    of_a_mail = _RECEIPT_WORDS.search(said) and _MAIL.search(said)
    is_receipt = of_a_mail and _RECEIPT_SUBJECT.match(request.subject) and not vocabulary.GO_AHEAD.search(said)
    return "read receipt (subject)" if is_receipt else None


def recall(request: Request) -> str | None:
    """Recognise Outlook's notice that the author of a mail recalls it."""
    return "recall of a mail" if _RECALL.match(request.newest.strip()) else None


def transfer_receipt(request: Request) -> str | None:
    """Recognise the mail of a transfer service to who gave it files: they are sent, or were downloaded."""
    service, person = (each.addr_spec.rpartition("@")[2] for each in (request.author, request.sender))
    if not (is_of_transfer_service(request) and aligned(service, person)):
        return None
    said = folded(opening(request))
    is_receipt = _OF_A_TRANSFER.search(said) and not _HANDS_OVER.search(said)
    return "receipt of a transfer service" if is_receipt else None
