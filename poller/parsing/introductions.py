"""Recognise the lines by which mail clients introduce an answered or a forwarded mail, in each language."""

from __future__ import annotations

import re
from typing import Final

from poller.parsing.field_labels import begins_field

LINE_CHARS: Final = 300
_LINES: Final = 3  # that an introduction takes at most
_AFTER_WROTE_CHARS: Final = 120

_RULE: Final = r"[-_ *>=–—]*"
_FORWARD_HEADINGS: Final = {
    "en": r"(?:begin )?forwarded (?:message|email)",
    "fr": r"(?:message|mail|e-mail|courriel) (?:transf[ée]r[ée]|transmis|r[ée]exp[ée]di[ée])"
    r"|d[ée]but du (?:message|courriel) (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée]|transmis)",
    "de": r"(?:anfang der )?weitergeleitete(?:n)? (?:nachricht|e-mail|mail)",
    "es": r"(?:inicio del )?mensaje reenviado",
    "it": r"(?:inizio )?messaggio inoltrato",
    "pt": r"(?:início da )?mensagem (?:en|reen)caminhada",
    "nl": r"(?:begin )?doorgestuurd bericht",
    "sv": r"vidarebefordrat (?:meddelande|brev|mejl)",
    "da, no": r"(?:start på )?videresendt (?:besked|meddelelse|melding)",
    "fi": r"(?:välitetty|edelleenlähetetty) viesti(?: alkaa| / fwd\.msg)?",
    "pl": r"(?:treść |początek )?(?:przekazan\w+|przekazywan\w+|przesłan\w+ dalej) wiadomoś\w+"
    r"|wiadomość (?:przekazana|przesłana dalej)",
    "cs": r"(?:přeposlaná zpráva|začátek přeposílané zprávy)",
    "sk": r"(?:preposlaná správa(?: --- forwarded message)?|začiatok preposlanej správy)",
    "hr": r"(?:proslijeđena poruka|započni proslijeđenu poruku)",
    "hu": r"továbbított (?:üzenet|levél(?: kezdete)?)",
    "ro": r"(?:începe )?mesaj(?:ul)? (?:redirecționat|înaintat|retrimis)",
    "tr": r"(?:iletilmiş mesaj|iletilen ileti|ileti başlangıcı)",
    "ru": r"(?:пересылаемое|перенаправленное|пересланное) сообщение|начало переадресованного сообщения",
    "uk": r"(?:переслане|перенаправлене) повідомлення|початок листа, що пересилається",
    "ca": r"missatge reenviat",
    "el": r"προωθημένο μήνυμα",
    "zh": r"转发的邮件(?:信息)?|轉寄(?:的)?郵件",
    "ja": r"(?:メッセージを転送|転送メッセージ|転送されたメッセージ)",
}
_FORWARDED: Final = re.compile(rf"{_RULE}(?:{'|'.join(_FORWARD_HEADINGS.values())}){_RULE}:?{_RULE}", re.IGNORECASE)
_ORIGINAL: Final = re.compile(
    r"(?:[-_*–—]{2,}|—) ?(?:original (?:message|appointment)|(?:message|mail|e-mail|courriel) "
    r"(?:d['’]origine|original|initial)|ursprüngliche (?:nachricht|e-mail)"
    r"|original-nachricht|originalnachricht|mensaje original|messaggio originale"
    r"|mensagem original|oorspronkelijk bericht|origineel bericht|ursprungligt meddelande|originalmeddelande"
    r"|oprindelig (?:meddelelse|besked)|opprinnelig melding|(?:oryginalna )?wiadomość(?: oryginalna)?"
    r"|alkuperäinen viesti|původní zpráva|pôvodná správa|izvorna poruka|eredeti üzenet|mesaj(?:ul)? original"
    r"|orijinal mesaj|исходное сообщение|оригінальне повідомлення|missatge original|原始邮件|元のメッセージ)"
    r" ?(?:[-_*–—]{2,}|—) ?",
    re.IGNORECASE,
)
_ORANGE: Final = re.compile(r"> ?message du \d\d?/\d\d?/\d\d(?:\d\d)?.*", re.IGNORECASE)
# Excludes reported speech: "votre studio m'a écrit", "nous a écrit", "wrote to me".
_WROTE: Final = re.compile(
    r"\b(?<!['’])(?<!\b[nv]ous )(?:a écrit|wrote(?! (?:to|me|us)\b)|writes|schrieb|escribió|ha scritto|escreveu|schreef"
    r"|vous avez écrit|folgendes geschrieben|hat am [\d.: ]{6,20}[a-z]{0,4} ?geschrieben"
    r"|(?:het volgende|heeft .{0,80}) geschreven|wiadomość napisana przez|skrev|pisze|napisał(?:\(a\)|a)?"
    r"|(?:şun(?:u|ları) )?yazdı|kirjoitti|nap(?:sal|ísal)(?:\(a\)|a)?|írta|a scris|написала?|пишет?|написа|έγραψε"
    r"|đã viết|missatge de|va escriure|ha escrit|escribiu|idatzi zuen|вы писали|(?:на)?писав(?:\(-?ла\)|ла)?"
    r"|napisa(?:o|l|la)(?:/la|\(l?a\))?(?: je)?|написао(?:/ла)?|kirjutas|rakstīja|rašė|menulis|작성)(?!\w)"
    r"|[写寫]道|님이 작성|のメール|に書きました|เขียนว่า",  # no space stands between words in these languages
    re.IGNORECASE,
)
# These are an introduction only beside a time or an address. A person writes: "On page 2, our architect writes:".
_WRITES: Final = re.compile(r"(?:writes|pisze|пишет?|missatge de|ha escrit|вы писали|のメール|작성)", re.IGNORECASE)
# Of what a person reports: "on m'a écrit", "I wrote", "j'ai écrit à ...".
_PERSON: Final = re.compile(r"\b(?:j['’]|nous |i (?:wrote|sent|got|have)|we |ich |wir |yo |ik )", re.IGNORECASE)
_OPENER: Final = re.compile(
    r"(?:le|on|am|el|il|em|op|den|dnia|w dniu|dne|på|\d{1,4}[-/. ]|(?:lun|mar|mer|jeu|ven|sam|dim|mon|tue|wed|thu|fri"
    r"|sat|sun|mo|di|mi|do|fr|sa|so|mån|tis|ons|tors|fre|lör|sön|pon|wt|śr|czw|pt|sob|niedz|ma|wo|vr|za|zo|ter|qua|qui|sex)"
    r"\w{0,8}[., ])",
    re.IGNORECASE,
)
ADDRESS: Final = re.compile(r"<(?:\[?mailto:)?[^<>\s@]{1,64}@[^<>\s]{1,200}>")
_BROKEN_ADDRESS: Final = re.compile(r"(?<=<) (?=[^<>\s@]{1,64}@[^<>\s]{1,200}>)|(?<=[^\s<>]) (?=>[:,]?)")
_MAILTO_WITHIN: Final = re.compile(r"<mailto:[^<>\s]{1,300}>>", re.IGNORECASE)  # of Outlook, in plain text
_ENDS_WITH_ADDRESS: Final = re.compile(r"(?:<[^<>\s@]{1,64}@[^<>\s]{1,200}>|\([^()\s@]{1,64}@[^()\s]{1,200}\)) ?,? ?:")
DAY: Final = re.compile(
    r"\b(?:\d{1,4}([/.-]) ?\d\d?\1 ?\d{2,4}|\d{4}([/.-]) ?\d\d?\2 ?\d\d?|\d\d?(?:er)?\.? (?:de )?[^\W\d_]{3,12}\.?"
    r"|[^\W\d_]{3,12}\.? \d\d?, \d{4}|\d{4}\. [^\W\d_]{3,12}\.? \d\d?)(?!\w)|\d{4}[年년] ?\d\d?[月월] ?\d\d?[日일]"
)
TIME: Final = re.compile(r"(?<![a-z\d])\d\d?[:h]\d\d(?![a-z\d])|(?<![\d.])\d\d\.\d\d(?![\d.])", re.IGNORECASE)
_YEAR: Final = re.compile(r"\d{4}|\d([/.-])\d\d?\1\d\d")
PLAIN_ADDRESS: Final = re.compile(r"[^\s<>@\[(:]@[^\s<>@]+\.[^\s<>@]")
_NOTES_TO: Final = re.compile(r"(?:to|pour|à|an|para|per|aan) ?(?:: ?.*)?", re.IGNORECASE)
_NOTES_SUBJECT: Final = re.compile(r"(?:subject|objet|sujet|betreff|thema|asunto|oggetto) ?(?:: ?.*)?", re.IGNORECASE)
_NOTES_LINES: Final = 12  # without empty ones
_MOMENT_CHARS: Final = 40
_WEEKDAY_CHARS: Final = 16  # with the preposition before it, and a comma behind it
_HORDE: Final = re.compile(
    r"(?:quoting|zitat von|citando a?|mensaje citado por) [^:]{0,120}<[^<>\s@]{1,64}@[^<>\s]{1,200}>:"
)
# Help desks print it above what they quote: "-- Veuillez répondre au-dessus de cette ligne --".
_ABOVE_THIS: Final = re.compile(
    r"[-#=*_ ]*(?:please |veuillez |merci de |bitte )?(?:type |write |taper |saisir |écrire |schreiben )?"
    r"(?:reply|répondre|(?:your |votre )(?:reply|réponse)|antworten?)[\w ]{0,20} "
    r"(?:above (?:this|the) line|(?:au[- ]dessus|ci-dessus) de cette ligne|(?:über|oberhalb) dieser (?:linie|zeile))"
    r"[^\w]*(?:to reply)?[-#=*_. ]*",
    re.IGNORECASE,
)
_MARKDOWN: Final = re.compile(r"\[([^\[\]]{0,200})\]\((?:mailto:)?[^()\s]{0,200}\)")


