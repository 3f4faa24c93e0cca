"""Describe what blocks the daemon, in the mails to the admin that it has begun and that it is over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.model import LABELS, TICKETS
from poller.rendering.mail_page import Page, Tone, mail
from poller.rendering.phrases import NBSP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from email.message import EmailMessage

SERVICES = {
    "anthropic": "Claude",
    "r2": "R2",
    "hubspot": "HubSpot",
    "clickup": "ClickUp",
    "smtp": "Le serveur SMTP",
    "imap": "Le serveur IMAP",
    LABELS: "Le classement des messages",
    **{name: f"La création des tickets {category}" for category, name in TICKETS.items()},
}
# What to correct, and where. The mailbox and the SMTP server have a password or tokens.
_KEYS = {
    "anthropic": "ANTHROPIC_API_KEY dans le fichier .env",
    "r2": "R2_ACCESS_KEY_ID et R2_SECRET_ACCESS_KEY dans le fichier .env",
    "hubspot": "HUBSPOT_API_KEY dans le fichier .env",
    "clickup": "CLICKUP_API_KEY dans le fichier .env",
}
WAITING, POLLS, REFUSED, CANARY, UNREADABLE = "waiting", "polls", "refused", "canary", "unreadable"
MISCONFIGURED, CERTIFICATE, STATE = "misconfigured", "certificate", "state"
REFUSALS = REFUSED, MISCONFIGURED, CERTIFICATE  # the kinds of which each concerns one service
# Of each service that refuses us: what goes on, "" for nothing, and what waits.
_EFFECTS = {
    "anthropic": (
        "les messages que les règles savent classer sont traités comme d’habitude.",
        "les messages douteux attendent Claude un moment, puis les règles tranchent et le ticket le signale.",
    ),
    "r2": (
        "les messages sans fichier à envoyer sont traités comme d’habitude.",
        "les messages dont les fichiers vont sur R2 attendent dans la boîte de réception.",
    ),
    "hubspot": (
        "la boîte est relevée, les messages sont classés et leurs fichiers envoyés sur R2.",
        "les messages attendent leur ticket dans la boîte de réception.",
    ),
    "clickup": (
        "les messages SUPPORT sont traités en entier, les autres ont leurs fichiers, leur ticket et leur note.",
        "les messages MODELISATION attendent leur sous-tâche dans la boîte de réception.",
    ),
    "smtp": (
        "les tickets, notes et sous-tâches sont créés.",
        "les messages attendent dans la boîte de réception que leur notification puisse partir.",
    ),
    "imap": ("", "tous attendent dans la boîte de réception."),
    LABELS: (
        "les tickets, notes, sous-tâches et notifications sont créés.",
        "les messages traités restent dans la boîte de réception jusqu’à ce qu’ils puissent être classés.",
    ),
    **{
        name: (
            (
                "les réponses aux tickets ouverts sont traitées comme d’habitude, et les messages de l’autre catégorie "
                "aussi, sauf si une autre alerte dit le contraire."
            ),
            f"les messages {category} attendent leur ticket dans la boîte de réception.",
        )
        for category, name in TICKETS.items()
    },
}
_UIDS = 10  # that are named, of all that cannot be read
_REASONS = 3  # that are named, of all for which messages wait
_CHECK = f"«{NBSP}poller check{NBSP}» dit ce qui ne va pas."


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident: something that a person should know of for as long as it lasts."""

    key: str  # its kind, then the service and the machine that it concerns, if any: "polls gandalf"
    title: str
    to_do: tuple[str, ...]
    facts: tuple[tuple[str, str | datetime], ...]  # label and value
    origin: str = ""  # words of a service or a program, in its own language


