"""What is never work: our own notifications, bounces, automatic replies, mailing lists, spam.

A mail that is screened out opens no ticket, so a rule here needs a sign that people's own mail does not bear; a doubt
is left to classification. `X-Auto-Response-Suppress` is no such sign: Exchange and help desks put it on ordinary mail
to keep others from answering automatically ([MS-OXCMAIL] section 2.1.3.2.20), so it only backs another one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.request import Kind
from poller.rules import folded

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.request import Request

OWN_HEADER = "X-Figurative-Poller"
OWN_DOMAIN = "figurative-poller.invalid"  # right-hand side of the Message-IDs that we make

_CALENDAR_READ_BYTES = 65_536
_CALENDAR_REPLY = re.compile(rb"^METHOD:REPLY\s*$", re.IGNORECASE | re.MULTILINE)

# Of vacation programs, help desks and web mail that do not write Auto-Submitted.
_AUTO_REPLY_FIELDS = (
    "x-autoreply",
    "x-auto-reply",
    "x-autoreply-from",
    "x-auto-reply-from",
    "x-mail-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-autoresponse",
    "x-vacation",
)
_BULK_FIELDS = ("list-unsubscribe-post", "feedback-id", "x-campaign-id", "x-campaignid")

# In folded text. A customer's own subject may begin with these words too ("Out of office chairs"), hence the end.
_AUTO_REPLY_WORDS = (
    r"(?:reponse automatique|absence du bureau|(?:message|notification) d absence|automatic reply|auto ?reply|"
    r"auto ?response|out of (?:the )?office(?: auto ?reply| reply)?|automatische antwort|abwesenheitsnotiz|"
    r"respuesta automatica|fuera de la oficina|risposta automatica|automatisch antwoord)"
)
_BOUNCE_WORDS = (
    r"(?:undeliver(?:able|ed)(?: mail)?(?: returned to sender)?|delivery status notification(?: failure| delay)?|"
    r"mail delivery (?:failed|failure|subsystem)(?: returning message to sender)?|delivery (?:failure|has failed)|"
    r"failure notice|returned mail|non remis|(?:message )?non distribuable|echec de (?:la )?(?:remise|distribution)|"
    r"unzustellbar|no se puede entregar|messaggio non recapitato)"
)
_END = r"(?: \.| re\b| fwd?\b|$)"
_AUTO_REPLY_SUBJECT = re.compile(_AUTO_REPLY_WORDS + _END)
_AUTO_REPLY_OPENING = re.compile(_AUTO_REPLY_WORDS + r"\b")
_BOUNCE_SUBJECT = re.compile(_BOUNCE_WORDS + _END)
_BOUNCE_MENTION = re.compile(_BOUNCE_WORDS + r"|\b(?:rejected|refused|fail(?:ed|ure)|echec|rejete)\b")


def screen(request: Request, *, own_domain: str = "") -> str | None:
    """Why a mail is never work, in a few English words without personal data; None when it is work.

    A mail with a 3D file is always work, unless it is our own or a bounce. `own_domain` is the domain of the mailbox
    that is read: what comes through a group address or a web form of that domain bears a list's marks and is a
    customer's; "" means that there is no such thing.
    """
    for rule in _NEVER:
        if reason := rule(request):
            return reason
    if any(attachment.kind is Kind.MODEL for attachment in request.attachments):
        return None
    rules = _AUTOMATIC if _is_ours(request, own_domain) else (*_AUTOMATIC, *_BULK)
    return next((reason for rule in rules if (reason := rule(request))), None)


def _is_ours(request: Request, own_domain: str) -> bool:
    """Whether the list, or the sender, is one of our own domain (List-Id: RFC 2919)."""
    if not own_domain:
        return False
    list_id = request.header("list-id").rpartition("<")[2].strip("> ").lower()
    return list_id.endswith("." + own_domain.lower()) or request.author.addr_spec.endswith("@" + own_domain.lower())


def _own_notification(request: Request) -> str | None:
    if request.header(OWN_HEADER) or request.message_id.endswith(f"@{OWN_DOMAIN}>"):
        return "own notification"
    return None


def _report(request: Request) -> str | None:
    """Bounces, delays, read receipts, abuse reports (RFC 6522)."""
    if not (content_type := request.header("content-type").lower()).startswith("multipart/report"):
        return None
    kind = re.search(r"report-type=\"?(delivery-status|disposition-notification|feedback-report)\b", content_type)
    return f"report ({kind[1]})" if kind else "report"


def _mailer_daemon(request: Request) -> str | None:
    local_part = request.author.addr_spec.partition("@")[0].lower()
    if local_part == "mailer-daemon":
        return "bounce (MAILER-DAEMON)"
    # In a small company postmaster is a person, who may be a customer.
    if local_part == "postmaster" and _BOUNCE_MENTION.search(folded(request.subject)):
        return "bounce (postmaster)"
    return None


def _failed_recipients(request: Request) -> str | None:
    return "bounce (X-Failed-Recipients)" if request.header("x-failed-recipients") else None


def _auto_submitted(request: Request) -> str | None:
    """RFC 3834 section 5: whatever is not "no" was sent by a program."""
    value = re.match(r"[a-z-]*", request.header("auto-submitted").strip().lower())
    if not value or value[0] in {"", "no"}:
        return None
    known = value[0] if value[0] in {"auto-replied", "auto-generated", "auto-notified"} else "other"
    return f"auto-reply (Auto-Submitted: {known})"


def _auto_reply_field(request: Request) -> str | None:
    name = next((n for n in _AUTO_REPLY_FIELDS if request.header(n).strip().lower() not in {"", "no", "false"}), None)
    return f"auto-reply ({name})" if name else None


def _null_envelope_sender(request: Request) -> str | None:
    """RFC 5321 section 4.5.5: what must never be answered."""
    return "auto-reply (Return-Path: <>)" if request.header("return-path").strip() == "<>" else None


def _calendar_reply(request: Request) -> str | None:
    """Somebody accepted or declined a meeting (RFC 5546 section 3.2.3); an invitation is a person's question."""
    if re.match(r"text/calendar\b.*\bmethod=\"?reply\b", request.header("content-type"), re.IGNORECASE):
        return "calendar reply"
    for attachment in request.attachments:
        if attachment.content_type == "text/calendar":
            with attachment.content.open() as stream:
                if _CALENDAR_REPLY.search(stream.read(_CALENDAR_READ_BYTES)):
                    return "calendar reply"
    return None