def forward_heading(line: str) -> str | None:
    """Return what follows the heading of a forwarded mail on its line, None if there is no heading.

    Nothing follows it but perhaps the first fields of the mail's header: Yahoo prints them on one line.
    """
    return _rest(_FORWARDED, line)


def original_heading(line: str) -> str | None:
    """Return what follows the heading of an answered mail ("-----Message d'origine-----"), None if there is none."""
    if _ORANGE.fullmatch(line[:LINE_CHARS]) or _ABOVE_THIS.fullmatch(line[:LINE_CHARS]):
        return ""
    return _rest(_ORIGINAL, line)


def _rest(heading: re.Pattern[str], line: str) -> str | None:
    found = heading.match(line[:LINE_CHARS])
    rest = line[found.end() :] if found else ""
    return rest if found and (not rest or begins_field(rest)) else None


def introduction(lines: list[str], at: int) -> tuple[int, str]:
    """Return the length in lines of the introduction of a quotation that begins here, and its text. 0 if there is none.

    Examples are "Le 3 nov., X a écrit :", Zoho's "---- On Tue, X wrote ----", "2026-11-03 10:12 X <x@example.com>:" and
    "X kirjoitti 3.11.2026 klo 10.12:".
    """
    first = lines[at][:LINE_CHARS].lstrip("-–—*_ ")
    dated = not first.startswith(">") and DAY.search(first)
    if not (_OPENER.match(first) or ADDRESS.search(first) or dated):
        return 0, ""
    joined, without_first = _joined("", first), ""
    for count in range(1, _LINES + 1):
        line = lines[at + count - 1] if at + count <= len(lines) else ""
        if not line:
            return 0, ""
        if count > 1:
            joined, without_first = (_joined(text, line) for text in (joined, without_first))
        below = lines[at + count : at + count + _LINES]
        if _is_complete(joined, line, below):
            # The author's own last line may begin with "Le" or name a day, too.
            begins_below = _is_complete(without_first, line, below) and (
                _dated(without_first) or not (_dated(first) and TIME.search(first))
            )
            return (0, "") if begins_below else (count, joined.strip())
    return 0, ""


