"""Recognise a person's notice of absence, and tell it from a request.

Nobody but a person asks for something, or speaks of our trade.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from poller.mime.addresses import takes_no_answer
from poller.triage.rules import written_verdict
from poller.triage.wording import vocabulary
from poller.triage.wording.reading import folded, read_mail

if TYPE_CHECKING:
    from poller.model import Request

# How a person's own absence notice may begin. HCL Notes writes "AUTO: Jean Petit est absent(e) du bureau".
ABSENT = (
    r"(?:(?:i m|i am|je suis|nous sommes|ich bin|ik ben) )?(?:(?:actuellement|currently) )?"
    r"(?:absen(?:te?s?|ce)(?: e)?(?: du bureau)?|(?:en )?(?:conges?|vacances|deplacement)|fermeture|"
    r"(?:\w+ )?closure|out of (?:the )?office|away|"
    r"on (?:\w+ )?(?:leave|vacation|holidays?)|abwesen\w+|im urlaub|betriebsferien|nicht im (?:buro|haus)|ausente|"
    r"fuera de la oficina|de vacaciones|fuori (?:sede|ufficio)|in ferie|assente|afwezig(?:heid)?|franvar(?:o|ande)|"
    r"nieobecn\w+)"
)
_ABSENT_SUBJECT = re.compile(ABSENT + r"\b")
NOTICE_CHARS = 2000  # of the text of a notice
OPENING_CHARS = 500  # of the text, in which a notice says what it is
_AWAY = re.compile(
    r"\b(?:(?:suis|serai|sommes|serons|est|etant) (?:actuellement |momentanement )?"
    r"(?:absente?s?|en (?:conges?|vacances|deplacement|rtt|arret))"
    r"|actuellement (?:absente?s?|en (?:conges?|vacances|deplacement))"
    r"|de retour (?:le|demain|lundi|mardi|mercredi|jeudi|vendredi|au bureau)"
    r"|absente? (?:e )?(?:jusqu|du|le|pour|depuis|ce jour|aujourd)"
    r"|(?:are|is|be) closed (?:from|until|for|on)|(?:sont|est|sera|seront) fermee?s? (?:du|le|jusqu|pour)"
    r"|(?:will|ll) (?:be back|return on|get back to you)|(?:am|m|is|be|are|re|currently) out of (?:the )?office"
    r"|(?:am|m) out (?:until|till|from)|out of (?:the )?office (?:until|till|from|through|on|this|next|with)"
    r"|(?:annual|parental|sick) leave|on (?:leave|vacation|holidays?)"
    r"|(?:am|be|are) (?:currently )?away|nicht im (?:buro|haus)|abwesend|im urlaub|de vacaciones|in ferie"
    r"|de ferias|met vakantie|pa semester|na urlopie|fuori (?:sede|ufficio)|assente|ausente|afwezig|nieobecn[aey]"
    r")\b"
)
NOTICE = re.compile(
    _AWAY.pattern + r"|\b(?:bien recu votre (?:message|mail|e mail|courriel|demande)"
    r"|thank you for (?:your (?:e ?mail|message)|contacting)|out of (?:the )?office"
    r"|(?:ceci est|this is) (?:une?|an) (?:message|reponse|automat\w+) (?:automatique|message|reply|response))\b"
)
TRADE = (  # what a notice of absence does not speak of
    vocabulary.MODELLING,
    vocabulary.NAMES,
    vocabulary.CHANGES,
    vocabulary.LOOKS,
    vocabulary.GO_AHEAD,
    vocabulary.TOPICS["de facturation"],
    vocabulary.TOPICS["d’un dysfonctionnement"],
    vocabulary.any_of("lien ... expire*, link ... expired, casse*, abime*, endommage*, broken, damaged"),
)
# Only a person pleads with us, but for "do not reply, please".
PLEADS = re.compile(r"(?:^|\. )(?![^.]*\b(?:repond|conta|appel|patient))[^.]*\b(?:svp|stp|s il (?:vous|te) plait)\b")
# Only a person brings something, but for whom to ask meanwhile, or misses something.
_BRINGS = re.compile(
    r"\b(?:voici|voila|here (?:is|are|s)|hier (?:ist|sind|das)|anbei|ecco|aqui (?:esta|tiene))\b"
    r"(?! (?:\w+ ){0,4}(?:coordonnees|contacts?|numeros?|adresses?|collegues?|remplac\w*|numbers?|addresse?s?|details"
    r"|colleagues?|kontakt\w*|vertretung))"
    r"|\bil (?:me|nous) (?:faut|faudrait|faudra|manque)\b"
    r"|\b(?:ci joint\w*|(?:en|la|une) piece jointe|attached|attachment|im anhang|beigefugt|in allegato|adjunt\w+)\b"
)
# A notice speaks of troubles that there may be, a person of one that there is.
_TROUBLE = vocabulary.any_of("""
    probleme*, souci, soucis, panne, pannes, anomalie*, defaut, defauts, problem, problems, issue, issues, trouble,
    storung, problema, problemi, problemas
