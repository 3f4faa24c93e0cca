"""Read the header that mail clients print above an answered or forwarded mail, in each language."""

from __future__ import annotations

import re
from typing import Final

# Spaces that are no plain one, and marks that nobody sees: Windows Mail writes a date with some in it.
_UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2066\u2067\u2068\u2069\ufeff"
SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2007\u2009\t", " ") | dict.fromkeys(_UNSEEN, ""))

# The labels of From, of the moment of sending, of Date, of the recipients, and of Subject. A journey or a plan has a
# date as well, so a date alone proves less than the word of a mail client for "sent".
_LABELS: Final = {
    "fr": ("de, expéditeur", "envoyé, envoyé le", "date", "à, a, pour, cc, cci, copie, copie à", "objet, sujet"),
    "en": ("from, sender", "sent, sent on", "date", "to, cc, bcc", "subject"),
    "de": ("von, absender", "gesendet, gesendet am", "datum", "an, kopie", "betreff"),
    "es": ("de, remitente", "enviado, enviado el", "fecha", "para", "asunto"),
    "it": ("da, mittente", "inviato, inviato il", "data", "a, per", "oggetto"),
    "pt": ("de, remetente", "enviado, enviado em, enviada, enviada em", "data", "para", "assunto"),
    "nl": ("van, afzender", "verzonden, verstuurd", "datum", "aan", "onderwerp, betreft"),
    "sv": ("från, avsändare", "skickat, skickad", "datum", "till, kopia", "ämne"),
    "da, no": ("fra", "sendt", "dato", "til, kopi", "emne"),
    "fi": ("lähettäjä", "lähetetty", "päivämäärä, päiväys", "vastaanottaja, kopio", "aihe"),
    "pl": ("od, nadawca", "wysłano, wysłane", "data", "do, dw, adresat", "temat"),
    "cs": ("od, odesílatel", "odesláno", "datum", "komu, kopie", "předmět"),
    "sk": ("od, odosielateľ", "odoslané", "dátum", "komu, pre, kópia", "predmet"),
    "hr": ("od, šalje", "poslano", "datum", "za, prima", "predmet, naslov"),
    "sl": ("od", "poslano", "datum", "za", "zadeva"),
    "lt": ("nuo", "išsiųsta", "data", "kam", "tema"),
    "hu": ("feladó", "küldve, elküldve", "dátum", "címzett, másolatot kap", "tárgy"),
    "ro": (
        "de la, expeditor, expeditorul",
        "trimis",
        "data, dată",
        "către, destinatar, destinatarul",
        "subiect, subiectul",
    ),
    "tr": ("kimden, gönderen", "gönderildi, gönderilen, gönderme zamanı", "tarih", "kime, alıcı, bilgi", "konu"),
    "ru": ("от, от кого, отправитель", "отправлено", "дата", "кому, копия", "тема"),
    "uk": ("від, від кого", "надіслано, відправлено", "дата", "кому, копія", "тема"),
    "et": ("saatja", "saadetud", "kuupäev", "adressaat, saaja", "teema"),
    "bg": ("от", "изпратено", "дата", "до, към", "относно, тема"),
    "el": ("από", "στάλθηκε", "ημερομηνία", "προς", "θέμα"),
    "ca": ("de", "enviat, enviat el", "data", "per a", "assumpte, tema"),
    "vi": ("từ", "đã gửi", "ngày", "tới, đến", "chủ đề"),
    "id": ("dari", "dikirim, terkirim", "tanggal", "kepada", "subjek, perihal"),
    "sr": ("од", "послато", "датум", "за", "наслов, предмет"),
    "he": ("מאת", "נשלח", "תאריך", "אל", "נושא"),
    "ar": ("من", "تم الإرسال, أرسلت", "التاريخ", "إلى", "الموضوع"),
    "th": ("จาก", "ส่ง, ส่งเมื่อ", "วันที่", "ถึง", "เรื่อง"),
    "zh": ("发件人, 寄件者", "发送时间, 寄件日期", "日期", "收件人, 收件者, 抄送", "主题, 主旨"),
    "ko": ("보낸 사람", "보낸 날짜, 보낸 시간", "날짜", "받는 사람, 참조", "제목"),
    "ja": ("差出人, 送信元", "送信日時", "日付, 日時", "宛先, 送信先", "件名"),
}
_REPLY_TO: Final = "répondre à, reply-to, antwort an, responder a, rispondi a, antwoorden naar, svara till"
_LINE_CHARS: Final = 600


def _any(labels: str) -> str:
    words = {label.strip() for label in labels.split(",")}
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


_AUTHOR, _SENT, _DATE, _TO, _SUBJECT = (_any(",".join(labels)) for labels in zip(*_LABELS.values(), strict=True))
# A label begins the line, or follows a space. Where a client prints all fields on one line, it may lose the space.
FIELD: Final = re.compile(
    rf"(?:^|(?<=[\s>\d\"\])])|(?<=\d [ap]m)|(?<=utc))\*{{0,2}}(?:(?P<author>{_AUTHOR})|(?P<sent>{_SENT}|message du)"
    rf"|(?P<date>{_DATE})|(?P<to>{_TO})|(?P<subject>{_SUBJECT})|(?P<reply_to>{_any(_REPLY_TO)}))"
    r" ?\*{0,2} ?[:：]\*{0,2}",
    re.IGNORECASE,
)
_MESSAGE_OF: Final = re.compile(r"message du (?=\d)", re.IGNORECASE)  # of Orange and SFR


# eM Client prints no colons: 'De "Jean" <jean@example.com>', and below it "À paul@example.com".
_BARE_AUTHOR: Final = re.compile(rf"(?:{_AUTHOR}) ([^:]{{0,200}}<[^<>\s@]{{1,64}}@[^<>\s]{{1,200}}>)", re.IGNORECASE)
_BARE_TO: Final = re.compile(rf"(?:{_TO}) [^:]{{0,300}}@.*", re.IGNORECASE)


def bare_author(lines: list[str], at: int) -> str:
    """Return the author in a header without colons that begins here, "" if none does."""
    found = _BARE_AUTHOR.fullmatch(lines[at][:_LINE_CHARS])
    below = lines[at + 1][:_LINE_CHARS] if at + 1 < len(lines) else ""
    return found[1] if found and _BARE_TO.fullmatch(below) else ""


def begins_field(line: str) -> bool:
    """Return whether a line begins with the label of a field."""
    return FIELD.match(_MESSAGE_OF.sub("message du : ", line[:_LINE_CHARS])) is not None


def header_fields(lines: list[str]) -> dict[str, str]:
    """Return the first value of each field in the lines, keyed by its group in `FIELD`.

    A line may hold several fields. One without a label continues the field above.
    """
    found: dict[str, str] = {}
    last = ""
    for long_line in lines:
        line = _MESSAGE_OF.sub("message du : ", long_line[:_LINE_CHARS])
        fields = list(FIELD.finditer(line)) if FIELD.match(line) else []
        for number, field in enumerate(fields, start=1):
            last = str(field.lastgroup)
            found.setdefault(last, line[field.end() : fields[number].start() if number < len(fields) else None])
        if not fields:
            found[last] = f"{found.get(last, '')} {line}"
    return found
