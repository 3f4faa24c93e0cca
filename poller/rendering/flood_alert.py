"""Write the alerts about senders who write more than the limits allow. Their mail waits, a person may want to act."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.rendering.mail_page import Page, Tone, mail
from poller.rendering.notification import conversation
from poller.rendering.phrases import NBSP, moment, who
from poller.rendering.tickets import ticket_subject

if TYPE_CHECKING:
    from email.message import EmailMessage

    from poller.model import Request


def sender_alert(
    request: Request, max_per_h: int, *, proven: bool, sender: str, recipient: str, now: datetime, zone: tzinfo = UTC
) -> EmailMessage:
    """Write the alert about a sender over the limit of messages an hour.

    Where the address is not `proven`, its owner may be the victim. `zone` is the reader's.
    """
    unwanted = (
        "S’ils sont indésirables, bloquez l’expéditeur et retirez-les de la boîte de réception."
        if proven
        else f"Rien ne prouve qu’ils viennent de cette adresse{NBSP}: ne la bloquez pas, son titulaire est peut-être "
        "la victime. S’ils sont indésirables, retirez-les de la boîte de réception."
    )
    lines = (
        (
            f"Rien n’est perdu{NBSP}: ses messages au-delà de {max_per_h} par heure attendent dans la boîte de "
            "réception, et sont traités à ce rythme."
        ),
        unwanted,
        _raise_limit("max_per_sender_per_h"),
    )
    client = one_line(request.sender.addr_spec, 60) or "expéditeur inconnu"
    page = _page(request, f"Un expéditeur dépasse {max_per_h} messages par heure", lines, zone)
    return _letter(page, f"Trop de messages de {client}", sender, recipient, now)


def crowd_alert(
    request: Request, max_per_h: int, *, sender: str, recipient: str, now: datetime, zone: tzinfo = UTC
) -> EmailMessage:
    """Write the alert about more new senders in an hour than the limit. `zone` is the reader's."""
    lines = (
        (
            f"Rien n’est perdu{NBSP}: les messages des nouveaux expéditeurs au-delà de {max_per_h} par heure attendent "
            "dans la boîte de réception, et sont traités à ce rythme. Ceux des personnes qui vous ont déjà écrit "
            "n’attendent pas."
        ),
        (
            f"S’ils sont indésirables, retirez-les de la boîte de réception{NBSP}: leurs adresses sont sans doute "
            "inventées, il ne sert à rien de les bloquer."
        ),
        _raise_limit("max_new_senders_per_h"),
    )
    page = _page(request, f"Plus de {max_per_h} nouveaux expéditeurs en une heure", lines, zone)
    return _letter(page, "Trop de nouveaux expéditeurs", sender, recipient, now)


def _raise_limit(setting: str) -> str:
    return (
        f"S’ils sont légitimes, augmentez «{NBSP}{setting}{NBSP}» dans la section [imap] de config.toml, puis "
        f"redémarrez le service{NBSP}: les suivants n’attendront plus."
    )


def _page(request: Request, title: str, lines: tuple[str, ...], zone: tzinfo) -> Page:
    return Page(
        kicker="Alerte",
        title=title,
        box=("Que faire", lines),
        facts=[
            ("Expéditeur", who(request.sender)),
            ("Premier message en attente", ticket_subject(request)),
            ("Reçu le", moment(request.received_at, zone)),
        ],
        buttons=(),
        files=(),
        reference=request.reference,
        tone=Tone.WARNING,
        preview=lines[0],
    )


def _letter(page: Page, subject: str, sender: str, recipient: str, now: datetime) -> EmailMessage:
    return mail(
        page,
        f"[Alerte] {subject}",
        "flood",
        sender=sender,
        recipient=recipient,
        now=now,
        name="Alerte · trop de messages",
        thread=conversation(page.reference),
    )
