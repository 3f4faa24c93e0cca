"""Extract the part of a mail's text that its author wrote for it, without quoted history and signature.

The whole text is kept beside it. A history is recognised by the line that introduces it, in the forms that mail clients
write, never by its content. Each line is examined together with the few lines below it, so the time is linear.
"""

from __future__ import annotations

import re
from typing import Final

from poller.mime.pgp_armour import without_armour
from poller.parsing.app_signatures import is_of_an_app
from poller.parsing.field_labels import SPACES, begins_field, header_fields
from poller.parsing.gateway_notices import is_disclaimer, is_footer, without_notices
from poller.parsing.introductions import (
    DAY,
    LINE_CHARS,
    PLAIN_ADDRESS,
    TIME,
    begins_notes_header,
    forward_heading,
    introduction,
    original_heading,
)
from poller.parsing.list_footers import without_list_footers

_LOOK_AHEAD: Final = 4  # lines; the first lines show a longer header block
_SIGNATURE_LINES: Final = 12
_POSTSCRIPT: Final = re.compile(r"(?:p\.? ?s\.?|n\.? ?b\.?|post-?scriptum) ?[:–-]|p\. ?s\. |ps$", re.IGNORECASE)
_WRAPPED_CHARS: Final = range(60, 100)  # of a quoted line, with the word that had no room in it
_TAIL_CHARS: Final = 60
_HEADER_LINES: Final = 6
# Fields of web forms, which no mail header has.
_FORM_FIELD: Final = re.compile(
    r"\*?(?:nom|prénom|société|entreprise|téléphone|tél|phone|name|company|e-?mail|adresse|(?:votre |corps du )?message"
    r"|commentaires?) ?\*? ?:",
    re.IGNORECASE,
)
_OUTLOOK_RULE: Final = re.compile(r"_{20,}")
_ITEM: Final = re.compile(r"(?:\d{1,2} ?[.)]|[-*•–]) ?\w")
_RULE: Final = re.compile(r"[_\-=*]{3,}")
_SAYS: Final = re.compile(r"[^\s_\-=*.,:;|~#<>]")  # "👍" and "???" are answers, a rule is none
# The text says that its answers stand below, in what would be cut off: "voir ci-dessous", "mes réponses en rouge".
_BELOW: Final = re.compile(
    r"\b(?:ci[- ]dessous|ci[- ]après|below(?! (?:the|a|an|this|that|my|\d))|in-?line\b|weiter unten"
    r"|unten(?! (?:am|an|auf|links|rechts))|más abajo|(?:qui )?sotto(?! (?:il|la|le|i|lo|gli))|abaixo|hieronder|nedan"
    r"|nedenfor|poniżej|níže)\b",
    re.IGNORECASE,
)
_ANSWERS: Final = re.compile(
    r"\b(?:réponses?|répondu|réponds|commentaires?|remarques?|corrections?|annotations?|annoté|noté|précisions?|voir|vois"
    r"|answers?|answered|comments?|commented|repl(?:y|ies|ied)|notes?|see|antwort\w*|anmerkung\w*|kommentar\w*|siehe"
    r"|respuestas?|comentarios?|rispost[ae]|comment[oi]|respostas?|comentários?|antwoord\w*|opmerking\w*|svar|odpowied\w*)\b",
    re.IGNORECASE,
)
_MARKED: Final = re.compile(
    r"\b(?:en (?:rouge|bleu|vert|gras|couleur)|in (?:red|blue|green|bold|colou?r|rot|blau|grün|rosso|blu|verde)"
    r"|dans (?:le|votre|ton) (?:corps du )?(?:texte|mail|message|courriel)|in the (?:text|mail)|im text"
    r"|entre les lignes|en (?:rojo|azul|verde)|(?:a|em) (?:vermelho|azul|verde)|in het rood|i rött|na czerwono)\b",
    re.IGNORECASE,
)
_GREETING: Final = re.compile(
    r"(?i:bonjour|bonsoir|salut|hello|hi|dear|hallo|guten (?:tag|morgen)|hej|hei|hola|buenos d\u00edas|buongiorno"
    r"|buonasera|ciao|goedendag|dzie\u0144 dobry)"
    r"(?: (?:(?i:madame|monsieur|mme|m\.|mr|mrs|herr|frau|\u00e0 tous|all|team)|[A-Z\u00c0-\u00dd][\w'-]*)){0,3}[ ,.!]*"
)


