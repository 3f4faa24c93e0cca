"""Recognise the words of a bounce, and the report that our letter to a customer did not arrive (RFC 3464)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime.headers import END_OF_HEADER
from poller.mime.subject import prefix_of
from poller.own_mail import ACKNOWLEDGEMENT, OWN_DOMAIN
from poller.triage.wording.reading import folded

if TYPE_CHECKING:
    from poller.model import Request

FACT = "bounced-"  # before the reference of the message whose letter came back
_FAILED = re.compile(rb"^Action:[ \t]*failed\b", re.IGNORECASE | re.MULTILINE)  # and not "delayed"
_LETTER = rf":\s{{0,9}}<([0-9a-f]{{16}})\.{ACKNOWLEDGEMENT}@{re.escape(OWN_DOMAIN)}>"
_RETURNED = re.compile(rf"^Message-ID{_LETTER}".encode(), re.IGNORECASE | re.MULTILINE)
_ANSWERED = re.compile(rf"^In-Reply-To{_LETTER}".encode(), re.IGNORECASE | re.MULTILINE)

_NOTICE_CHARS = 2000
_OPENING_CHARS = 500  # in which a bounce says what it is
_NOT_DELIVERED = (
    r"(?:cannot|can t|couldn t|wasn t|not) (?:be )?(?:been )?delivered|unable to deliver|delivery problems?|"
    r"(?:n a|n ont) pas (?:pu etre|ete) (?:remis|delivre|distribue|achemine)\w*|impossible de (?:remettre|distribuer)|"
    r"(?:konnte|wurde) nicht zugestellt|nicht zustellbar|no (?:se )?(?:pudo|ha podido) (?:ser )?entreg\w+|"
    r"non (?:e stato|puo essere) (?:possibile )?(?:consegna\w+|recapita\w+)|nao (?:foi|pode ser) entregue|"
    r"(?:kon|kan) niet worden (?:bezorgd|afgeleverd)|kunde inte levereras|nie (?:zostala|mogla zostac) dostarczona"
)
_BOUNCE_WORDS = (
    r"(?:undeliver(?:able|ed)(?: mail)?(?: returned to sender)?|delivery status notification(?: failure| delay)?|"
    r"mail delivery (?:failed|failure|subsystem)(?: returning message to sender)?|delivery (?:failure|has failed)|"
    r"failure notice|returned mail|non remis|(?:message )?non distribuable|echec de (?:la )?(?:remise|distribution)|"
    r"(?:avis|rapport) de non (?:remise|distribution)|message non (?:remis|delivre|distribue)|"
    r"notification d etat de (?:la )?(?:remise|distribution)(?: echec| retard)?|"
    r"unzustellbar|no se puede entregar|messaggio non recapitato)"
)
_UNDELIVERED = re.compile(
    r"\b(?:" + _NOT_DELIVERED + r"|(?:could not|can ?not|couldn t|wasn t able to|unable to) (?:be )?deliver(?:ed)?"
    r"|undeliverable to|delivery (?:to|failed|has failed)|konnte nicht zugestellt"
    r"|(?:(?:n a|n ont) pas pu etre|pas ete) (?:remis|distribue|delivre)|[45]50 5 \d \d"
    r"|(?:address|adresse|user|recipient)\w* (?:not found|unknown|introuvable|inconnue?))"
)
_BOUNCE_SUBJECT = re.compile(_BOUNCE_WORDS + r"(?: \.| re\b| fwd?\b|$)")
# A bounce names whom it did not reach, or the code of the refusal.
_RECIPIENT = re.compile(r"[^\s<>@]@[^\s<>@]+\.[^\s<>@]|\b[45]\.\d\.\d")
_BOUNCE_MENTION = re.compile(_BOUNCE_WORDS + r"|\b(?:" + _NOT_DELIVERED + r"|delivery failed)\b")
# A parcel is late, too.
_DELAY_MENTION = re.compile(
    r"\b(?:delivery (?:is |has been )?delay(?:ed)?|delayed mail|remise (?:retardee|differee)|zustellung verzogert)\b"
)
# Of the text as it is written: a sample is delivered too, but to no address.
_RELAYED = re.compile(
    r"\b(?:aucune notification de remise|no delivery notification was sent"
    r"|(?:a été remis (?:aux?|à)|has been (?:successfully )?delivered to)\b"
    r"[^.\n]{0,40}?(?:destinataires?|recipients?|[^\s<>@]@[^\s<>@]))",
    re.IGNORECASE,
)
_OF_A_MAIL = re.compile(
    r"\b(?:messages?|e ?mails?|mails?|courriels?|nachricht(?:en)?|mensaje|messaggio|bericht|[45] \d \d)\b"
)
_FAILURE = re.compile(r"\b(?:rejected|refused|fail(?:ed|ure)|echec|rejete)\b")


def mentions_bounce(request: Request) -> bool:
    """Return whether a mail says that another was not delivered, in its subject, or in the text if it is no answer."""
    subject = folded(request.subject)
    if _BOUNCE_MENTION.search(subject) or (_DELAY_MENTION.search(subject) and _is_of_a_mail(request)):
        return True
    mentioned = _FAILURE.search(subject) or prefix_of(request.subject) is None
    names_one = _is_of_a_mail(request) or _RECIPIENT.search(request.text[:_OPENING_CHARS])
    return bool(mentioned and names_one and _UNDELIVERED.search(folded(request.text[:_OPENING_CHARS])))


def tells_of_delivery(request: Request) -> bool:
    """Return whether a mail that is no answer says in its first words that another was delivered, or passed on."""
    return prefix_of(request.subject) is None and _RELAYED.search(request.text[:_OPENING_CHARS]) is not None


def has_bounce_subject(request: Request) -> bool:
    """Return whether a subject begins as that of a bounce does."""
    return _BOUNCE_SUBJECT.match(folded(request.subject)) is not None


def names_undelivered(request: Request) -> bool:
    """Return whether a text says that a mail was not delivered, and names the recipient or the code of the refusal."""
    says_so = _UNDELIVERED.search(folded(request.text[:_OPENING_CHARS]))
    return bool(says_so and _RECIPIENT.search(request.text[:_NOTICE_CHARS]) and _is_of_a_mail(request))


def _is_of_a_mail(request: Request) -> bool:
    return _OF_A_MAIL.search(folded(f"{request.subject}\n{request.text[:_OPENING_CHARS]}")) is not None


def bounced(report: bytes) -> str:
    """Return the reference of the message whose letter did not arrive, "" if a delivery report tells of no such letter.

    `report` is the beginning of the raw message. A report returns the header of what it is about, or names it as what
    it answers. A mail that refers to our letter is another one.
    """
    if not _FAILED.search(report):
        return ""
    end = END_OF_HEADER.search(report)
    found = _RETURNED.search(report) or _ANSWERED.search(report, 0, end.start() if end else len(report))
    return found[1].decode() if found else ""
