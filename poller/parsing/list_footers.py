"""Drop the lines that a mailing list adds below each mail: its name, its address, how to leave it."""

from __future__ import annotations

import re
from typing import Final

_LINES: Final = 12  # of a footer, without empty ones
_LINE_CHARS: Final = 300
_MOST: Final = 4  # of lists, each with a footer of its own
_RULE: Final = re.compile(r"(?:[-_=#*~]{2,}|—) ?")
_BEGINS: Final = re.compile(
    r"you(?:['’]re| are)? receiv(?:ed|ing) this (?:message|email|e-mail) because you(?:['’]re| are) subscribed"
    r"|vous recevez ce message,? car vous êtes abonné|sie (?:haben|erhalten) diese nachricht (?:erhalten, )?weil sie"
    r"|has recibido este mensaje porque est[aá]s suscrito|hai ricevuto questo messaggio perch[eé] sei iscritto",
    re.IGNORECASE,
)
# Only a program writes these: the page to leave a list, the address for it, the list's name alone on a line. People
# link to what was written on a list, and have addresses such as quote-request@.
_LIST: Final = re.compile(
    r".{0,200}(?:\b[\w.-]{1,80}[-+](?:unsubscribe|signoff-request|desabonnement)@"
    r"|/(?:listinfo|sigrequest|postorius)/|\bSUBED1=|groups\.google\.com/(?:a/[^/\s]{1,100}/)?d/optout\b"
    r"|\bgroups\.io/mt/).{0,200}|[\w.-]{1,60}(?: [\w.-]{1,20})? mailing list -- \S{1,200}"
    r"|(?:to unsubscribe|to leave|pour (?:vous|se) (?:désabonner|désinscrire))\b.{0,200}"
    r"(?:\b[\w.-]{1,80}[-+](?:leave|request)@|groups\.google\.com/(?:a/[^/\s]{1,100}/)?d/msgid/).{0,200}",
    re.IGNORECASE,
)
_NAME: Final = re.compile(
    r"[\w.-]{1,60}(?: [\w.-]{1,20})? mailing list|(?:la )?liste de diffusion [\w.-]{1,60}", re.IGNORECASE
)
_MAILMAN_RULE: Final = re.compile(r"_{40,}")


def without_list_footers(text: str) -> str:
    r"""Return a text with "\n" line ends without the footers at its end. One that is nothing else is returned whole."""
    lines = text.split("\n")
    for _ in range(_MOST):
        start = _footer_start(lines)
        if not any(line.strip() for line in lines[:start]):
            break
        del lines[start:]
    return "\n".join(lines)


def _footer_start(lines: list[str]) -> int:
    """Return where the footer begins that ends the lines, their number if none does.

    It begins with a rule, or with a sentence that says why the reader gets the mail.
    """
    count, of_a_list, named = 0, False, False
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at][:_LINE_CHARS].strip()
        if line.startswith(">") or count > _LINES or line.endswith("?"):
            break
        above = lines[at - 1][:_LINE_CHARS].strip() if at else ""
        of_a_list = of_a_list or _LIST.fullmatch(line) is not None
        begins = _RULE.fullmatch(line) or _BEGINS.match(line)
        if begins and (of_a_list or (named and _MAILMAN_RULE.fullmatch(line))) and not above.endswith(":"):
            return at - 1 if _RULE.fullmatch(above) else at
        named = _NAME.fullmatch(line) is not None
        count += bool(line)
    return len(lines)
