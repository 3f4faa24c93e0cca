"""Drop the notices that gateways and companies print around a mail: warnings of a sender outside, and disclaimers.

They are full of words that look like a request ("received in error", "do not click links"). A notice is known by
several of its set phrases together, for a person may write each of them.
"""

from __future__ import annotations

import re
from typing import Final

_NOTICE_CHARS: Final = 3000
_BANNER_LINES: Final = 6
_FOOTER_LINES: Final = 40

_WARNS: Final = re.compile(
    r"\W*(?:caution|warning|external|expéditeur externe|attention|avertissement|alerte|achtung|vorsicht|externe?\b"
    r"|this (?:e-?mail|message|mail)|(?:ce|cet|diese) (?:message|mail|courriel|e-?mail|expéditeur|nachricht)"
    r"|you don['’]t often get|vous n['’](?:obtenez|recevez) pas souvent|sie erhalten nicht (?:oft|häufig))",
    re.IGNORECASE,
)
_OUTSIDE: Final = re.compile(
    r"\b(?:e-?mail|mail|message|courriel|sender|nachricht)\b.{0,40}\b(?:from|provient|vient|émane|originat\w+|kommt|stammt)\b"
    r".{0,40}\b(?:outside|external\w*|extérieur\w*|externe?\b|außerhalb)"
    r"|^\W*(?:expéditeur externe|external sender)\b"
    r"|n['’](?:obtenez|recevez) pas souvent|don['’]t often get|erhalten nicht (?:oft|häufig)",
    re.IGNORECASE,
)
_CARE: Final = re.compile(
    r"\b(?:(?:ne |n['’]|do not |don['’]t |not |avoid |évitez |avant |before )(?:[\w'’]+ ){0,3}"
    r"(?:cliqu|click|open|ouvr)\w*|klicken sie nicht|vigilan\w+|prudence|prudent|careful|unless|sauf si"
    r"|organi[sz]ation|votre société|your company|learn why|pourquoi c['’]est important)",
    re.IGNORECASE,
)
_ADVICE: Final = re.compile(r"\W*(?:do not|don['’]t|ne |n['’]|please|veuillez|soyez|be |évitez)", re.IGNORECASE)
_WARNING_OFF: Final = re.compile(
    r"\W*(?:(?:please |veuillez )?(?:do not|don['’]t|ne |n['’])|be (?:careful|cautious)|soyez|évitez)", re.IGNORECASE
)
_LABEL: Final = re.compile(
    r"[\W_]*(?:(?:external|externe?) (?:e-?mail|mail|message|sender)|(?:e-?mail|mail|message|courriel) externe?)[\W_]*"
    r"|\[ext(?:ernal|erne?)?\]"
    r"|\[(?:ce message|cet e-?mail|ce mail|this (?:message|e-?mail)) (?:vient|provient|émane|is|was|came|comes)\b"
    r"[^\[\]]{0,60}(?:extérieur|externe|outside|external)[^\[\]]{0,60}\]",
    re.IGNORECASE,
)
_DANGER: Final = re.compile(
    r"\b(?:links?|liens?|attachments?|pièces? jointes?|anhänge|anhang|sender|expéditeur|absender)\b", re.IGNORECASE
)
_DISCLAIMS: Final = re.compile(
    r"\W*(?:(?:confidentiality|legal) notice\W+|(?:avis de )?confidentialité\W+|avis(?: juridique| important)?\W+"
    r"|disclaimer\W+|l['’]intégrité de |)"
    r"(?:(?:the |les |le |la |as |die |l['’])?(?:informa\w+|content|contenu)\w* .{0,60}?\b)?"
    r"(?:ce|cet|this|diese|este|esta|questo|questa|deze|dit) (?:e-?mail|mail|message|courriel|courrier|transmission"
    r"|communication|nachricht|mensaje|mensagem|correo|messaggio|bericht)\b",
    re.IGNORECASE,
)
_SET_PHRASES: Final = tuple(
    re.compile(phrases, re.IGNORECASE)
    for phrases in (
        r"confiden|vertraulich|riservat|vertrouwelijk|privileged",
        r"destinataire|intended|addressee|recipient|empfänger|destinat[aá]ri|geadresseerde|usage exclusif|solely",
        r"erreur|in error|by mistake|irrtümlich|errore|por error|por engano|per abuis|ten onrechte",
        r"détruire|supprimer|delete|destroy|löschen|vernichten|cancell|elimin|verwijder|destruction",
        r"l['’]expéditeur|the sender|notify|avertir|absender|mittente|remitente|remetente|afzender",
        r"interdit|prohibited|unauthori[sz]ed|autorisée?|divulg|disclos|disseminat|diffusion",
        r"intégrité|responsab|liab|altér|virus",
    )
)
_FEWEST_PHRASES: Final = 3
# A person withdraws a mail with the other phrases: "Ce message annule le précédent, envoyé par erreur".
_RESTRICTS: Final = re.compile(
    rf"{_SET_PHRASES[0].pattern}|intended|addressee|solely|destiné|usage exclusif|interdit|prohibited|unauthori[sz]ed"
    r"|intégrité|bestimmt",
    re.IGNORECASE,
)
# What nobody but a disclaimer says in one sentence.
_CONFIDENTIAL_FOR: Final = re.compile(
    rf"(?:{_SET_PHRASES[0].pattern})\w* .{{0,40}}(?:intended|destiné|usage exclusif|solely|bestimmt|bedoeld)",
    re.IGNORECASE,
)
_HEADED: Final = re.compile(r"\W*(?:disclaimer|confidentiality notice|avis de confidentialité)\b", re.IGNORECASE)
# Below a quotation even a short one is no answer.
_SHORT: Final = re.compile(
    r"\W*(?:ce|this|diese[rs]?|este|esta|questo|questa|deze|dit) (?:e-?mail|mail|message|courriel|nachricht|mensaje"
    r"|correo|messaggio|mensagem|bericht)\b.{0,200}(?:confiden|vertraulich|viru|vertrouwelijk|riservat).*",
    re.IGNORECASE,
)
# A person prints a model, too ("Antes de imprimir ..."), and shows it in an environment.
_FOOTER: Final = re.compile(
    r"\W*(?:(?:\[[^\[\]]{0,300}\])?(?:<[^<>]{0,300}>)?\s?)?"
    r"(?:(?:garanti sans virus|sans virus|virus[- ]free|virenfrei|libre de virus)"
    r"(?:\W{0,9}|.{0,300}?\b(?:avast|avg|norton|avira|mcafee|bitdefender)\b.{0,300})"
    r"|l['’]absence de virus dans ce .{0,400}"
    r"|(?:p )?(?:pensez à l['’]environnement|(?:please )?(?:consider|think (?:of|about)) the environment"
    r"|(?:bitte )?denken sie an die umwelt|pensa all['’]ambiente)"
    r"(?:\W{0,9}|\W{1,9}(?:avant|before|when|bevor|prima|n['’]imprimez)\b.{0,120})"
    r"|(?:p )?(?:avant d['’]imprimer|before printing|prima di stampare|antes de imprimir)\b.{0,60}?"
    r"\b(?:environnement|planète|environment|ambiente?|medioambiente)\b.{0,120}"
    r"|(?:p )?n['’]imprimez (?:(?:ce|cet) (?:mail|e-?mail|message|courriel)|que si)\b.{0,120})",
    re.IGNORECASE,
)


