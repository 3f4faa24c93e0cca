"""Extract the part of a mail's text that its author wrote for it, without quoted history and signature.

The whole text is kept beside it. A history is recognised by the line that introduces it, in the forms that mail clients
write, never by its content. Each line is examined together with the few lines below it, so the time is linear.
"""

from __future__ import annotations

import re
from typing import Final

_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2007\u2009", " "))
_LOOK_AHEAD: Final = 4  # lines; an introduction takes three at most, and the first lines show a longer header block
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
# Excludes reported speech: "votre studio m'a écrit", "nous a écrit", "wrote to me".
_WROTE: Final = re.compile(
    r"\b(?<!['’])(?<!\b[nv]ous )(?:a écrit|wrote(?! (?:to|me|us)\b)|schrieb|escribió|ha scritto|escreveu|schreef)\b",
    re.IGNORECASE,
)
_OPENER: Final = re.compile(r"(?:le|on|am|el|il|em|op)\b", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"<[^<>\s@]{1,64}@[^<>\s]{1,200}>")
# The header of the answered mail, one field a line or all on one; Orange and SFR begin it with "Message du".
_FIELD: Final = re.compile(
    r"(?:^|(?<=\s))\*?(?:(?P<author>de|from|von)|(?P<sent>envoyé(?: le)?|sent|gesendet|message du)|(?P<date>date)"
    r"|(?P<to>à|a|to|an|cc|copie à)|(?P<subject>objet|sujet|subject|betreff)) ?\*? ?:\*?",
    re.IGNORECASE,
)
_MESSAGE_OF: Final = re.compile(r"message du (?=\d)", re.IGNORECASE)
# Fields of web forms, which no mail header has.
_FORM_FIELD: Final = re.compile(
    r"\*?(?:nom|prénom|société|entreprise|téléphone|tél|phone|name|company|e-?mail|adresse|(?:votre |corps du )?message"
    r"|commentaires?) ?\*? ?:",
    re.IGNORECASE,
)
_HEADER_LINES: Final = 6
_PLAIN_ADDRESS: Final = re.compile(r"[^\s<>@\[(:]@[^\s<>@]+\.[^\s<>@]")
_DAY: Final = re.compile(
    r"\b(?:\d{1,4}([/.-])\d\d?\1\d{2,4}|\d\d?(?:er)?\.? (?:de )?[^\W\d_]{3,10}\.?|[^\W\d_]{3,10}\.? \d\d?, \d{4})(?!\w)"
)
_TIME: Final = re.compile(r"\b\d\d?[:h]\d\d\b")
_OUTLOOK_RULE: Final = re.compile(r"_{20,}")

# Signatures of mail apps. A person may also write "Envoyé par mail hier" or "Envoyé depuis l'application".
_DEVICE: Final = (
    r"(?:i-?phone|i-?pad|i-?pod|i?mac|macbook|android|samsung|galaxy|huawei|honor|xiaomi|redmi|oppo|realme|oneplus|pixel"
    r"|nokia|sony|xperia|wiko|crosscall|fairphone|blackberry|windows phone|mobile|smartphone|téléphone|phone|tablette"
    r"|tablet|appareil|device)"
)
_APP: Final = (
    r"(?:yahoo|outlook|gmail|proton ?mail|courrier|mail (?:pour|for|orange|sfr|free|bouygues)|orange|sfr|free"
    r"|bouygues|bbox|la ?poste(?:\.net| mail)|mailo|spark|blue ?mail|zimbra|thunderbird|e?m client"
    r"|l['’]appli(?:cation)?(?: mobile)? (?:mail|yahoo|outlook|gmail|proton|orange|sfr|free|bouygues|la ?poste)"
    r"|la messagerie (?:sécurisée|orange|sfr|free|bouygues|proton|la ?poste)|(?:mon|le) webmail)"
)
_MOBILE: Final = re.compile(
    rf"(?:(?:cet? (?:e-?mail|mail|message|courriel) (?:a été |est )?)?envoyé (?:de|depuis|à partir de|avec|par|via) "
    rf"(?:(?:mon|ma|un|une) (?:[\w.-]+,? ){{0,3}}{_DEVICE}|{_APP})\b[^:;?!]{{0,60}}"
    rf"|envoyé à partir d['’]outlook\b[^:;?!]{{0,60}}|provenance ?: ?(?:courrier|mail|outlook)\b[^:;?!]{{0,40}}"
    rf"|sent (?:from|with|via|using) (?:(?:my|an?) (?:[\w.-]+,? ){{0,3}}{_DEVICE}|{_APP})\b[^:;?!]{{0,60}}"
    rf"|sent from mail\.?|yahoo mail ?: ?(?:recherche|organise|search|all|simpl|gére|le meilleur|the ).{{0,80}}"
    r"|(?:obtenir|obtenez|téléchargez?r?|get|download) (?:l['’]appli(?:cation)? |the )?"
    r"(?:outlook|bluemail|yahoo mail|proton ?mail|mail orange|orange mail|sfr mail|spark)\b[^:;?!]{0,80})",
    re.IGNORECASE,
)
_LINK: Final = re.compile(
    r"\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)|<https?://[^<>\s]{0,500}>|\(https?://[^()\s]{0,500}\)|[\[\]]"
)
_RULE: Final = re.compile(r"[_\-=*]{5,}")