def waiting(count: int, since: datetime, reasons: Sequence[str], most_min: float, host: str) -> Incident:
    """Describe messages that have waited for longer than `most_min` minutes, the oldest since `since`.

    They are those of all machines. `reasons` say what they wait for. `host` is the machine that reports.
    """
    number, plural = f"{most_min:g}".replace(".", ","), most_min >= 2  # noqa: PLR2004 - one and a half is singular
    longer = "d’une minute" if number == "1" else f"de {number} minute{'s' if plural else ''}"
    named = list(dict.fromkeys(one_line(reason) for reason in reasons if reason))[:_REASONS]
    return Incident(
        WAITING,
        f"Des messages attendent depuis plus {longer}",
        (
            f"Rien n’est perdu{NBSP}: ils restent où ils sont, et seront traités dès que possible.",
            f"Regardez si le service en cause est en panne{NBSP}; sinon, sur le serveur, {_CHECK}",
        ),
        (
            ("Messages en retard", str(count)),
            ("Le plus ancien est arrivé le", since),
            *(() if named else (("Raison", "le traitement n’avance pas"),)),
            ("Machine", one_line(host)),
        ),
        "\n".join(named),
    )


def polls_failing(since: datetime, reason: str, host: str) -> Incident:
    """Describe a mailbox that has been out of reach since `since`."""
    return Incident(
        f"{POLLS} {host}",
        "La boîte de réception n’est plus relevée",
        (
            f"Aucun message n’est perdu{NBSP}: ils restent dans la boîte de réception.",
            "Le service réessaie de lui-même, au moins toutes les cinq minutes.",
            f"Si le serveur IMAP répond, sur le serveur, {_CHECK}",
        ),
        (("Depuis le", since), ("Machine", one_line(host))),
        one_line(reason, 500),
    )


def state_unavailable(since: datetime, reason: str, host: str) -> Incident:
    """Describe a state that has taken nothing since `since`, as on a full disk."""
    return Incident(
        f"{STATE} {host}",
        "Le service ne peut plus rien enregistrer",
        (
            f"Aucun message n’est perdu{NBSP}: ils restent dans la boîte de réception, et rien n’est traité.",
            "Le disque du serveur est sans doute plein ou en panne, ou la base de données est arrêtée.",
            f"Faites de la place{NBSP}: le service reprendra de lui-même. Sinon, sur le serveur, {_CHECK}",
        ),
        (("Depuis le", since), ("Machine", one_line(host))),
        one_line(reason, 500),
    )


def unreadable(uids: Sequence[int], since: datetime, mailbox: str, host: str) -> Incident:
    """Describe messages that the mail server lists but does not give, the first of them since `since`."""
    named = ", ".join(str(uid) for uid in uids[:_UIDS]) + (", …" if len(uids) > _UIDS else "")
    return Incident(
        f"{UNREADABLE} {host}",
        "Un message ne peut pas être lu" if len(uids) == 1 else f"{len(uids)} messages ne peuvent pas être lus",
        (
            "Le serveur IMAP annonce ce courrier mais ne le donne pas. Le reste de la boîte est traité normalement.",
            "Ouvrez-le dans votre messagerie, répondez au client, puis rangez-le hors de la boîte de réception.",
            "S’il ne s’ouvre pas non plus, voyez avec l’hébergeur de la messagerie.",
        ),
        (
            ("Depuis le", since),
            ("Boîte", one_line(mailbox)),
            ("UID", named),
            ("Machine", one_line(host)),
        ),
    )


def canary_missing(since: datetime, host: str) -> Incident:
    """Describe a canary that was sent at `since` and has not arrived."""
    return Incident(
        f"{CANARY} {host}",
        "La boîte de réception ne reçoit plus",
        (
            "Le service s’est envoyé un message de contrôle, qui n’est pas arrivé ou n’a pas pu partir.",
            "Envoyez vous-même un message à cette adresse. S’il n’arrive pas, voyez avec l’hébergeur de la messagerie.",
            f"S’il arrive, regardez le dossier des indésirables et le serveur SMTP{NBSP}: {_CHECK}",
        ),
        (("Envoyé le", since), ("Machine", one_line(host))),
    )