def without_notices(text: str) -> str:
    """Return a text without the notices at its beginning and at its end."""
    lines = text.split("\n")
    first, last = 0, len(lines)
    while first < last and (count := _banner_lines(lines, first) or not lines[first].strip()):
        first += count
    while (start := _footer_start(lines, first, last)) < last:
        last = start
    return "\n".join(lines[first:last]).strip("\n")


def is_footer(line: str) -> bool:
    """Return whether a line below a quotation is a notice, and no answer to it."""
    return any(pattern.fullmatch(line[:_NOTICE_CHARS]) for pattern in (_SHORT, _FOOTER))


def is_disclaimer(text: str) -> bool:
    """Return whether a text is a disclaimer's one paragraph.

    One sentence proves it where nothing stands above: it is confidential, and for whom.
    """
    joined = " ".join(text.split())[:_NOTICE_CHARS]
    one = _DISCLAIMS.match(joined) and _CONFIDENTIAL_FOR.search(joined)
    return "\n\n" not in text.strip() and bool(one or _disclaims(joined))


def _disclaims(text: str) -> bool:
    if not _DISCLAIMS.match(text):
        return False
    found = sum(phrase.search(text) is not None for phrase in _SET_PHRASES)
    return found >= _FEWEST_PHRASES + (not _RESTRICTS.search(text)) - bool(_HEADED.match(text))


def _banner_lines(lines: list[str], at: int) -> int:
    """Return the number of lines of the warning that begins here, 0 if none does. A warning ends with its sentence."""
    if at >= len(lines) or not lines[at].strip():
        return 0
    if _LABEL.fullmatch(lines[at][:_NOTICE_CHARS]):
        return 1
    joined = ""
    for count, line in enumerate(lines[at : at + _BANNER_LINES], start=1):
        joined = f"{joined} {line.strip()}"[:_NOTICE_CHARS]
        below = lines[at + count].strip() if at + count < len(lines) else ""
        if below and not joined.endswith((".", "!", ":", "]", ")", "*")):
            continue
        if not (_is_labelled_advice(joined) or (_WARNS.match(joined) and _OUTSIDE.search(joined))):
            return 0
        if not (_ADVICE.match(below) and _CARE.search(below[:_NOTICE_CHARS])):
            return count if _CARE.search(joined) else 0
    return 0


def _is_labelled_advice(line: str) -> bool:
    """Return whether a label and what it warns of are one line: "[EXTERNAL EMAIL] Do not click links ..."."""
    label = _LABEL.match(line)
    return bool(label and _WARNING_OFF.match(line, label.end()) and _DANGER.search(line, label.end()))


def _footer_start(lines: list[str], first: int, last: int) -> int:
    """Return where the notice begins that stands at the end of the lines, `last` if none does."""
    end = last
    while end > first and not re.search(r"\w", lines[end - 1][:_NOTICE_CHARS]):
        end -= 1
    joined = ""
    for at in range(end - 1, max(first, end - _FOOTER_LINES) - 1, -1):
        line = lines[at].strip()
        joined = f"{line} {joined}".strip()
        if not line or len(joined) > _NOTICE_CHARS:
            break
        if _FOOTER.fullmatch(joined) or _disclaims(joined):
            return at
    return last
