"""The part of a mail's text that its author wrote for it: no quoted history, no signature.

It is a view: the whole text is kept beside it. A history is recognised by the line that introduces it, in the forms
that mail clients write, never by what it says. Each line is looked at with the few below it: the time is linear.
"""

from __future__ import annotations

import re
from typing import Final

_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2007\u2009", " "))
_LOOK_AHEAD: Final = 4  # lines; an introduction is wrapped onto three at most, a header block is longer but begins so
_LINE_CHARS: Final = 300
_AFTER_WROTE_CHARS: Final = 120
_SIGNATURE_LINES: Final = 12

_FORWARD: Final = re.compile(
    r"[-_ *]*(?:(?:begin )?forwarded message|(?:message|mail|courriel) (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée])"
    r"|d[ée]but du message (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée]))[-_ *]*:?[-_ *]*",
    re.IGNORECASE,
)
_ORIGINAL: Final = re.compile(
    r"(?:[-_*]{2,} ?(?:original (?:message|appointment)"
    r"|(?:message|mail|e-mail|courriel) (?:d['’]origine|original|initial)"
    r"|ursprüngliche nachricht|mensaje original|messaggio originale|oorspronkelijk bericht) ?[-_*]{2,}"
    r"|> ?message du \d\d?/\d\d?/\d\d(?:\d\d)?.*)",
    re.IGNORECASE,
)
_WROTE: Final = re.compile(r"\b(?:a écrit|wrote|schrieb|escribió|ha scritto|escreveu|schreef)\b", re.IGNORECASE)
_OPENER: Final = re.compile(r"(?:le|on|am|el|il|em|op)\b", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"<[^<>\s@]{1,64}@[^<>\s]{1,200}>")
_FIELD: Final = re.compile(
    r"\*?(de|from|von|envoyé|envoyé le|date|sent|gesendet|à|to|an|cc|objet|sujet|subject|betreff) ?\*? ?: ?\*?(.*)",
    re.IGNORECASE,
)
_FIRST_FIELDS: Final = {"de", "from", "von"}
_DATE_FIELDS: Final = {"envoyé", "envoyé le", "date", "sent", "gesendet"}
_OTHER_FIELDS: Final = {"à", "to", "an", "cc", "objet", "sujet", "subject", "betreff"}
_MOBILE: Final = re.compile(
    r"\[?(?:envoyé (?:de|depuis|à partir de|avec|par) (?:mon|ma|yahoo|outlook|gmail|proton|un appareil|mail).{0,80}"
    r"|envoyé (?:depuis|avec|par) l['’]app.{0,80}|envoyé à partir d['’]outlook.{0,80}"
    r"|sent from (?:my|yahoo|outlook|proton|mail|an?) .{0,80}|sent from (?:outlook|mail)"
    r"|(?:obtenir|obtenez|télécharge[rz]|get|download) (?:l['’]application )?(?:outlook|bluemail)\b.{0,120})",
    re.IGNORECASE,
)
_RULE: Final = re.compile(r"[_\-=*]{5,}")


def newest_part(text: str) -> str:
    r"""What was written for this mail, from its text with "\n" line ends.

    All of it for a forward, whose history is what the sender wants read, and where nothing but history would be left.
    An answer below or between quoted lines is kept. "" only for an empty text.
    """
    raw = text.split("\n")
    lines = [line.translate(_SPACES).strip() for line in raw]
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if _FORWARD.fullmatch(line[:_LINE_CHARS]):
            return text.strip()
        introduction = _introduction_lines(lines, at)
        if introduction:
            at += introduction
            if not _is_quoted(lines, at):
                break  # the history below is not marked line by line: it goes on to the end
        elif _ends_what_is_new(lines, at) or (line in {"--", "—"} and _is_signature(lines, at)):
            break
        else:
            if not line.startswith(">") and not _MOBILE.fullmatch(line[:_LINE_CHARS]):
                kept.append(raw[at])
            at += 1
    newest = "\n".join(kept).strip()
    while (end := newest.rpartition("\n"))[2] and _RULE.fullmatch(end[2].strip()):
        newest = end[0].rstrip()  # Outlook's rule above the history
    return newest if re.search(r"\w", newest) else text.strip()


def _ends_what_is_new(lines: list[str], at: int) -> bool:
    return _ORIGINAL.fullmatch(lines[at][:_LINE_CHARS]) is not None or _begins_header_block(lines, at)


def _introduction_lines(lines: list[str], at: int) -> int:
    """How many lines a quotation's introduction has that begins here ("Le 3 nov., X a écrit :"), 0 when none does."""
    if not (_OPENER.match(lines[at]) or _ADDRESS.search(lines[at][:_LINE_CHARS])):
        return 0
    joined = ""
    for count, line in enumerate(lines[at : at + _LOOK_AHEAD - 1], start=1):
        if not line:
            return 0
        joined = f"{joined} {line[:_LINE_CHARS]}"
        wrote = _WROTE.search(joined)
        if wrote and line.endswith(":") and len(joined) - wrote.end() < _AFTER_WROTE_CHARS:
            before = joined[: wrote.start()]
            return count if re.search(r"\d", before) or _ADDRESS.search(before) else 0
    return 0


def _is_quoted(lines: list[str], at: int) -> bool:
    return next((line.startswith(">") for line in lines[at : at + _LOOK_AHEAD] if line), False)


def _begins_header_block(lines: list[str], at: int) -> bool:
    """Whether the answered mail's header begins here, as Outlook writes it; "De : 10 mm" on a plan does not."""
    first = _FIELD.fullmatch(lines[at][: 3 * _LINE_CHARS])
    if first is None or first[1].lower() not in _FIRST_FIELDS:
        return False
    following = [_FIELD.fullmatch(line[: 3 * _LINE_CHARS]) for line in lines[at + 1 : at + 8] if line][:5]
    names = {field[1].lower() for field in following if field}
    return bool(names & _DATE_FIELDS) and bool(names & _OTHER_FIELDS)


def _is_signature(lines: list[str], at: int) -> bool:
    """Whether "--" begins a signature: it is short, up to the history or the end of the text."""
    count = 0
    for index in range(at + 1, len(lines)):
        if lines[index].startswith(">") or _ends_what_is_new(lines, index) or _introduction_lines(lines, index):
            break
        count += bool(lines[index])
        if count > _SIGNATURE_LINES:
            return False
    return True