""")
_THERE_MAY_BE = re.compile(
    r"\b(?:en cas|si|s il|pour (?:tou(?:te?s?|s)|une?|les|vos|des)|eventuel\w*|if|any|in case|should|for|bei|falls"
    r"|en caso|si hay|para|in caso|per)\b"
)
_TURNS = re.compile(r" (?:mais|but|aber|pero|mas|maar|men|ale) ")  # a clause of its own begins
# A notice asks to write to somebody else, or to be patient. Any other wish is a person's.
_ELSEWHERE = re.compile(
    r"\b(?:merci de?|veuillez|priere de|please|bitte|vous pouvez|you can|besoin|need|por favor"
    r"|potete|puo|puede|pueden|konnen sie|sie konnen)(?: \w+){0,4}? "
    r"(?:conta\w*|joindre|vous adresser|adress\w*|appel\w*|ecri\w*|call|e ?mail|mail|reach|write|wend\w*"
    r"|direct|refer|kontakt\w*|patient\w*|excus\w*|not reply|ne pas|dirig\w*|rivolg\w*|help|aide)\b"
    r"|\b(?:wenden|melden) sie sich bitte\b|\bkontaktieren sie bitte\b"
    r"|\bmerci (?:de|pour) votre (?:comprehension|patience|message|mail|confiance)\b"
)
# Or it says whom to write to about something: "Pour une facture, écrivez à ana@example.com". Not to its author.
_AUTHOR = (
    r"\b(?:moi|me|mich|mir|(?:ma|mon|my|meine?) (?:nouvel\w+ |new |neue )?"
    r"(?:adresse?|address|e-?mail|mail|num[e\u00e9]ro|number|portable|mobile|cell|phone|handy|t[e\u00e9]l[e\u00e9]phone))\b"
)
_CONTACT = (
    r"\b(?:conta[ck]te[rnz]?|contattare|contact|kontaktieren|join(?:dre|ez)|appele[rz]|call|adresse[rz]|[e\u00e9]cri(?:re|vez)"
    r"|write to|(?:please|can|to) e-?mail|mailen|reach|wenden|kontakta|schreiben sie|scriver[ei]|escrib[ai]r?)\b"
)
_ADDRESS = r"[^\s@:]{1,64}@[^\s@]{1,200}\w"
_INSTEAD = re.compile(
    r"\b(?:(?:pour|concernant|si (?:vous|votre|elle)|for|in case of|about|if (?:your?|it)"
    r"|f[\u00fc\u00f6]r|bei|per|para|voor)\b|en cas d[e'\u2019])"
    rf"(?:(?!{_AUTHOR})[^.:;!?\n]){{2,90}}?"
    rf"(?:{_CONTACT}(?![^.:;!?\n]{{0,30}}{_AUTHOR})"
    rf"(?: (?:sie|sich|bitte|please|to|at|[a\u00e0]|an|{_ADDRESS})\b){{0,5}}"
    rf"|[:,] ?(?:[a\u00e0] |to )?{_ADDRESS})",
    re.IGNORECASE,
)
_ABOUT = " contact "  # stands for such a clause
_SPAN = re.compile(r"\b(?:jusqu|du (?:\d|lundi)|until|till|through|bis|hasta|fino al?|ate|tot|do dnia)\b")
_GOES_ON = re.compile(r"\b(?:valid\w+|continue[rz]?|lance[rz]?|v\d+|mais|but|aber)\b")  # a person's own word
# What becomes of the mail that the notice answers: with an absence, no person writes it.
_FATE = re.compile(
    r"\bv(?:otre|os) (?:message|mail|e mail|courriel)s? (?:\w+ ){0,4}"
    r"(?:bien parvenus?|ser(?:a|ont) (?:lu|traite)s?|ne ser(?:a|ont) (?:pas|ni))\b"
    r"|\bprendr(?:ai|ons) connaissance\b|\bne (?:suis|serai|sommes|serons) (?:donc )?pas joignables?\b"
    r"|\b(?:pas|aucun|sans|limite|no|without|limited|sin|senza|sem|kein\w*) (?:d )?(?:acces\w*|acesso|zugriff)"
    r" (?:\w+ ){0,2}?(?:mails?|e ?mails?|messagerie|messages|inbox|correo|posta|postfach)\b"
    r"|\bno tendre acceso\b|\bnon avro accesso\b|\bnao terei acesso\b"
    r"|\b(?:(?:re)?pondr(?:ai|ons)|traiter(?:ai|ons)|recontacter(?:ai|ons)) (?:\w+ ){0,7}(?:mon|notre) retour\b"
    r"|\bihre (?:e mails?|mails?|nachricht(?:en)?) w(?:ird|erden) (?:nicht|weder|in meiner abwesenheit)\b"
    r"|\byour (?:e ?mail|message)s? will (?:not )?be (?:read|forwarded|answered)\b"
    r"|\b(?:respond|reply|get back) (?:\w+ ){0,7}(?:when i return|(?:up)?on my return|after my return|when i am back)\b"
    r"|\bsu (?:mensaje|correo) (?:no )?sera\b|\b(?:il suo messaggio|la sua e mail) (?:non )?(?:sara|verra)\b"
)
# The author has left the company, and says whom to write to.
LEFT_WORK = re.compile(
    r"\b(?:je ne (?:fais plus partie|(?:travaille|suis) plus (?:chez|au sein|en poste|salarie))"
    r"|j ai quitte (?:la societe|l entreprise|mes fonctions|mon poste)"
    r"|i (?:no longer work (?:at|for|here)|have left (?:the company|my position)"
    r"|am no longer (?:with|working|employed|at))"
    r"|ich bin nicht mehr (?:bei|fur)|ya no trabajo|non lavoro piu)\b"
)
_LEFT = re.compile(
    LEFT_WORK.pattern
    + r".*\b(?:adress(?:er|ez)|conta[ck]t(?:er|ez|ar|en)?|contattare|direct|write to|wenden|ecri(?:re|vez)|dirig\w*"
    r"|rivolg\w*)\b(?! (?:to )?(?:moi|nous|me|us|mich|mir)\b)"
)
# Each longer sentence of a notice tells of the absence, of the mail that it answers, or of whom to ask meanwhile.
_OF_A_NOTICE = re.compile(
    "|".join(pattern.pattern for pattern in (LEFT_WORK, NOTICE, _SPAN, _FATE, _ELSEWHERE))
    + r"|\b(?:urgen\w+|absen\w+|retour|revien\w*|return\w*|contact\w*|adress(?:er|ez)|direct|disponible|available"
    r"|coordonnees|joignable|injoignable|reach\w*|erreichbar|(?:par|by) (?:tele)?phone"
    r"|e ?mails?|mails?|courriels?|nachricht\w*|respond|reply)\b"
)
_CLOSING = re.compile(
    r" \. (?:(?:bien )?cordialement|bien a vous|(?:kind |best |warm )?regards|mit freundlichen|saludos|cordiali saluti"
    r"|distinti saluti|met vriendelijke)\b.*"
)
_SHORT_WORDS = 5  # of a greeting, a name, a line of a signature
END = r"(?: \.| re\b| fwd?\b|$)"  # of a subject, or of the part of it that a program wrote
# A customer may answer under such a subject, or write of a campaign of that name.
OUT_OF_OFFICE = r"(?:absen(?:ce|te?)(?: e)? du bureau|out of (?:the )?office|fuera de la oficina)"
_OUT_OF_OFFICE_SUBJECT = re.compile(OUT_OF_OFFICE + END)
_FEW_WORDS = 4  # a text that is no request, whatever it says


def absence(request: Request) -> str | None:
    """Recognise a person's notice of absence, whose subject a customer may write, too ("Congés", "Out of office").

    The text must say that its author is away, and ask for nothing, or the mail must be a program's.
    """
    words = folded(request.subject)
    opening = request.newest[:OPENING_CHARS]
    own = folded(_INSTEAD.sub(_ABOUT, opening))
    away = _AWAY.search(own) and _says_no_more(request, own)
    if _OUT_OF_OFFICE_SUBJECT.match(words) and (
        (is_of_a_program(request) and not asks(request))
        or away
        or (is_answer(request) and len(own.split()) < _FEW_WORDS)
    ):
        return "auto-reply (subject)"
    if is_answer(request) and away and _ABSENT_SUBJECT.match(words):
        return "auto-reply (subject and text)"
    # It says until when, or whom to ask meanwhile.
    limited = _SPAN.search(own) or _ELSEWHERE.search(own) or _INSTEAD.search(opening)
    gone = away and limited and _FATE.search(own) and not _GOES_ON.search(own)
    if is_answer(request) and (gone or (_LEFT.search(own) and _says_no_more(request, own))):
        return "auto-reply (text)"
    return None


def asks(request: Request) -> bool:
    """Return whether the text has a question, a wish or a word of our trade, whose subject tells of an absence as well.

    The subject may repeat that of the mail it answers: "Absent jusqu'au 16 novembre Re: Devis 3D".
    """
    said = _INSTEAD.sub(_ABOUT, request.newest[:NOTICE_CHARS])
    plain = _ELSEWHERE.sub(" ", folded(said))
    of_work = any(pattern.search(plain) for pattern in (vocabulary.ASKS, PLEADS, _BRINGS, *TRADE))
    troubled = any(_TROUBLE.search(each) and not _THERE_MAY_BE.search(each) for each in plain.split(" . "))
    turned = any(_says_more(clause.partition(" . ")[0]) for clause in _TURNS.split(plain)[1:])
    own_words = replace(request, subject="", newest=said)
    return bool("?" in said or of_work or troubled or turned or written_verdict(read_mail(own_words)))


def is_answer(request: Request) -> bool:
    """Return whether a mail names one that it answers."""
    return bool(request.in_reply_to or request.references)


def is_of_a_program(request: Request) -> bool:
    """Return whether a mail wants no answer, or was sent in bulk."""
    marks = request.header("x-auto-response-suppress") + request.header("precedence")
    return takes_no_answer(request.author) or bool(marks.strip())


def _says_no_more(request: Request, own: str) -> bool:
    sentences = _CLOSING.sub("", own).split(" . ")  # a signature tells of the company
    return not any(map(_says_more, sentences)) and not asks(request)


def _says_more(sentence: str) -> bool:
    return len(sentence.split()) > _SHORT_WORDS and not _OF_A_NOTICE.search(sentence)