def _dated(text: str) -> bool:
    return DAY.search(TIME.sub(" ", text)) is not None


def _joined(above: str, line: str) -> str:
    return _MAILTO_WITHIN.sub(">", _BROKEN_ADDRESS.sub("", f"{above} {line[:LINE_CHARS]}"))


def _is_complete(joined: str, last: str, below: list[str]) -> bool:
    """Return whether lines are an introduction, of which `last` is the last one, above the lines `below`."""
    end = last[-4:].rstrip("*_ ")
    return (end.endswith((":", "：", "--")) or _ends_with_verb(joined, below[:1])) and (
        _HORDE.fullmatch(joined.strip().lower()) is not None
        or _says_wrote(joined, is_marked=next(filter(None, below), "").startswith(">"))
        or _names_moment_and_author(joined)
    )


def _ends_with_verb(joined: str, below: list[str]) -> bool:
    """Return whether a line with a time is complete without a colon: its verb follows the address, then comes a gap."""
    return joined.endswith(("> wrote", "> a écrit")) and below == [""] and TIME.search(joined) is not None


def _says_wrote(joined: str, *, is_marked: bool) -> bool:
    """Return whether a line says who wrote, and when or from which address. `is_marked` tells of the lines below it."""
    wrote = _WROTE.search(joined)
    if not wrote or len(joined) - wrote.end() >= _AFTER_WROTE_CHARS:
        return False
    before, after = joined[: wrote.start()], joined[wrote.end() :]
    if _WRITES.fullmatch(wrote[0]) and not (TIME.search(joined) or ADDRESS.search(joined)):
        return False
    if ADDRESS.search(before):
        return True
    # People report so what others wrote: "Le 3 mars votre collègue a écrit :", "Er schrieb am 3. März um 10:12:".
    if re.search(r"\d", before):
        return is_marked or bool(TIME.search(joined) or PLAIN_ADDRESS.search(joined))
    if not DAY.search(after):
        return False
    is_moment = len(after) <= _MOMENT_CHARS and TIME.search(after) and (is_marked or after.startswith(" ("))
    return bool(is_moment or ADDRESS.search(after))


