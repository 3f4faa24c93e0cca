"""Identify the customer of a mail, even behind our own group, form or colleague, and verify its author."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poller.mime.addresses import addresses, aligned, before_the_list, takes_no_answer
from poller.mime.subject import Prefix, prefix_of
from poller.own_mail import FORM_HEADER
from poller.parsing.transfer_links import is_service
from poller.triage import auth_results, form_mark

if TYPE_CHECKING:
    from collections.abc import Collection

    from poller.config.settings import ImapSettings
    from poller.model import Address, Request

# Mail providers open to everyone: an address there does not make its owner a colleague.
_PUBLIC: Final = frozenset(
    """
    aol.com bbox.fr fastmail.com free.fr gmail.com gmx.com gmx.de gmx.fr gmx.net googlemail.com hotmail.co.uk
    hotmail.com hotmail.fr icloud.com laposte.net live.com live.fr mac.com mail.com mail.ru mailo.com me.com msn.com
    neuf.fr numericable.fr orange.fr outlook.com outlook.fr pm.me posteo.net proton.me protonmail.com sfr.fr
    t-online.de wanadoo.fr web.de yahoo.co.uk yahoo.com yahoo.fr yandex.com yandex.ru ymail.com zoho.com
    """.split()  # noqa: SIM905  forty lines of one word each are no easier to read
)
_FORM_CHARS: Final = 20_000
_BELOW: Final = 2  # lines below a label, of which the first may be empty
_LINE_CHARS: Final = 500
_LABEL: Final = re.compile(
    r"\W{0,5}(?:quelle est |what(?: is|['’]s) )?"
    r"(?:(?:votre |your |ihre |adresse |indirizzo |contact |client |customer )?"
    r"(?:e-?mails?|mail|courriel|from|de|von|da|van|replyto|reply-to|répondre à)"
    r"(?: address| adresse|-adresse)?|(?:votre |mon )?adresse (?:e-?mail|mail|électronique|de messagerie)"
    r"|correo(?: electrónico)?|expéditeur"
    r"|(?:ceci est un e-?mail envoyé via|this is an enquiry e-?mail via) \S{1,200} (?:par|from))"  # Joomla's
    r"(?: ?\((?:obligatoire|requis|required|obligatorio|obbligatorio|verplicht|pflichtfeld)\))?"
    r"(?: ?\*{0,2} ?[:=?] ?\*{0,2} ?| ?\*{0,2}(?:[ \xa0]{2,}|\t)| ?\*{0,2}$)(.*)",  # spaces follow it in a table
    re.IGNORECASE,
)
# A label with the word for mail in it, and any label before an address alone, but for one of a recipient. A person
# writes "Le mail de notre photographe : ...".
_MAIL_LABEL: Final = re.compile(
    r"\W{0,5}(?![\w '’()/.-]{0,80}\b(?:notre|nos|son|leur|our|his|her|their|unser\w*|nuestr\w*)\b)"
    r"[\w '’()/.-]{0,40}?(?<![^\W_])(?:e-?mail|mail|courriel)[\w '’()*/.-]{0,40}? ?[:=?→] ?\*{0,2} ?(.*)",
    re.IGNORECASE,
)
_ANY_LABEL: Final = re.compile(
    r"\W{0,5}(?!(?:à|a|to|cc|cci|bcc|pour|destinataires?|an|para|fournisseurs?|supplier|vendeur)\b)"
    r"[^\W\d_][\w '’()*/.-]{0,40}? ?[:=→] ?\*{0,2} ?"
    r"([\w '’\"-]{0,60}[<(]?[^\s<>()@]{1,64}@[^\s<>()@]{1,200}[>)]?)",
    re.IGNORECASE,
)
_FORM_FIELD: Final = re.compile(
    r"\W{0,5}(?:votre |your )?(?:nom|prénom|name|message|demande|téléphone|phone)\b.{0,40}[:=→]", re.IGNORECASE
)
_IN_PARENTHESES: Final = re.compile(r"\(([^()\s@]{1,64}@[^()\s]{1,200})\)")
# The services and programs that send what others fill in write from such addresses.
_FORM_MAILER: Final = re.compile(
    r"(?:mailer|notifications?|forms?|formulaires?|formul[aá]rios?|formulier|(?:kontakt)?formular|modulo|form-submission"
    r"|contact-?form|web-?form|wordpress|website)@",
    re.IGNORECASE,
)
_LINK: Final = re.compile(r"\[([^\[\]]{0,300})\]\((?:mailto:)?[^()\s]{0,300}\)")
_LINK_HOST: Final = re.compile(r"https://([^/?#:@]+)")
_SHORT_HOSTS: Final = {"we.tl": "wetransfer.com"}
_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,200}")
_OPENING_CHARS: Final = 300  # of the text of a program, in which it says for whom it writes
_FORM_ID: Final = re.compile(r"<form-[0-9a-f]{32}@([^<>@\s]+)>")  # see `forms.message.written`


def own_domains(imap: ImapSettings) -> tuple[str, ...]:
    """Return our domains in lower case: the configured ones and that of the mailbox.

    If the mailbox is at a public provider, its address alone is ours.
    """
    login = imap.username.lower()
    domain = login.rpartition("@")[2] if "@" in login else ""
    configured = imap.own_domains.lower().replace(",", " ").split()
    return tuple(dict.fromkeys([*configured, *([login if domain in _PUBLIC else domain] if domain else [])]))


def is_ours(addr_spec: str, own: Collection[str]) -> bool:
    """Return True if an address is at one of our domains or below it, or is one of ours, see `own_domains`."""
    address = addr_spec.lower()
    domain = address.rpartition("@")[2]
    return any(each in {address, domain} or domain.endswith("." + each) for each in own)


def is_addressed_to_us(request: Request, own: Collection[str]) -> bool:
    """Return whether one of our addresses is among the recipients that a mail shows."""
    shown = (each for name in ("to", "cc") for each in addresses(request.header(name).encode()))
    return any(is_ours(each.addr_spec, own) for each in shown)


def from_our_form(request: Request, own: Collection[str]) -> bool:
    """Return True if a mail bears all the marks of one that `poller forms` made, and is verified, see `identify`."""
    author, message_id = request.author.addr_spec, _FORM_ID.fullmatch(request.message_id)
    return bool(
        message_id
        and request.verified
        and request.header(FORM_HEADER)
        and is_ours(author, own)
        and message_id[1].lower() == author.rpartition("@")[2].lower()
    )


def identify(request: Request, own: Collection[str], authserv_id: str, form_key: bytes = b"") -> Request:
    """Return the request with the customer as its sender, and with our server's verdict on its author.

    A Reply-To that leads back to us is no customer. Our own group or form hides the customer. If a colleague forwards a
    customer's mail, the ticket is for the writer of that mail. If a colleague writes to one customer, it is for that
    customer. An outside person who forwards a mail stays its sender, because otherwise anyone could choose the owner of
    a ticket. So does a colleague whose From is not verified. A visitor who fills in a form of the site is the person to
    answer, whatever the address is. A form that writes no Reply-To names the visitor in its text.

    A mail is verified where our server vouches for From, or where it bears the mark of our forms and DMARC denies
    nothing. `own` is as `own_domains` gives it, `form_key` as `form_mark.key_of`. With "" for `authserv_id` the request
    says nothing about the authenticity of any other author.
    """
    author, domain = request.author, request.author.addr_spec.rpartition("@")[2]
    found = auth_results.results(request, authserv_id) if authserv_id else ()
    verified = auth_results.vouched(found, domain) if authserv_id else None
    if form_mark.is_genuine(request, form_key) and not auth_results.refuted(found):
        verified = True
    request = replace(request, verified=verified)
    sender = request.sender
    if from_our_form(request, own):
        visitor = next(iter(addresses(request.header("reply-to").encode())), sender)
        return replace(request, sender=visitor)
    if author.addr_spec and is_ours(sender.addr_spec, own):
        sender = author
    if is_ours(sender.addr_spec, own):
        chooses = is_colleague(request, author, own)
        forwarded = _forwarded(request, own) if chooses else None
        if forwarded:  # even with a word above it, and under a subject of the colleague's own
            request = replace(request, newest=request.text.strip())
        # Without an authserv-id a site's own form counts as every other site's: anyone may name a visitor in that.
        filled_in = _visitor(request, own) if author.addr_spec and verified is not False else None
        named = forwarded or filled_in or (_recipient(request, own) if chooses else None)
        sender = _other(request, own) or named or sender
    elif sender == author and (takes_no_answer(author) or _FORM_MAILER.match(author.addr_spec)):
        sender = _visitor(request, own) or _giver(request, own) or sender
    return replace(request, sender=sender)


def is_colleague(request: Request, person: Address, own: Collection[str]) -> bool:
    """Return True if a person behind a mail is one of ours, and the mail is verified: From alone is a claim."""
    return bool(request.verified) and is_ours(person.addr_spec, own)


def writer(request: Request, own: Collection[str]) -> Address:
    """Return the writer of a mail: From, or behind a From of our own group the original author.

    Reply-To and the sender of a forwarded mail do not count: neither wrote the mail.
    """
    if is_ours(request.author.addr_spec, own):
        return next(iter(before_the_list(lambda name: _raw(request, name))), request.author)
    return request.author


def _other(request: Request, own: Collection[str]) -> Address | None:
    """Return the outside address behind a From of ours, None if there is none."""
    reply_to = addresses(request.header("reply-to").encode())
    named = [
        *(each for each in reply_to if not takes_no_answer(each)),
        *before_the_list(lambda name: _raw(request, name)),
    ]
    return next((each for each in named if not is_ours(each.addr_spec, own)), None)


def _raw(request: Request, name: bytes) -> bytes:
    return request.header(name.decode()).encode()


def _forwarded(request: Request, own: Collection[str]) -> Address | None:
    """Return the author of the mail that colleagues forward, however many times, or None in an answer.

    An answer quotes a mail, which is not a forward.
    """
    if prefix_of(request.subject, request.text) is Prefix.ANSWER:
        return None
    originals = (each for each in request.original_senders if each.addr_spec)
    original = next((each for each in originals if not is_ours(each.addr_spec, own)), None)
    # A colleague who writes to one customer may quote another.
    written_to = {address.casefold() for address in _outside(request, "to", own)}
    return original if original and (len(written_to) != 1 or original.addr_spec.casefold() in written_to) else None


def _visitor(request: Request, own: Collection[str]) -> Address | None:
    """Return the outside person whom a form's text names as its visitor, None if it names none, or several."""
    if request.in_reply_to or request.references or prefix_of(request.subject) or _outside(request, "to", own):
        return None
    is_form = any(_FORM_FIELD.match(line) for line in request.newest[:_FORM_CHARS].split("\n"))
    for label in (_LABEL, _MAIL_LABEL, _ANY_LABEL) if is_form else (_LABEL, _MAIL_LABEL):
        named = {
            each.addr_spec: each
            for each in labelled_addresses(request.newest, label)
            if not (is_ours(each.addr_spec, own) or takes_no_answer(each))
            and each.addr_spec.casefold() != request.author.addr_spec.casefold()
        }
        if named:
            return next(iter(named.values())) if len(named) == 1 else None
    return None


