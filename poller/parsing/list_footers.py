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
# Only a program writes these: the page of a list, the address to leave it, its name alone on a line.
_LIST: Final = re.compile(
    r".{0,200}(?:\b[\w.-]{1,80}[-+](?:leave|unsubscribe|signoff-request|request|desabonnement)@"
    r"|/(?:listinfo|sigrequest|postorius|hyperkitty|mailman3?)/|\bSUBED1=|groups\.google\.com/(?:d|a)/"
    r"|\bgroups\.io/(?:g|mt)/).{0,200}"
    r"|[\w.-]{1,60}(?: [\w.-]{1,20})? mailing list(?: -- \S{1,200})?|(?:la )?liste de diffusion [\w.-]{1,60}",
    re.IGNORECASE,
)


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
    count, of_a_list = 0, False
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at][:_LINE_CHARS].strip()
        if line.startswith(">") or count > _LINES or line.endswith("?"):
            break
        of_a_list = of_a_list or _LIST.fullmatch(line) is not None
        if of_a_list and (_RULE.fullmatch(line) or _BEGINS.match(line)) and not _stands_below_rule(lines, at):
            return at
        count += bool(line)
    return len(lines)


def _stands_below_rule(lines: list[str], at: int) -> bool:
    return at > 0 and _RULE.fullmatch(lines[at - 1][:_LINE_CHARS].strip()) is not None
