"""Say in French why a mail is no work. The state and the log have it in English."""

from __future__ import annotations

from typing import Final

# Keyed by the kind of a reason of `screening.screen`, or by the canary's. A sign may follow it, in parentheses.
_KINDS: Final = {
    "answer to our own letter": "Réponse d’un collègue à un message du service",
    "auto-reply": "Réponse automatique",
    "bounce": "Avis de non-remise",
    "bulk": "Envoi en nombre",
    "calendar reply": "Réponse à une invitation",
    "canary": "Message de contrôle du service",
    "mailing list": "Liste de diffusion",
    "own notification": "Message du service",
    "read receipt": "Accusé de lecture",
    "recall of a mail": "Rappel d’un message par son auteur",
    "receipt of a transfer service": "Reçu d’un service de transfert",
    "report": "Rapport automatique",
    "spam": "Courrier indésirable",
}


def why_ignored(reason: str) -> str:
    """Return the reason for ignoring a mail as a French sentence: « Réponse automatique (Return-Path: <>). »."""
    kind, bracket, sign = reason.partition(" (")
    return f"{_KINDS.get(kind, kind)}{bracket}{sign}."
