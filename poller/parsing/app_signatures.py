"""Recognise the line that a mail app adds to each mail ("Envoyé de mon iPhone"), in each language."""

from __future__ import annotations

import re
from typing import Final

_LINE_CHARS: Final = 900
_DEVICE: Final = (
    r"(?:i-?phon[eua]|i-?pad|i-?pod|i?mac|macbook|android|samsung|galaxy|huawei|honor|xiaomi|redmi|oppo|realme|oneplus|pixel"
    r"|nokia|sony|xperia|wiko|crosscall|fairphone|blackberry|windows phone|cell ?phone|mobile|smartphone|téléphone"
    r"|phone|tablette|tablet|appareil|device|handy|mobilgerät|móvil|telefono|teléfono|cellulare|celular|telemóvel|telefoon"
    r"|mobiel(?:tje)?|mobil|mobiltelefon|telefon|dispositivo|ger[äa]t)(?:['’]?[aue]|in|sta)?"
)
_APP: Final = (
    r"(?:yahoo|outlook|gmail|proton ?mail|courrier|correo|posta|mail (?:pour|for|für|para|per|voor|för|til|dla|orange"
    r"|sfr|free|bouygues)|orange|sfr|free|bouygues|bbox|la ?poste(?:\.net| mail)|mailo|spark|blue ?mail|zimbra"
    r"|thunderbird|e?m client|gmx|web\.de|(?:der )?(?:gmx|web\.de|telekom|freenet|t-online)(?: mail)?(?: app)?"
    r"|libero ?mail|zoho(?: mail)?|tutanota|tuta|hey\.com"
    r"|airmail|mailbox|typeapp|superhuman|shortwave|mailspring|mailbird|missive|fairemail|aqua ?mail"
    r"|(?:canary|newton|edison|k-9|windows|apple|infomaniak|samsung)(?: mail)|boomerang|fastmail|mailbox\.org|posteo"
    r"|mymail|onmail|polymail|betterbird|samsung email|roundcube"
    r"|l['’]app(?:li(?:cation)?)?(?: mobile)? (?:mail|courrier|yahoo|outlook|gmail|proton|orange|sfr|free"
    r"|bouygues|la ?poste)|la messagerie (?:sécurisée|orange|sfr|free|bouygues|proton|la ?poste)|(?:mon|le) webmail)"
)
_WORDS: Final = r"(?:[\w.-]+,? ){0,3}"
# By language: the words for "sent from", and for "my" or "a". The person's own words may begin in the same way, so a
# device or an app must follow.
_SENT: Final = {
    "fr": (r"(?:envoyé|écrit|rédigé) (?:de|depuis|à partir de|avec|par|via)", r"(?:mon|ma|un|une)"),
    "en": (r"sent (?:from|with|via|using)", r"(?:my|an?)"),
    "de": (r"(?:gesendet|verschickt|versendet|geschrieben) (?:von|vom|mit|aus|über|via)", r"(?:meine[mr]?|einem?|dem)"),
    "es": (r"enviado (?:desde|con|por)", r"(?:mi|un|una)"),
    "it": (r"inviato (?:da|dal|dalla|con|tramite)", r"(?:il |la )?(?:mio|mia|uno?)"),
    "pt": (r"enviad[oa] (?:do|da|a partir do|pelo|via|através do|de)", r"(?:o )?(?:meu|minha|um|uma)"),
    "nl": (r"(?:verstuurd|verzonden|gestuurd) (?:vanaf|vanuit|van|met|via)", r"(?:mijn|een)"),
    "sv": (r"skicka(?:t|des|d) från", r"(?:min|mitt|en)"),
    "da, no": (r"sendt fra", r"(?:min|mit|mitt|en)"),
    "pl": (r"wysłan[eoy] (?:z|ze|przy użyciu|za pomocą)", r"(?:mojego|mojej|programu|aplikacji(?: mobilnej)?)"),
    "fi": (r"lähetetty", r"(?:minun)"),
    "cs, sk": (r"(?:odesláno|odoslané) (?:z|zo|ze)", r"(?:mého|môjho)"),
    "hr, sl": (r"poslano (?:s|sa|z|iz)", r"(?:mog|mojega)"),
    "ro": (r"trimis (?:de pe|din)", r"(?:un)"),
    "hu": (r"elküldve", r"(?:az?)"),
    "ru": (r"отправлено (?:с|из)", r"(?:моего)"),
    "uk": (r"надіслано (?:з|із)", r"(?:мого)"),
    "el": (r"στάλθηκε από", r"(?:το)"),
    "ca": (r"enviat des de(?:l| la)?", r"(?:meu|meva)"),
}
_GET: Final = (
    r"(?:obtenir|obtenez|téléchargez?r?|get|download|holen sie sich|laden sie|obtener|obtén|descargar?|ottieni|scarica"
    r"|obter|obtenha|baixe|baixar|downloaden?|haal|hämta|hent|få|skaff|pobierz|hanki|hae|lataa|získat|stáhnout|získajte"
    r"|obțineți|descărcați|preuzmite|получить|скачать|отримати|αποκτήστε|λήψη|baixa|obtén|获取|下載|取得)"
)
_THE: Final = r"(?:(?:l['’]appli(?:cation)?|the|o|el|il|de|aplikację|appen) ?)?"
# "for Android"
_ON: Final = r"(?: \S{1,12})? (?:ios|android|iphone|ipad|windows|mac|mobil\w*|desktop|pc)\b[^:;?!]{0,40}"
_MAIL_APP: Final = r"(?:outlook|bluemail|yahoo mail|proton ?mail|mail orange|orange mail|sfr mail|spark)"
# Behind a comma only an excuse follows: "Envoyé de mon iPhone, le modèle reste noir" is the person's own.
_TAIL: Final = (
    r"\b[^,:;?!]{0,60}"
    r"(?:[,;] (?:please|sorry|excuse|pardon|désolé|merci|veuillez|bitte|so |donc |d['’]où )[^:;?!]{0,60})?"
)
_SENT_BY: Final = "|".join(
    rf"{sent} (?:{mine} {_WORDS}{_DEVICE}|{_DEVICE}|{mine} {_APP}|{_APP}){_TAIL}" for sent, mine in _SENT.values()
)
_LINE: Final = re.compile(
    rf"(?:(?:cet? (?:e-?mail|mail|message|courriel) (?:a été |est )?)?(?:{_SENT_BY})"
    rf"|envoyé à partir d['’]outlook{_TAIL}|provenance ?: ?(?:courrier|mail|outlook)\b[^:;?!]{{0,40}}"
    rf"|(?:diese (?:nachricht|e-mail) wurde )?(?:von|mit) (?:(?:meine[mr]|einem) )?{_WORDS}{_DEVICE}"
    r"(?:-\w{1,20})?(?: aus)?(?: mit [\w. -]{1,30})? (?:gesendet|geschickt|verschickt)\.?"
    rf"|{_DEVICE}\w{{0,8}} gönderildi|[發发]自我的 ?{_DEVICE}|{_DEVICE} ?から送信|(?:나의 )?{_DEVICE}에서 보냄"
    rf"|sent from mail\.?|yahoo mail ?: ?(?:recherche|organise|search|all|simpl|gére|le meilleur|the ).{{0,80}}"
    rf"|(?:az? )?(?:ios|android) {_MAIL_APP} letöltése|(?:ios|android) için {_MAIL_APP}['’\w]{{0,5}} (?:edinin|indirin)"
    rf"|{_MAIL_APP} (?:for )?(?:ios|android) ?を(?:入手|ダウンロード)|(?:ios|android)용 {_MAIL_APP} ?(?:다운로드|받기)"
    rf"|{_GET} {_THE}{_MAIL_APP}(?:{_ON})?\.?"
    rf"|{_MAIL_APP} (?:für|voor) (?:ios|android)(?: (?:beziehen|herunterladen|laden|downloaden|ophalen))?\.?)",
    re.IGNORECASE,
)
_LINK: Final = re.compile(
    r"\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)|<https?://[^<>\s]{0,500}>|\( ?https?://[^()\s]{0,500} ?\)|[\[\]]"
)


def is_of_an_app(line: str) -> bool:
    """Return whether the line is a mail app's signature, with or without a link in it."""
    return _LINE.fullmatch(_LINK.sub(r"\1", line[:_LINE_CHARS]).strip()) is not None
