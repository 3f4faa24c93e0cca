"""Write the reminder of the tickets that nobody has answered or moved on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.rendering.mail_page import LEFT, Page, Tone, mail
from poller.rendering.phrases import NBSP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from email.message import EmailMessage

    from poller.rendering.week import UnansweredTicket

SHOWN = 50  # in a letter


def letter(
    tickets: Sequence[UnansweredTicket], *, account: str, sender: str, recipient: str, now: datetime
) -> EmailMessage:
    """Write the letter of a day. `account` is the mailbox that it is about. `now` is in the reader's time zone."""
    title = f"{counted(len(tickets))} sans réponse"
    lines = [(LEFT, *line(ticket)) for ticket in tickets[:SHOWN]]
    if len(tickets) > SHOWN:
        lines.append((LEFT, f"et {len(tickets) - SHOWN} de plus", ""))
    check = (
        f"Personne n’y a répondu dans HubSpot, et aucun n’a changé d’étape. Répondez-y, ou changez-les d’étape{NBSP}: "
        "ils ne seront plus listés."
    )
    page = Page(
        kicker="Rappel",
        title=title,
        box=("À faire", [check]),
        facts=(),
        buttons=(),
        files=(),
        # Two mailboxes have two letters, even where both go to the same admin.
        reference=f"{now:%Y%m%d}.{hashlib.sha256(account.encode()).hexdigest()[:8]}",
        lists=[("Tickets, le plus ancien d’abord", lines)],
        tone=Tone.WARNING,
    )
    return mail(page, f"[Rappel] {title}", "unanswered", sender=sender, recipient=recipient, now=now, name="Rappel")


def line(ticket: UnansweredTicket) -> tuple[str, str]:
    """Return a line about a ticket, and its URL: « Ticket n° 7, depuis 12 heures ouvrées »."""
    hours = int(ticket.waits_h)
    plural = "s" if hours > 1 else ""
    waits = f"{hours}{NBSP}heure{plural} ouvrée{plural}" if hours else f"moins d’une{NBSP}heure ouvrée"
    return f"Ticket n°{NBSP}{one_line(ticket.ticket.id)}, depuis {waits}", ticket.ticket.url


def counted(number: int) -> str:
    """Return the number of tickets in words: « 3 tickets »."""
    return f"{number} ticket{'s' if number > 1 else ''}"
