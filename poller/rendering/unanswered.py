"""Write the reminder of the tickets that nobody has answered or moved on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.rendering.mail_page import LEFT, Page, Tone, mail
from poller.rendering.phrases import NBSP

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from poller.rendering.week import Unanswered, UnansweredTicket

SHOWN = 50  # in a letter
MOST = 1_000  # tickets that HubSpot is asked about at a time: ten calls


def letter(found: Unanswered, *, account: str, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Write the letter of a day. `account` is the mailbox that it is about. `now` is in the reader's time zone."""
    title = f"{counted(len(found.tickets))} sans réponse"
    lines = [(LEFT, *line(ticket)) for ticket in found.tickets[:SHOWN]]
    if len(found.tickets) > SHOWN:
        lines.append((LEFT, f"et {len(found.tickets) - SHOWN} de plus", ""))
    check = (
        f"Personne n’y a répondu dans HubSpot, et aucun n’a changé d’étape. Répondez-y, ou changez-les d’étape{NBSP}: "
        "ils ne seront plus listés."
    )
    page = Page(
        kicker="Rappel",
        title=title,
        box=("À faire", [check, *unchecked(found)]),
        facts=(),
        buttons=(),
        files=(),
        # Two mailboxes have two letters, even where both go to the same admin.
        reference=f"{now:%Y%m%d}.{hashlib.sha256(account.encode()).hexdigest()[:8]}",
        lists=[("Tickets, le plus ancien d’abord", lines)],
        tone=Tone.WARNING,
    )
    return mail(page, f"[Rappel] {title}", "unanswered", sender=sender, recipient=recipient, now=now, name="Rappel")


def unchecked(found: Unanswered) -> list[str]:
    """Return a sentence about the tickets that HubSpot was not asked about, none if it was asked about all."""
    if not found.unchecked:
        return []
    older = "plus anciens ne l’ont" if found.unchecked > 1 else "plus ancien ne l’a"
    most = f"{MOST:,}".replace(",", NBSP)
    return [f"Seuls les {most} tickets les plus récents ont été vérifiés{NBSP}: {found.unchecked} {older} pas été."]


def line(ticket: UnansweredTicket) -> tuple[str, str]:
    """Return a line about a ticket, and its URL: « Ticket n° 7, depuis 12 heures ouvrées »."""
    hours = int(ticket.waits_h)
    plural = "s" if hours > 1 else ""
    waits = f"{hours}{NBSP}heure{plural} ouvrée{plural}" if hours else f"moins d’une{NBSP}heure ouvrée"
    return f"Ticket n°{NBSP}{one_line(ticket.ticket.id)}, depuis {waits}", ticket.ticket.url


def counted(number: int) -> str:
    """Return the number of tickets in words: « 3 tickets »."""
    return f"{number} ticket{'s' if number > 1 else ''}"