def _giver(request: Request, own: Collection[str]) -> Address | None:
    """Return the one outside person for whom a transfer service hands over files, by its first words, or None."""
    named = named_by_service(request, own) if is_of_transfer_service(request) else {}
    return next(iter(named.values())) if len(named) == 1 else None


def is_of_transfer_service(request: Request) -> bool:
    """Return whether a mail comes from a transfer service to whose files it links, not from a cloud of its own."""
    service = request.author.addr_spec.rpartition("@")[2]
    hosts = (match[1].lower() for link in request.links if (match := _LINK_HOST.match(link)))
    return any(is_service(host) and aligned(_SHORT_HOSTS.get(host, host), service) for host in hosts)


def named_by_service(request: Request, own: Collection[str]) -> dict[str, Address]:
    """Return the outside persons whom a service's mail names in its first words, keyed by their addr-spec."""
    service = request.author.addr_spec.rpartition("@")[2]
    named = addresses(", ".join(_ADDRESS.findall(opening(request))).encode())
    outside = (each for each in named if not is_ours(each.addr_spec, own))
    return {each.addr_spec: each for each in outside if not aligned(each.addr_spec.rpartition("@")[2], service)}


def opening(request: Request) -> str:
    """Return the subject and the first words, in which a program says for whom it writes."""
    return f"{request.subject}\n{request.text[:_OPENING_CHARS]}"


