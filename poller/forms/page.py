"""Render a form of the site as a page of its own, in French.

The page has no script and loads nothing from elsewhere. It works on a phone and with a screen reader.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from poller.forms.submission import LENGTHS
from poller.rendering.phrases import NBSP, size
from poller.rendering.template import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poller.config.settings import FormsSettings
    from poller.forms.problems import Problem, Wrong

_DIGEST: Final = base64.b64encode(hashlib.sha256(render("form.css").encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_LABELS: Final = {
    "name": "Nom",
    "email": "Adresse électronique",
    "subject": "Objet",
    "message": "Message",
    "files": "Fichiers",
}
_WRONG: Final = {
    ("email", "missing"): "Indiquez votre adresse électronique, pour que nous puissions vous répondre.",
    ("email", "invalid"): f"Cette adresse n’est pas valable. Exemple{NBSP}: jeanne.petit@exemple.fr",
    ("email", "no_answer"): "Indiquez une adresse à laquelle nous pouvons vous répondre.",
    ("message", "missing"): "Écrivez votre message.",
    ("files", "too_many"): "Il y a trop de fichiers.",
}
_CODES: Final = {"too_long": "Ce texte est trop long.", "missing": "Ce champ est obligatoire."}
_STATUSES: Final = {
    408: "L’envoi a pris trop de temps. Réessayez, avec des fichiers plus petits si besoin.",
    413: "L’envoi est trop volumineux. Retirez des fichiers, ou envoyez un lien vers eux.",
    422: "Le message n’est pas encore parti. Corrigez ce qui suit, et choisissez de nouveau les fichiers s’il y en a.",
    429: "Trop d’envois depuis votre réseau. Réessayez plus tard.",
    500: "Le message n’a pas pu être transmis. Écrivez-nous plutôt par courriel.",
    503: "Le message n’a pas pu être transmis. Réessayez dans une minute, en choisissant de nouveau vos fichiers.",
}


def form_page(
    form: str, settings: FormsSettings, problem: Problem | None = None, fields: Mapping[str, str] | None = None
) -> str:
    """Render the form, with its errors and the values that were filled in before, where there are any."""
    filled = fields or {}
    wrong = [(each.field, _words(each)) for each in problem.wrong if each.field in _LABELS] if problem else []
    at_most = f"{settings.max_files} fichiers au plus, {size(settings.max_bytes)} en tout."
    return render(
        "form.html",
        form=form,
        alert=_STATUSES.get(problem.status, "Le message n’a pas pu être pris en compte.") if problem else "",
        wrong=wrong,
        errors=dict(reversed(wrong)),  # the first of each field
        novalidate=bool(problem and problem.wrong),
        labels=_LABELS,
        lengths=LENGTHS | {"message": settings.max_text_chars},
        filled=filled,
        at_most=f"{at_most} Modèles 3D, images, documents." if settings.max_files else "",
        honeypot=settings.honeypot,
        # With this key a page that is sent twice makes one message.
        key=filled.get("idempotency_key", "") or uuid4().hex,
    )


def thanks_page(reference: str) -> str:
    """Render the page that is shown once the message has been accepted."""
    return render("thanks.html", reference=reference)


def _words(wrong: Wrong) -> str:
    return _WRONG.get((wrong.field, wrong.code)) or _CODES.get(wrong.code, "Ce champ n’est pas valable.")
