"""Screen out mail that is never work: our own notifications, bounces, automatic replies, mailing lists, spam.

A mail that is screened out opens no ticket, so a rule here needs a sign that people's own mail does not bear. Doubtful
mail is left to classification. `X-Auto-Response-Suppress` is no such sign: Exchange and help desks put it on ordinary
mail to keep others from answering automatically ([MS-OXCMAIL] section 2.1.3.2.20), so it only backs another sign.

Some signs are stronger than others, and a person's mail may bear one by accident:

- Our own mail and bounces are never work, or the daemon could answer itself in a loop.
- Mail from a form of the site is always work: a person wrote its subject and text, and was told that it arrived.
- An answer to a ticket of ours is always work, even an out-of-office notice: it becomes a note there. The exception is
  a program's answer to our notification about the ticket, because each such note would cause another notification.
- Any other automatic reply is no work. The subject counts as a sign only if another sign points to a program too, for a
  person's answer also begins with "Re:". A 3D file is stronger: no program sends one.
- "auto-generated" mail, spam and bulk mail is no work, unless it brings a 3D file. But a form's mail belongs to the
  customer in its Reply-To.

A link to a transfer service does not count as a 3D file, because newsletters are full of them. But the mail by which
the service itself hands over a customer's files counts as one, although it bears all the marks of a program. Its
receipts do not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime import addresses
from poller.mime.addresses import aligned
from poller.model import Kind
from poller.own_mail import ACKNOWLEDGEMENT, HEADER, OWN_DOMAIN
from poller.triage import autoreply, bounce
from poller.triage.receipts import transfer_receipt
from poller.triage.sender import (
    from_our_form,
    is_addressed_to_us,
    is_of_transfer_service,
    is_ours,
    labelled_addresses,
    named_by_service,
    opening,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from poller.model import Request

OWN = "own notification"  # the reason given for screening out our own mail
DELIVERY_REPORT = "report (delivery-status)"  # and a report of whether a mail has arrived

_BULK_FIELDS = (
    "list-unsubscribe-post",
    "feedback-id",
    "x-campaign-id",
    "x-campaignid",
    "x-mc-user",
    "x-csa-complaints",
)
_SPAM_FIELDS = ("x-spam-flag", "x-spam-status", "x-spam")  # SpamAssassin's, and rspamd's
_MICROSOFT_SPAM = re.compile(r"(?:^|;)\s*sfv:(?:spm|sks|skb)\s*(?:;|$)", re.IGNORECASE)
_MICROSOFT_SPAM_LEVEL = 5  # SCL: from here a mail goes to the Junk Email folder

# Exchange sends its reports from an address of its own.
_MAILER_DAEMON = re.compile(r"\bmailer[-_ ]?daemon\b|\bmicrosoftexchange[0-9a-f]{32}@", re.IGNORECASE)
_NULL_ADDRESS = re.compile(r"<\s{0,9}>\s*$")
_AGGREGATE_SUBJECT = re.compile(r"\breport domain:\s*\S+\s+submitter:\s*\S+\s+report-id:", re.IGNORECASE)
_AGGREGATE_NAME = re.compile(
    r"[^!\s]+![^!\s]+!\d{9,11}!\d{9,11}(?:!.{1,80})?\.(?:xml|json|zip|gz|xml\.gz|json\.gz)", re.IGNORECASE
)


def screen(
    request: Request, *, own: Collection[str] = (), junk: bool | None = None, answer: bool = False
) -> str | None:
    """Return why a mail is never work, in a few English words without personal data, or None if it is work.

    `own` is as `sender.own_domains` gives it: mail through a group address or a web form of ours bears a list's marks
    and is a customer's. `junk` is the mailbox's verdict, which counts before the header, or None without one. `answer`
    asks about a mail that answers an existing ticket.
    """
    if reason := _first(_NEVER, request):
        return reason
    told = _answers_our_letter(request)
    if from_our_form(request, own) or _brings_files(request, own) or (answer and not told):
        return None
    generated = autoreply.auto_submitted(request) == autoreply.GENERATED
    signs = autoreply.ANSWERS if generated and (answer or _is_form(request, own)) else autoreply.SIGNS
    if (reason := _first(signs, request)) or answer:
        return reason
    if told and is_ours(request.author.addr_spec, own):
        return "answer to our own letter"
    if junk or (junk is None and _marked_as_spam(request)):
        return "spam"
    of_a_person = _is_ours(request, own) or _names_its_writer(request, own) or _is_of_a_group(request, own)
    return None if of_a_person else _first(_BULK, request)


def _answers_our_letter(request: Request) -> bool:
    """Return whether a mail answers a letter of ours.

    Every later mail of a customer refers to our letter to them, and need not answer it.
    """
    to_customer = f".{ACKNOWLEDGEMENT}@{OWN_DOMAIN}>"
    letters = (*request.in_reply_to, *(each for each in request.references if not each.endswith(to_customer)))
    return any(each.endswith(f"@{OWN_DOMAIN}>") for each in letters)


def sign_of_program(request: Request, *, junk: bool | None = None) -> str | None:
    """Return a sign that a mail may be a program's, a list's or a spammer's, be it work or not, None without any.

    Whoever may be no person must get no automatic answer (RFC 3834 section 2). `junk` is as for `screen`.
    """
    if junk or (junk is None and _marked_as_spam(request)):
        return "spam"
    lists = (name for name, _ in request.headers if name.startswith("list-"))
    named = (
        *lists,
        "mailing-list",
        "x-mailing-list",
        "precedence",
        "x-loop",
        "x-auto-response-suppress",
        *_BULK_FIELDS,
    )
    rules = (*autoreply.SIGNS, autoreply.subject, *_BULK)
    return _first(rules, request) or next((name for name in named if request.header(name)), None)


def _first(rules: Iterable[Callable[[Request], str | None]], request: Request) -> str | None:
    return next((reason for rule in rules if (reason := rule(request))), None)


def _brings_files(request: Request, own: Collection[str]) -> bool:
    """Return True for a 3D file, or a transfer service's mail about files left by the person whom it names."""
    if any(attachment.kind is Kind.MODEL for attachment in request.attachments):
        return True
    service, person = (each.addr_spec.rpartition("@")[2] for each in (request.author, request.sender))
    # Without Reply-To, the service names the person in its words. Its newsletters name nobody.
    return (
        is_of_transfer_service(request)
        and not transfer_receipt(request)
        and (not aligned(service, person) or bool(named_by_service(request, own)))
    )