def refused(service: str, reason: str, host: str, *, is_key: bool = True) -> Incident:
    """Describe a service that refuses us until a person corrects a setting: our key, or else the one `reason` names."""
    name, (goes_on, waits) = SERVICES.get(service, service), _EFFECTS.get(service, _EFFECTS["imap"])
    place = _KEYS.get(service, "l’identifiant ou la clé") if is_key else "le réglage nommé plus bas"
    return Incident(
        f"{REFUSED if is_key else MISCONFIGURED} {service} {host}",
        f"{name} refuse nos identifiants" if is_key else f"{name}{NBSP}: un réglage est à corriger",
        (
            f"Aucun message n’est perdu{NBSP}: {waits}",
            *([f"Ce qui continue{NBSP}: {goes_on}"] if goes_on else []),
            f"Corrigez {place}, puis redémarrez le service{NBSP}: {_CHECK}",
        ),
        (("Machine", one_line(host)),),
        one_line(reason, 500),
    )


def untrusted(service: str, reason: str, host: str) -> Incident:
    """Describe a service whose certificate is not to be trusted. `reason` says why, in the words of TLS."""
    name, (_, waits) = SERVICES.get(service, service), _EFFECTS.get(service, _EFFECTS["imap"])
    return Incident(
        f"{CERTIFICATE} {service} {host}",
        f"{name} présente un certificat refusé",
        (
            f"Aucun message n’est perdu{NBSP}: {waits} Nos identifiants n’ont pas été envoyés.",
            f"Vérifiez d’abord l’heure de la machine{NBSP}: une horloge fausse fait refuser un certificat valable.",
            "Si elle est juste, seul l’hébergeur du serveur peut corriger son certificat.",
            f"Le service réessaie de lui-même, au moins toutes les cinq minutes. {_CHECK}",
        ),
        (("Machine", one_line(host)),),
        one_line(reason, 500),
    )


def incident_mail(cause: Incident, *, sender: str, recipient: str, zone: tzinfo, now: datetime) -> EmailMessage:
    """Compose the mail that tells the admin of an incident, and what to do. Its times are in `zone`."""
    facts = [(label, _date(said, zone) if isinstance(said, datetime) else said) for label, said in cause.facts]
    page = Page(
        "Alerte",
        cause.title,
        ("Que faire", cause.to_do),
        facts,
        (),
        (),
        _moment(now),
        tone=Tone.WARNING,
        preview=cause.to_do[0],
        origin=cause.origin,
    )
    return mail(
        page,
        f"[Alerte] {cause.title}",
        _slug(cause.key),
        sender=sender,
        recipient=recipient,
        now=now,
        name="Alerte · à traiter",
    )


def over(key: str, *, sender: str, recipient: str, zone: tzinfo, now: datetime) -> EmailMessage:
    """Compose the mail that tells the admin that an incident is over, by its key. Its times are in `zone`."""
    kind, _, which = key.partition(" ")
    service, _, host = which.rpartition(" ")
    title = {
        WAITING: "Plus aucun message n’est en retard",
        POLLS: "La boîte de réception est de nouveau relevée",
        UNREADABLE: "Tous les messages peuvent de nouveau être lus",
        CANARY: "La boîte de réception reçoit de nouveau",
        STATE: "Le service enregistre de nouveau",
        MISCONFIGURED: f"{SERVICES.get(service, service)} fonctionne de nouveau",
        CERTIFICATE: f"{SERVICES.get(service, service)} présente de nouveau un certificat valable",
        REFUSED: f"{SERVICES.get(service, service)} accepte de nouveau nos identifiants",
    }[kind]
    facts = [("Terminée le", _date(now, zone)), *([("Machine", one_line(host))] if host else [])]
    page = Page("Fin d’alerte", title, ("", ()), facts, (), (), _moment(now), tone=Tone.GOOD)
    return mail(
        page,
        f"[Fin d’alerte] {title}",
        f"{_slug(key)}.over",
        sender=sender,
        recipient=recipient,
        now=now,
        name="Fin d’alerte",
    )


def _date(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%d/%m/%Y à %H:%M}"


def _moment(now: datetime) -> str:
    return f"{now:%Y%m%d%H%M%S}"


def _slug(key: str) -> str:
    return "alert." + re.sub(r"[^A-Za-z0-9-]+", "-", key)
