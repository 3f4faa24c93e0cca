"""Find the author of a forwarded message, from the lines with which mail clients introduce it in the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from poller.mime import addresses

if TYPE_CHECKING:
    from poller.model import Address

_HEADING: Final = re.compile(
    r"[-_ *]*(?:(?:begin )?forwarded message|(?:message|mail|courriel) (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée]|transmis)"
    r"|d[ée]but du (?:message|courriel) (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée])|weitergeleitete nachricht"
    r"|mensaje reenviado|messaggio inoltrato)[-_ *]*:?[-_ *]*",
    re.IGNORECASE,
)
_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2007\u2009", " "))
_FROM: Final = re.compile(r"\*?(?:de|from|von|da|van) ?\*? ?: ?\*?(.*)", re.IGNORECASE)
_FIELD: Final = re.compile(
    r"\*?(?:envoyé(?: le)?|date|sent|gesendet|datum|enviado(?: el)?|fecha|inviato|data|verzonden|à|to|an|para"
    r"|pour|a|aan|cc|copie à|objet|sujet|subject|betreff|asunto|oggetto|onderwerp|répondre à|reply-to) ?\*? ?:",
    re.IGNORECASE,
)
_LINK: Final = re.compile(r"\[([^\[\]]{0,300})\]\((?:mailto:)?[^()\s]{0,300}\)")
_MAILTO: Final = re.compile(r"\[(?:mailto:)([^\[\]\s]{1,300})\]", re.IGNORECASE)
_LINE_CHARS: Final = 600
_MAX_LINES: Final = 5000
_FIELDS: Final = 2  # that must follow From; "De : 10 mm" on a plan has none


def _around(lines: list[str], at: int) -> list[str]:
    """Return the header lines above line `at`, 6 at most, and the 9 lines below it.

    Thunderbird and Roundcube write the subject and the date above From.
    """
    above = at
    while above > max(0, at - 6) and _FIELD.match(lines[above - 1]):
        above -= 1
    return lines[above:at] + lines[at + 1 : at + 10]


def original_senders(text: str, *, forward: bool) -> tuple[Address, ...]:
    """Return the author of each message that a text forwards, the outermost first.

    A message that names no address is left out. A block of header fields counts below a heading ("Forwarded message").
    Without a heading it counts only where the subject shows that the mail is a `forward`, because an answer may contain
    the same block.
    """
    lines = [line[:_LINE_CHARS].translate(_SPACES).lstrip("> \t").strip() for line in text.split("\n", _MAX_LINES)]
    headed, found = forward, []
    for at, line in enumerate(lines):
        headed = headed or _HEADING.fullmatch(line) is not None
        first = _FROM.fullmatch(line) if headed else None
        if first and sum(_FIELD.match(near) is not None for near in _around(lines, at)) >= _FIELDS:
            following = lines[at + 1] if at + 1 < len(lines) and not _FIELD.match(lines[at + 1]) else ""
            for value in (first[1], f"{first[1]} {following}"):  # a long one is folded
                plain = _MAILTO.sub(r"<\1>", _LINK.sub(r"\1", value)).replace("*", "")
                if named := addresses.addresses(plain.encode("utf-8", "replace")):
                    found.append(named[0])
                    break
    return tuple(found)