def labelled_addresses(text: str, a_label: re.Pattern[str] = _LABEL) -> list[Address]:
    """Return the addresses that stand in the fields of a form's text ("E-mail : a@example.com"), or below a label.

    The group of `a_label` is the value beside the label.
    """
    lines = [line.strip() for line in text[:_FORM_CHARS].split("\n")]
    values = (
        label[1] or next(filter(None, lines[number : number + _BELOW]), "")
        for number, line in enumerate(lines, start=1)
        if (label := a_label.fullmatch(line[:_LINE_CHARS]))
    )
    plain = (_IN_PARENTHESES.sub(r"<\1>", _LINK.sub(r"\1", value)).replace("*", "") for value in values)
    return [each for value in plain for each in addresses(value.encode())]


def _recipient(request: Request, own: Collection[str]) -> Address | None:
    """Return the outside person to whom a colleague writes, None if there is none, or several."""
    for name in ("to", "cc"):
        if outside := _outside(request, name, own):
            return next(iter(outside.values())) if len(outside) == 1 else None
    return None


def _outside(request: Request, name: str, own: Collection[str]) -> dict[str, Address]:
    """Return the outside persons whom a field of recipients names, keyed by their addr-spec."""
    named = addresses(request.header(name).encode())
    return {each.addr_spec: each for each in named if not is_ours(each.addr_spec, own)}