def _names_moment_and_author(joined: str) -> bool:
    """Return whether a date, a time and an address make an introduction without a verb."""
    plain = _MARKDOWN.sub(r"\1", joined)
    found = _ENDS_WITH_ADDRESS.search(plain)
    if found is None or plain[found.end() :].strip("-*_ "):
        return False
    before = plain[: found.start()].lstrip()
    day = DAY.search(before)
    is_first = day is not None and day.start() <= _WEEKDAY_CHARS
    return bool(is_first and _YEAR.search(before) and TIME.search(before)) and not _PERSON.search(before)


def begins_notes_header(lines: list[str], at: int) -> bool:
    """Return True if the stacked header of HCL Notes begins here: the author, the moment, then To and Subject.

    Each label has its value beside it, or on the line below.
    """
    if not PLAIN_ADDRESS.search(lines[at][:LINE_CHARS]):
        return False
    near = [line for line in lines[at + 1 : at + 1 + 2 * _NOTES_LINES] if line][:_NOTES_LINES]
    moments = (line for line in near[:2] if len(line) <= _MOMENT_CHARS)
    if not any(DAY.search(line) and TIME.search(line) for line in moments):
        return False
    return all(any(label.fullmatch(line) for line in near) for label in (_NOTES_TO, _NOTES_SUBJECT))
