"""Say why a step is given up, and what a person can do about it, in a letter or in a line of the digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.escaping import http_url, plain_text
from poller.model import SERVICE_NAMES
from poller.rendering.french_time import moment
from poller.rendering.phrases import NBSP, marker, step_title
from poller.rendering.week import Failure
from poller.workflow.steps import StepName, service_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.rendering.week import Week, WeeklyMessage

FAILED_MAILBOX = "Échecs"  # default of [labels] failed
_ORIGIN_LIMIT_CHARS = 2_000

# Why a step is given up, in a sentence.
REASONS = {
    "refused": "Le service a refusé cette demande, et la refuserait encore telle quelle.",
    "blocked": (
        "Un pare-feu placé devant le service bloque cette demande, sans doute à cause d’un mot ou d’un fichier de ce "
        "message. Les autres messages passent."
    ),
    "unusable": f"Ce message n’a pas d’adresse d’expéditeur{NBSP}: aucun ticket ne peut être ouvert à son nom.",
    "unanswered": "Le service n’a pas répondu dans le délai prévu.",
    "crashed": "Le traitement de ce message s’est interrompu plusieurs fois à cette étape.",
}


_HTTP_STATUS = re.compile(r"\bHTTP (\d{3})\b")
# Keyed by the kind of a `StepFailedError`, in a line.
_SHORT = {
    "refused": "{service} a refusé la demande{status}.",
    "unanswered": "{service} n’a pas répondu dans le délai prévu.",
    "crashed": "Le traitement s’est interrompu plusieurs fois à cette étape.",
    "unusable": "Le message n’a pas d’adresse d’expéditeur.",
}


@dataclass(frozen=True, slots=True)
class FailureLine:
    """A failed message, as the letter names it."""

    title: str
    reason: str
    when: str
    links: Sequence[tuple[str, str]]  # label and URL
    marker: str


def _setting(*names: str, section: str) -> str:
    quoted = " et ".join(f"«{NBSP}{name}{NBSP}»" for name in names)
    return f"Vérifiez {quoted} dans la section [{section}] de config.toml"


def _secret(name: str, rights: str) -> str:
    return f"Vérifiez que la clé {name} du fichier .env donne encore accès {rights}."


_TICKET = f"{_setting('pipeline_id', 'stage_new', section='hubspot')}{NBSP}: le pipeline ou l’étape a pu être supprimé."
# What to correct where a service refuses: the setting, and where it stands.
_REMEDIES: dict[str, str] = {
    StepName.CLASSIFY: f"{_setting('model', section='anthropic')}{NBSP}: ce modèle n’existe peut-être plus.",
    StepName.UPLOAD_FILES: (
        f"{_setting('bucket_name', 'endpoint_url', section='r2')}. Assurez-vous aussi que le jeton R2 du fichier .env "
        "donne le droit d’écrire."
    ),
    StepName.FIND_OR_CREATE_CONTACT: (
        "HubSpot n’accepte sans doute pas l’adresse de ce client. Si la même erreur touche d’autres messages, vérifiez "
        "que la clé HUBSPOT_API_KEY du fichier .env donne encore accès aux contacts."
    ),
    StepName.FIND_TICKET: _TICKET,
    StepName.UPDATE_TICKET: _TICKET,
    StepName.CREATE_TICKET: _TICKET,
    StepName.CREATE_NOTE: _secret("HUBSPOT_API_KEY", "aux contacts et aux tickets, en lecture et en écriture"),
    StepName.CREATE_SUBTASK: (
        f"{_setting('parent_task_id', section='clickup')}{NBSP}: la tâche a pu être supprimée, archivée ou déplacée."
    ),
    StepName.ADD_COMMENT: _secret("CLICKUP_API_KEY", "à la sous-tâche"),
    StepName.PREPARE_NOTIFICATION: (
        f"{_setting('sender', section='smtp')}, et «{NBSP}email{NBSP}» dans la section [notification]."
    ),
    StepName.LABEL: "Vérifiez les noms des dossiers dans la section [labels] de config.toml.",
}
_REMEDIES[StepName.SEND_NOTIFICATION] = _REMEDIES[StepName.PREPARE_NOTIFICATION]


def failure_facts(step: str, kind: str) -> list[tuple[str, str]]:
    """Return what could not be done, and why. `kind` is a key of REASONS."""
    return [("Étape", step_title(step)), ("Raison", REASONS[kind])]


def origin(kind: str, detail: str) -> str:
    """Return the words of the service or the program, "" if the reason says it already."""
    return "" if kind == "unusable" else plain_text(detail[:_ORIGIN_LIMIT_CHARS]).strip()


def to_do(reference: str, step: str, kind: str, mailbox: str = FAILED_MAILBOX) -> tuple[str, ...]:
    """Return what to do about a failure, a sentence each. `mailbox` is the name of the one of failed messages."""
    filed = f"Rien n’est perdu{NBSP}: le message est classé dans le dossier «{NBSP}{mailbox}{NBSP}»."
    if kind == "unusable":
        by_hand = (
            f"Un nouvel essai n’y changerait rien{NBSP}: lisez-le, et s’il dit comment joindre son auteur (signature, "
            "téléphone), contactez-le vous-même."
        )
        return (filed, by_hand)
    again = (
        "Une fois la cause corrigée, remettez le message dans la boîte de réception, "
        f"ou lancez «{NBSP}poller retry {reference}{NBSP}»."
    )
    return tuple(filter(None, (filed, _remedy(step, kind), again)))


def _remedy(step: str, kind: str) -> str:
    if kind == "refused":
        return _REMEDIES.get(step, "")
    if kind == "crashed":
        return (
            "La cause est dans le message ou dans le programme. Traitez la demande à la main, et transmettez le "
            "journal du service à qui s’en occupe."
        )
    service = SERVICE_NAMES.get(service_of(step), "Le service")
    return f"{service} a-t-il été en panne{NBSP}? Sur le serveur, «{NBSP}poller check{NBSP}» dit s’il répond."


def failure_line(message: WeeklyMessage, week: Week) -> FailureLine:
    """Return what the digest says of a message that failed."""
    failure = message.failure or Failure("")
    status = _HTTP_STATUS.search(failure.reason)
    service = SERVICE_NAMES.get(service_of(failure.step), "Le service")
    reason = _SHORT.get(failure.kind, "La cause est dans le reçu, à côté du message.")
    links = [("Fiche du client", message.contact_url)]
    if message.ticket:
        links.append((f"Ticket n°{NBSP}{message.ticket.id}", message.ticket.url))
    if message.subtask:
        links.append(("Sous-tâche", message.subtask.url))
    at = message.seen_at.astimezone(week.ends.tzinfo)
    return FailureLine(
        title=step_title(failure.step),
        reason=reason.format(service=service, status=f" (erreur {status[1]})" if status else ""),
        when=moment(at),
        links=[(label, url) for label, url in links if http_url(url)],
        marker=marker(message.reference),
    )