def _is_ours(request: Request, own: Collection[str]) -> bool:
    """Return True if the list or the sender is one of our own (List-Id: RFC 2919)."""
    list_id = request.header("list-id").rpartition("<")[2].strip("> ").lower()
    return is_ours(request.author.addr_spec, own) or any(list_id.endswith("." + each) for each in own)


def _is_form(request: Request, own: Collection[str]) -> bool:
    """Return True if a program, not a list, forwards the words of an outside person in Reply-To."""
    form, person = (each.addr_spec.rpartition("@")[2] for each in (request.author, request.sender))
    return not (
        is_ours(request.sender.addr_spec, own)
        or aligned(form, person)
        or request.header("list-id")
        or request.header("x-original-from")
    )


def _names_its_writer(request: Request, own: Collection[str]) -> bool:
    """Return True if a form's mail names the address to answer among its fields, or in its first words.

    Services that send forms for others use mailers that add the marks of bulk mail. A newsletter has no such field.
    """
    person = request.sender.addr_spec.lower()
    if not person or not _is_form(request, own):
        return False
    return person in opening(request).lower() or any(
        each.addr_spec.lower() == person for each in labelled_addresses(request.text)
    )


def _is_of_a_group(request: Request, own: Collection[str]) -> bool:
    """Return True if a person's mail to their own company's group has us among its recipients.

    A newsletter has no address to post to, or is sent in bulk.
    """
    post = addresses.addresses(request.header("list-post").replace("mailto:", "").encode())
    domain = request.author.addr_spec.rpartition("@")[2]
    return (
        any(aligned(each.addr_spec.rpartition("@")[2], domain) for each in post)
        and is_addressed_to_us(request, own)
        and not any(request.header(name) for name in _BULK_FIELDS)
    )