def newest_part(text: str, *, beside_files: bool = False) -> str:
    r"""Return what was written for this mail, from its text with "\n" line ends.

    A forward returns all of its text, because the sender wants the history to be read. So does a text that is nothing
    but history, or history without marks below a greeting, and one that says that its answers stand in the history
    ("mes réponses en rouge ci-dessous"). Where the author's own lines follow quoted ones, these are kept, because an
    answer needs its question. The result is "" only for an empty text, or `beside_files` that say it all, for one that
    no person wrote: a disclaimer, an app's line.
    """
    text = without_list_footers(without_armour(text))
    return "" if beside_files and _is_of_no_person(text) else _own_part(text)


def _own_part(text: str) -> str:
    raw = text.split("\n")
    lines = [line.translate(SPACES).strip() for line in raw]
    kept: list[str] = []
    own: list[str] = []
    pending: list[str] = []  # quoted and empty lines since the last own one
    at, cut, unmarked, below_quote, wrapped = 0, False, False, False, False
    signatures = _signatures(raw, lines)
    while at < len(lines):
        line = lines[at]
        if forward_heading(line) is not None:
            return text.strip()
        if count := introduction(lines, at)[0]:
            at += count
            cut = True
            if not _is_quoted(lines, at):
                unmarked = True
                break  # lines of the history have no ">": it goes on to the end
            continue
        if _ends_what_is_new(lines, at):
            cut = True
            break
        if at in signatures:
            at = signatures[at]
            continue
        tail = _is_wrapped(lines, at)
        if not line or line.startswith(">") or tail:
            pending.append(raw[at])
            below_quote = below_quote or bool(line)
            wrapped = wrapped or tail
        elif not is_of_an_app(line) and not (below_quote and is_footer(line)):
            kept += [*pending, raw[at]]
            own.append(line)
            pending, below_quote = [], False
        at += 1
    # What looks like the end of a quoted line may be one of the answers that the author speaks of.
    if (cut or below_quote) and (_points_into_history(own) or (wrapped and any(map(_ANSWERS.search, own)))):
        return text.strip()
    newest = _without_rule(without_notices("\n".join(kept).strip()))
    # Below a mere greeting it may be what the author reports: "Le 3 mars à 10:12, votre collègue a écrit :".
    says_nothing = not _SAYS.search(newest) or (unmarked and _GREETING.fullmatch(newest))
    return text.strip() if says_nothing else newest


def _is_of_no_person(text: str) -> bool:
    """Return whether a text is nothing but notices and the line of a mail app."""
    lines = text.translate(SPACES).split("\n")
    rest = without_notices("\n".join(line for line in lines if not is_of_an_app(line.strip())))
    return not _SAYS.search(rest) or is_disclaimer(rest)


def _is_wrapped(lines: list[str], at: int) -> bool:
    """Return whether a line is the end of the quoted line above it, which a mail client broke without a mark.

    The line above is as long as such lines are, and its sentence goes on. Quoted lines go on below. An answer between
    quoted lines begins its own sentence.
    """
    line, above = lines[at], lines[at - 1] if at else ""
    if not line or not above.startswith(">") or len(line) > _TAIL_CHARS or not line[0].islower():
        return False
    room = len(above) + 1 + len(line.split(" ", 1)[0])
    goes_on = lines[at + 1].startswith(">") if at + 1 < len(lines) else False
    return goes_on and room in _WRAPPED_CHARS and above[-1] not in ".?!:;…"