def newest_part(text: str) -> str:
    r"""Return what was written for this mail, from its text with "\n" line ends.

    A forward returns all of its text, because the sender wants the history to be read. So does a text that is nothing
    but history. An answer below or between quoted lines is kept. The result is "" only for an empty text.
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
                break  # lines of the history have no ">": it goes on to the end
        elif _ends_what_is_new(lines, at) or (line in {"--", "—"} and _is_signature(lines, at)):
            break
        else:
            if not line.startswith(">") and not _is_of_an_app(line):
                kept.append(raw[at])
            at += 1
    newest = "\n".join(kept).strip()
    while (end := newest.rpartition("\n"))[2] and _RULE.fullmatch(end[2].strip()):
        newest = end[0].rstrip()  # Outlook's rule above the history
    return newest if re.search(r"\w", newest) else text.strip()


def _ends_what_is_new(lines: list[str], at: int) -> bool:
    return _ORIGINAL.fullmatch(lines[at][:_LINE_CHARS]) is not None or _begins_header_block(lines, at)


def _introduction_lines(lines: list[str], at: int) -> int:
    """Return the length in lines of the introduction of a quotation that begins here, 0 if there is none.

    An example is "Le 3 nov., X a écrit :".
    """
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
    """Return True if the header of the answered mail begins here, its fields in any order.

    A header names the author and the time, and has either an address, or a subject and a plausible date. Without these
    it must stand below Outlook's rule. A plan's "De : 10 mm" is no header. A block with a form field, such as a
    telephone number, is a web form.
    """
    if not _FIELD.match(_MESSAGE_OF.sub("message du : ", lines[at][:_LINE_CHARS])):
        return False
    near = [_MESSAGE_OF.sub("message du : ", line[: 3 * _LINE_CHARS]) for line in lines[at : at + 9] if line]
    if any(_FORM_FIELD.match(line) for line in near[:_HEADER_LINES]):
        return False
    found = _fields(near[:_HEADER_LINES])
    sent = found.get("sent", found.get("date"))
    if sent is None or "author" not in found or not found.keys() & {"to", "subject"}:
        return False
    if _PLAIN_ADDRESS.search(found["author"]) or _PLAIN_ADDRESS.search(found.get("to", "")):
        return True
    if "subject" in found and _DAY.search(sent) and ("sent" in found or _TIME.search(sent)):
        return True
    above = next((line for line in reversed(lines[max(0, at - 2) : at]) if line), "")
    return "sent" in found and _OUTLOOK_RULE.fullmatch(above) is not None


def _fields(lines: list[str]) -> dict[str, str]:
    """Return the first value of each field, keyed by its group in `_FIELD`. Other lines continue the field above."""
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        fields = list(_FIELD.finditer(line)) if _FIELD.match(line) else []
        for number, field in enumerate(fields, start=1):
            last = str(field.lastgroup)
            found.setdefault(last, line[field.end() : fields[number].start() if number < len(fields) else None])
        if not fields:
            found[last] = f"{found.get(last, '')} {line}"
    return found


def _is_of_an_app(line: str) -> bool:
    """Return True if the line is a mail app's signature ("Envoyé de mon iPhone"), with or without a link in it."""
    return _MOBILE.fullmatch(_LINK.sub(r"\1", line[: 3 * _LINE_CHARS]).strip()) is not None


def _is_signature(lines: list[str], at: int) -> bool:
    """Return True if "--" begins a signature: a short block, up to the history or the end of the text."""
    count = 0
    for index in range(at + 1, len(lines)):
        if lines[index].startswith(">") or _ends_what_is_new(lines, index) or _introduction_lines(lines, index):
            break
        count += bool(lines[index])
        if count > _SIGNATURE_LINES:
            return False
    return True
