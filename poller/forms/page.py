"""Render a form of the site as a page of its own, in French.

The page has no script and loads nothing from elsewhere. It works on a phone and with a screen reader.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from poller.escaping import html
from poller.forms.submission import LENGTHS
from poller.rendering.phrases import NBSP, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poller.config.settings import FormsSettings
    from poller.forms.problems import Problem, Wrong

_STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 38rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
label { display: block; margin: 1.25rem 0 .25rem; font-weight: 600; }
.hint, .wrong { display: block; margin-bottom: .25rem; font-size: .9rem; }
.wrong, .alert a { color: light-dark(#b00020, #ff9a9a); }
.wrong { font-weight: 600; }
input, textarea {
  box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; border: 1px solid GrayText; border-radius: .3rem;
}
[aria-invalid] { border: 2px solid light-dark(#b00020, #ff9a9a); }
button {
  margin-top: 1.5rem; padding: .7rem 1.5rem; border: 0; border-radius: .3rem;
  font: inherit; font-weight: 600; color: #fff; background: #0b5cad;
}
:focus-visible { outline: 3px solid light-dark(#0b5cad, #8cc4ff); outline-offset: 2px; }
.alert { border-left: .3rem solid light-dark(#b00020, #ff9a9a); padding: .5rem 1rem; margin: 0 0 1rem; }
.extra { position: absolute; left: -100vw; }
"""
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
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
    fields, wrong = fields or {}, problem.wrong if problem else ()
    at_most = (
        f"{settings.max_files} fichiers au plus, {size(settings.max_bytes)} en tout. Modèles 3D, images, documents."
    )
    # With this key a page that is sent twice makes one message.
    key = fields.get("idempotency_key", "") or uuid4().hex
    parts = [
        _alert(problem) if problem else "",
        f'<form method="post" action="/forms/{form}" enctype="multipart/form-data" novalidate>'
        if wrong
        else f'<form method="post" action="/forms/{form}" enctype="multipart/form-data">',
        _field("name", fields, wrong, autocomplete="name"),
        _field("email", fields, wrong, required=True, type="email", autocomplete="email"),
        _field("subject", fields, wrong),
        _field("message", fields, wrong, required=True, maxlength=str(settings.max_text_chars)),
        _field("files", {}, wrong, hint=at_most) if settings.max_files else "",
        # The honeypot is hidden from sight, tab order and screen readers: only a program fills it in.
        '<div class="extra" aria-hidden="true"><label for="extra">Ne pas remplir</label>',
        f'<input id="extra" name="{settings.honeypot}" tabindex="-1" autocomplete="off"></div>',
        f'<input type="hidden" name="idempotency_key" value="{html(key)}">',
        '<button type="submit">Envoyer</button>',
        "</form>",
    ]
    title = f"Formulaire «{NBSP}{form}{NBSP}»"
    return _page(f"Erreur{NBSP}: {title}" if problem else title, title, "\n".join(part for part in parts if part))


def thanks_page(reference: str) -> str:
    """Render the page that is shown once the message has been accepted."""
    return _page(
        "Message envoyé",
        "Message envoyé",
        f'<p role="status">Merci{NBSP}! Votre message est bien arrivé. Nous vous répondrons par courriel.</p>\n'
        f"<p>Référence{NBSP}: <strong>{html(reference)}</strong></p>",
    )


def _alert(problem: Problem) -> str:
    items = "".join(
        f'<li><a href="#{each.field}">{_LABELS[each.field]}</a>{NBSP}: {_words(each)}</li>'
        for each in problem.wrong
        if each.field in _LABELS
    )
    said = _STATUSES.get(problem.status, "Le message n’a pas pu être pris en compte.")
    listed = f"<ul>{items}</ul>" if items else ""
    return f'<div class="alert" role="alert"><p>{said}</p>{listed}</div>'


def _words(wrong: Wrong) -> str:
    return _WRONG.get((wrong.field, wrong.code)) or _CODES.get(wrong.code, "Ce champ n’est pas valable.")


def _field(
    name: str,
    fields: Mapping[str, str],
    wrong: tuple[Wrong, ...],
    *,
    required: bool = False,
    hint: str = "",
    **given: str,
) -> str:
    """Render a field's label and control, with its hint and its error linked to the control."""
    said = next((_words(each) for each in wrong if each.field == name), "")
    given.setdefault("maxlength", str(LENGTHS.get(name, "")))
    described = " ".join(f"{name}-{kind}" for kind, text in (("hint", hint), ("wrong", said)) if text)
    attributes = {
        "id": name,
        "name": name,
        **({"type": "file", "multiple": ""} if name == "files" else given),
        **({"required": ""} if required else {}),
        **({"aria-invalid": "true"} if said else {}),
        **({"aria-describedby": described} if described else {}),
    }
    written = " ".join(f'{key}="{value}"' if value else key for key, value in attributes.items())
    value = html(fields.get(name, "")).replace("<br>\n", "\n")
    control = (
        f'<textarea {written} rows="8">\n{value}</textarea>'
        if name == "message"
        else f'<input {written} value="{value}">'
    )
    return "\n".join(
        [
            f'<label for="{name}">{_LABELS[name]}{" (obligatoire)" if required else ""}</label>',
            *([f'<span class="hint" id="{name}-hint">{hint}</span>'] if hint else []),
            *([f'<span class="wrong" id="{name}-wrong">{said}</span>'] if said else []),
            control.replace(' value=""', ""),
        ]
    )


def _page(title: str, heading: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} – Figurative</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{heading}</h1>
{content}
</main>
</body>
</html>
"""
