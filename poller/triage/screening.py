"""What is never work: our own notifications, bounces, automatic replies, mailing lists, spam.

A mail that is screened out opens no ticket, so a rule here needs a sign that people's own mail does not bear; a doubt
is left to classification. `X-Auto-Response-Suppress` is no such sign: Exchange and help desks put it on ordinary mail
to keep others from answering automatically ([MS-OXCMAIL] section 2.1.3.2.20), so it only backs another one.

Some signs are stronger than others, and a person's mail may bear one by accident:

- our own mail and bounces are never work, or a loop would be ours;
- what a form of the site brings is always work: a person wrote its subject and text, and was told that it has come;
- what answers a ticket of ours is always work, an out-of-office notice too: it is a note there. But not where a program
  answers the letter that tells the admin of the ticket, for each such note makes another letter;
- what else a program sends in reply is none. The subject is of these signs where something else speaks for a program
  too, for a person's answer begins with "Re:". A 3D file is stronger, no program sends one;
- "auto-generated", spam and what was sent in bulk is none, unless it brings a 3D file. But a form's mail is the
  customer's to whom its Reply-To leads.

A link to a transfer service is no such file, for newsletters are full of them. But the mail by which the service itself
hands over a customer's files, which bears all the marks of a program, is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime.addresses import aligned
from poller.model import Kind
from poller.own_mail import OWN_DOMAIN, OWN_HEADER
from poller.triage import autoreply
from poller.triage.rules import folded
from poller.triage.sender import from_our_form, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from poller.model import Request

OWN = "own notification"  # why our own mail is never work

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

_LINK_HOST = re.compile(r"https://([^/?#:@]+)")
_SHORT_HOSTS = {"we.tl": "wetransfer.com"}


def screen(
    request: Request, *, own: Collection[str] = (), junk: bool | None = None, answer: bool = False
) -> str | None:
    """Why a mail is never work, in a few English words without personal data; None when it is work.

    `own` is as `senders.own_domains` gives it: what comes through a group address or a web form of ours bears a list's
    marks and is a customer's. `junk` is what the mailbox says of the mail, which counts before its header; None when it
    says nothing. `answer` asks about a mail that answers a ticket there is.
    """
    if reason := _first(_NEVER, request):
        return reason
    told = any(each.endswith(f"@{OWN_DOMAIN}>") for each in (*request.in_reply_to, *request.references))
    if from_our_form(request, own) or _brings_files(request) or (answer and not told):
        return None
    generated = request.header("auto-submitted").strip().lower().startswith("auto-generated")
    signs = autoreply.ANSWERS if generated and (answer or _is_form(request, own)) else autoreply.SIGNS
    if (reason := _first(signs, request)) or answer:
        return reason
    if told and is_ours(request.author.addr_spec, own):
        return "answer to our own letter"
    if junk or (junk is None and _marked_as_spam(request)):
        return "spam"
    return None if _is_ours(request, own) else _first(_BULK, request)


def _first(rules: Iterable[Callable[[Request], str | None]], request: Request) -> str | None:
    return next((reason for rule in rules if (reason := rule(request))), None)


def _brings_files(request: Request) -> bool:
    """A 3D file, or a transfer service's word that a person has left files there, to whom Reply-To leads."""
    if any(attachment.kind is Kind.MODEL for attachment in request.attachments):
        return True
    service, person = (each.addr_spec.rpartition("@")[2] for each in (request.author, request.sender))
    hosts = (match[1].lower() for link in request.links if (match := _LINK_HOST.match(link)))
    return not aligned(service, person) and any(aligned(_SHORT_HOSTS.get(host, host), service) for host in hosts)


def _is_ours(request: Request, own: Collection[str]) -> bool:
    """Whether the list, or the sender, is one of our own (List-Id: RFC 2919)."""
    list_id = request.header("list-id").rpartition("<")[2].strip("> ").lower()
    return is_ours(request.author.addr_spec, own) or any(list_id.endswith("." + each) for each in own)


def _is_form(request: Request, own: Collection[str]) -> bool:
    """Whether a program, and no list, sent what somebody elsewhere has to say, to whom Reply-To leads."""
    form, person = (each.addr_spec.rpartition("@")[2] for each in (request.author, request.sender))
    return not (
        is_ours(request.sender.addr_spec, own)
        or aligned(form, person)
        or request.header("list-id")
        or request.header("x-original-from")
    )


def _own_notification(request: Request) -> str | None:
    if request.header(OWN_HEADER) or request.message_id.endswith(f"@{OWN_DOMAIN}>"):
        return OWN
    return None


def _report(request: Request) -> str | None:
    """Bounces, delays, read receipts, abuse reports (RFC 6522)."""
    content_type = request.header("content-type").lower()
    if kind := re.match(r"message/(delivery-status|disposition-notification|feedback-report)\b", content_type):
        return f"report ({kind[1]})"
    if not content_type.startswith("multipart/report"):
        return None
    kind = re.search(r"report-type=\"?(delivery-status|disposition-notification|feedback-report)\b", content_type)
    return f"report ({kind[1]})" if kind else "report"


def _mailer_daemon(request: Request) -> str | None:
    # Some write the name alone, without an address.
    local_part = (request.author.addr_spec or request.author.display_name).partition("@")[0].lower()
    if local_part == "mailer-daemon":
        return "bounce (MAILER-DAEMON)"
    # In a small company postmaster is a person, who may be a customer.
    if local_part == "postmaster" and autoreply.BOUNCE_MENTION.search(folded(request.subject)):
        return "bounce (postmaster)"
    return None


def _failed_recipients(request: Request) -> str | None:
    return "bounce (X-Failed-Recipients)" if request.header("x-failed-recipients") else None


def _marked_as_spam(request: Request) -> bool:
    """The verdict of the receiving server, in the words of SpamAssassin, rspamd or Exchange.

    Who forges such a field does so to their own harm.
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
_BULK: tuple[Callable[[Request], str | None], ...] = (_precedence, _mailing_list)
