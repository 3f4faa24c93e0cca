"""Decide who gets an automatic letter: never a program, a stranger whom nobody vouches for, or the same person often.

An automatic answer to a forged address is a nuisance to whom it belongs, and two programs that answer each other never
end (RFC 3834 section 2).
"""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from poller.escaping import reply_address
from poller.mime.addresses import addresses, takes_no_answer
from poller.mime.headers import CUT
from poller.model import Acknowledgement
from poller.triage import quotas, screening, sender

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from poller.model import Request
    from poller.workflow.facts import FactStore

LATEST = timedelta(days=1)  # after the mail's arrival: a later letter only puzzles
FACT = "acknowledged-"  # before the pseudonym of a person and the reference of a mail
VISITORS = "form"  # in place of a pseudonym: all visitors of the forms together
_DAY = timedelta(days=1)
_GMAIL = {"gmail.com", "googlemail.com"}
# Local parts behind which a list or a mailer reads (RFC 5230 section 4.6). A tag may follow: "bounces+ana=x.example".
_PROGRAM = re.compile(
    r"owner-.*|.*-(?:owner|request|bounces?)|bounces?|listserv|majordomo|mailman|notifications?"
    r"|(?:no|nao|non)[._-]?(?:respond\w+|contest\w+|rispond\w+)|(?:nicht|keine)[._-]?antwort\w*"
)
# Held from the count to the reservation, as in `quotas`.
_counting = threading.Lock()


def reason_against(
    request: Request, own: Collection[str], now: datetime, *, junk: bool | None = None
) -> Acknowledgement | None:
    """Return why a mail gets no letter, None if it may get one.

    `own` is as `sender.own_domains` gives it, `junk` the mailbox's verdict. `now` is aware.
    """
    person = request.sender
    if sender.is_ours(person.addr_spec, own):
        return Acknowledgement.OURS
    if not reply_address(person.addr_spec) or takes_no_answer(person) or _of_a_program(person.addr_spec):
        return Acknowledgement.NO_ANSWER
    if not sender.from_our_form(request, own) and (doubt := _doubt_about(request, own, junk)):
        return doubt
    return Acknowledgement.OLD if is_old(request, now) else None


def _doubt_about(request: Request, own: Collection[str], junk: bool | None) -> Acknowledgement | None:
    """Return why a mail may not be a person's own, to us, None if it is. That of a form of ours cannot show it."""
    if screening.sign_of_program(request, junk=junk):
        return Acknowledgement.AUTOMATIC
    if not _is_vouched_for(request, own):
        return Acknowledgement.UNPROVEN
    # A copy whose recipients are others, as of a mail to a list or to hundreds at once (RFC 5230 section 4.5).
    return None if sender.is_addressed_to_us(request, own) else Acknowledgement.NOT_TO_US


def is_old(request: Request, now: datetime) -> bool:
    """Return whether a mail arrived, or says that it was sent, more than a day ago."""
    return now - min(request.received_at, request.sent_at or request.received_at) > LATEST


def repeats_words(request: Request, own: Collection[str]) -> bool:
    """Return whether a letter may repeat the sender's words: a form's visitor may have named anybody's address."""
    return not sender.from_our_form(request, own)


def mailbox_of(addr_spec: str) -> str:
    """Return an address in lower case without its tag: mail to ana+1@ and to ana+2@ comes to one person (RFC 5233).

    Gmail also ignores dots, and has two domains (https://support.google.com/mail/answer/7436150).
    """
    local, _, domain = addr_spec.casefold().rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '')}@gmail.com" if domain in _GMAIL else f"{local}@{domain}"


def reserve(store: FactStore, person: str, reference: str, now: datetime, most: int) -> bool:
    """Count a letter to the person of this pseudonym. Return False if there were `most` in the last 24 hours."""
    prefix = f"{FACT}{person}-"
    with _counting:
        # An earlier try of this mail may have reserved its own.
        others = [key for key, _ in store.latest(prefix, now - _DAY, most + 1) if key != prefix + reference]
        if len(others) >= most:
            return False
        store.remember(prefix + reference, "")
        return True


def _of_a_program(addr_spec: str) -> bool:
    return _PROGRAM.fullmatch(mailbox_of(addr_spec).rpartition("@")[0]) is not None


def _is_vouched_for(request: Request, own: Collection[str]) -> bool:
    """Return whether our server vouches for the very address that is to be answered. Reply-To may name anyone.

    Of several authors none is: it vouches for their domain, and one of them may have named the others.
    """
    same = request.sender.addr_spec.casefold() == request.author.addr_spec.casefold()
    return same and _has_one_author(request) and quotas.proof_of(request, own) is quotas.Proof.VERIFIED


def _has_one_author(request: Request) -> bool:
    fields = [value for name, value in request.headers if name == "from"]
    authors = {each.addr_spec.casefold() for value in fields for each in addresses(value.encode())}
    return len(authors) <= 1 and not any(value.endswith(CUT) for value in fields)