def _subject(request: Request) -> str | None:
    """The last hint, for servers that mark nothing."""
    subject = folded(request.subject)
    if _BOUNCE_SUBJECT.match(subject):
        return "bounce (subject)"
    if _AUTO_REPLY_SUBJECT.match(subject):
        return "auto-reply (subject)"
    if _AUTO_REPLY_OPENING.match(subject) and request.header("x-auto-response-suppress"):
        return "auto-reply (subject and X-Auto-Response-Suppress)"
    return None


def _spam(request: Request) -> str | None:
    """The verdict of the receiving server, as SpamAssassin writes it."""
    fields = ("x-spam-flag", "x-spam-status")
    return "spam" if any(request.header(name).strip().lower().startswith("yes") for name in fields) else None


def _precedence(request: Request) -> str | None:
    value = request.header("precedence").strip().lower()
    return f"bulk (Precedence: {value})" if value in {"bulk", "junk", "list", "auto_reply"} else None


def _mailing_list(request: Request) -> str | None:
    if request.header("list-id"):
        return "mailing list (List-Id)"
    # Alone it proves little: sales tools put it on a letter to one person.
    if request.header("list-unsubscribe") and any(request.header(name) for name in _BULK_FIELDS):
        return "bulk (List-Unsubscribe)"
    return None


_NEVER: tuple[Callable[[Request], str | None], ...] = (
    _own_notification,
    _report,
    _mailer_daemon,
    _failed_recipients,
)
_AUTOMATIC: tuple[Callable[[Request], str | None], ...] = (
    _auto_submitted,
    _auto_reply_field,
    _null_envelope_sender,
    _calendar_reply,
    _spam,
    _subject,
)
_BULK: tuple[Callable[[Request], str | None], ...] = (_precedence, _mailing_list)