def _without_rule(newest: str) -> str:
    """Return the text without the rule that Outlook prints above the history."""
    while (end := newest.rpartition("\n"))[2] and _RULE.fullmatch(end[2].strip()):
        newest = end[0].rstrip()
    return newest


def _points_into_history(own: list[str]) -> bool:
    """Return whether a line of the author's own says that answers stand in what is quoted below.

    "Voici les cotes ci-dessous :" points to the author's own next line.
    """
    for number, line in enumerate(own, start=1):
        below = _BELOW.search(line[:LINE_CHARS])
        answers = _ANSWERS.search(line[:LINE_CHARS])
        if answers and (below or _MARKED.search(line[:LINE_CHARS])):
            return True
        if below and not (line.endswith(":") and number < len(own)):
            return True
    return False


def _ends_what_is_new(lines: list[str], at: int) -> bool:
    return original_heading(lines[at]) is not None or begins_header_block(lines, at) or begins_notes_header(lines, at)


def _is_quoted(lines: list[str], at: int) -> bool:
    return next((line.startswith(">") for line in lines[at : at + _LOOK_AHEAD] if line), False)


def begins_header_block(lines: list[str], at: int) -> bool:
    """Return True if the header of the answered mail begins here, its fields in any order.

    A header names the author and the time, and has either an address, or a subject and a plausible date. Without these
    it must stand below Outlook's rule. A plan's "De : 10 mm" is no header. A block with a form field, such as a
    telephone number, is a web form.
    """
    if not begins_field(lines[at]):
        return False
    near = [line for line in lines[at : at + 9] if line][:_HEADER_LINES]
    if any(_FORM_FIELD.match(line) for line in near):
        return False
    found = header_fields(near)
    sent = found.get("sent", found.get("date"))
    if sent is None or "author" not in found or not found.keys() & {"to", "subject"}:
        return False
    if PLAIN_ADDRESS.search(found["author"]) or PLAIN_ADDRESS.search(found.get("to", "")):
        return True
    if "subject" in found and DAY.search(sent) and ("sent" in found or TIME.search(sent)):
        return True
    above = next((line for line in reversed(lines[max(0, at - 2) : at]) if line), "")
    return "sent" in found and _OUTLOOK_RULE.fullmatch(above) is not None


def _signatures(raw: list[str], lines: list[str]) -> dict[int, int]:
    """Return the line behind each signature, keyed by the number of the "--" that begins it.

    The "--" below one that begins no signature ends what that one began.
    """
    ends: dict[int, int] = {}
    is_open = False
    for at, line in enumerate(lines):
        if line in {"--", "—"}:
            end = 0 if is_open else _signature_end(lines, at, exact=raw[at] == "-- ")
            is_open = not (is_open or end)
            ends |= {at: end} if end else {}
    return ends


def _signature_end(lines: list[str], at: int, *, exact: bool) -> int:
    """Return the line behind the signature that "--" begins, 0 if it begins none.

    A signature is a short block, up to the history or the end of the text. People also put "--" around a list. So a
    signature has no items, and a second "--" or a question below is one of a signature only if the first "--" is
    `exact`, as programs write it: "-- ".
    """
    above = next((line for line in reversed(lines[max(0, at - 2) : at]) if line), "")
    if above.endswith(":"):
        return 0
    count = items = 0
    for index in range(at + 1, len(lines)):
        if lines[index].startswith(">") or _ends_what_is_new(lines, index) or introduction(lines, index)[0]:
            return index
        if _POSTSCRIPT.match(lines[index]):
            return index
        items += _ITEM.match(lines[index]) is not None
        if items > 1 or (not exact and (lines[index] in {"--", "—"} or lines[index].endswith("?"))):
            return 0
        count += bool(lines[index])
        if count > _SIGNATURE_LINES:
            return 0
    return len(lines)