def _own_notification(request: Request) -> str | None:
    if request.header(HEADER) or request.message_id.endswith(f"@{OWN_DOMAIN}>"):
        return OWN
    return None


def _report(request: Request) -> str | None:
    """Recognise bounces, delays, read receipts and abuse reports (RFC 6522)."""
    content_type = request.header("content-type").lower()
    if kind := re.match(r"message/(delivery-status|disposition-notification|feedback-report)\b", content_type):
        return f"report ({kind[1]})"
    if not content_type.startswith("multipart/report"):
        return None
    kind = re.search(r"report-type=\"?(delivery-status|disposition-notification|feedback-report)\b", content_type)
    return f"report ({kind[1]})" if kind else "report"


def _mailer_daemon(request: Request) -> str | None:
    author = request.author
    # Some servers write the name alone, without an address.
    if _MAILER_DAEMON.search(f"{author.display_name} {author.addr_spec} {request.header('from')}"):
        return "bounce (MAILER-DAEMON)"
    if not author.addr_spec and _NULL_ADDRESS.search(request.header("from")):
        return "bounce (From: <>)"
    # In a small company the postmaster is a person, who may be a customer.
    if author.addr_spec.partition("@")[0].lower() != "postmaster":
        return None
    if bounce.mentions_bounce(request):
        return "bounce (postmaster)"
    return "report (postmaster)" if bounce.tells_of_delivery(request) else None


def _dmarc_report(request: Request) -> str | None:
    """Recognise an aggregate report (RFC 7489 section 7.2.1.1), or one about TLS (RFC 8460 section 5.3)."""
    subject = _AGGREGATE_SUBJECT.search(request.subject)
    named = [_AGGREGATE_NAME.fullmatch(file.filename) for file in request.attachments]
    return "report (aggregate)" if subject or (named and all(named)) else None


def _failed_recipients(request: Request) -> str | None:
    return "bounce (X-Failed-Recipients)" if request.header("x-failed-recipients") else None


def _marked_as_spam(request: Request) -> bool:
    """Return True if the receiving server judged the mail as spam, in the words of SpamAssassin, rspamd or Exchange.

    A sender who forges such a field only harms their own mail.
    """
    if any(request.header(name).strip().lower().startswith("yes") for name in _SPAM_FIELDS):
        return True
    level = request.header("x-ms-exchange-organization-scl").strip()
    return bool(
        _MICROSOFT_SPAM.search(request.header("x-forefront-antispam-report"))
        or (level.isdecimal() and int(level[:3]) >= _MICROSOFT_SPAM_LEVEL)
    )


def _precedence(request: Request) -> str | None:
    value = request.header("precedence").strip().lower()
    return f"bulk (Precedence: {value})" if value in {"bulk", "junk", "list", "auto_reply"} else None


def _mailing_list(request: Request) -> str | None:
    for name in ("List-Id", "List-Post"):
        if request.header(name):
            return f"mailing list ({name})"
    # Alone it proves little: sales tools add it to a mail to one person.
    if request.header("list-unsubscribe") and any(request.header(name) for name in _BULK_FIELDS):
        return "bulk (List-Unsubscribe)"
    return None


_NEVER: tuple[Callable[[Request], str | None], ...] = (
    _own_notification,
    _report,
    _dmarc_report,
    _mailer_daemon,
    _failed_recipients,
)
_BULK: tuple[Callable[[Request], str | None], ...] = (_precedence, _mailing_list)
