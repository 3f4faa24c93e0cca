"""Decode bytes to text, whatever charset the sender named.

Decoding never raises, and never runs a codec that is not a charset.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Codecs such as idna, punycode, rot13 or zlib are not charsets, and some of them take minutes on hostile input.
_CHARSET: Final = re.compile(
    r"utf-?(?:7|8|16|16-le|16-be|32|32-le|32-be)|utf[-_]8[-_]sig|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-[a-z]+"
    r"|gb2312|gbk|gb18030|hz|big5(?:hkscs)?|euc_\w+|shift_jis\w*|iso2022_\w+|johab|ptcp154|kz1048|tis-620"
)
# Names that mailers use, and the superset that is meant (https://encoding.spec.whatwg.org/#names-and-labels).
_MEANT: Final = {
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "windows-874": "cp874",
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
    "x-euc-jp": "euc_jp",
    "x-mac-roman": "mac-roman",
    "unicode-1-1-utf-7": "utf-7",
}
# https://learn.microsoft.com/windows/win32/intl/code-page-identifiers, where the codec is not named after the number
_CODE_PAGES: Final = {
    10000: "mac-roman", 20127: "ascii", 20866: "koi8-r", 21866: "koi8-u", 50220: "iso-2022-jp", 51932: "euc-jp",
    51949: "euc-kr", 52936: "hz", 54936: "gb18030", 65000: "utf-7", 65001: "utf-8",
} | {28590 + number: f"iso-8859-{number}" for number in range(1, 16)}  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_META: Final = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,300}?(?:charset|encoding)\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE
)
# Letters and marks of Western Europe, and emoji. Text of Windows-1252 that would be UTF-8, too ("É»"), has others then.
_WESTERN_TEXT: Final = re.compile("[\0-\x7f\xa0-\u017f\u0300-\u036f\u2000-\u2bff\ufe0f\ufeff\U0001f000-\U0001faff]*+")
_GUESS_BYTES: Final = 16 * 1024  # guessing is slow, and the beginning is enough
_GUESS_FROM_BYTES: Final = 24  # a guess from less is random
# The largest share of accented letters in a language with a Latin alphabet. There a guess takes French for Czech or
# Chinese, and our customers write French.
_ACCENTS_SHARE: Final = 0.4
_ASCII_LETTER: Final = re.compile(rb"[A-Za-z]")
_HIGH_BYTE: Final = re.compile(rb"[\x80-\xff]")
_HIGH_CHAR: Final = re.compile("[^\0-\x7f]")
_SURROGATE: Final = re.compile("[\udc80-\udcff]")
_WESTERN: Final = {0xDC00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)}


def known(name: str) -> str:
    """Return the codec for a charset name, "" when it is no charset that we know."""
    name = name.strip().strip("\"'").lower()
    if not _NAME.fullmatch(name):  # codecs.lookup raises ValueError on NUL
        return ""
    try:
        codec = codecs.lookup(_MEANT.get(name, name)).name
    except LookupError:
        return ""
    return _MEANT.get(codec, codec) if _CHARSET.fullmatch(codec) else ""


def of_code_page(number: int) -> str:
    """Return the codec for a Windows code page, "" when we know none."""
    return known(_CODE_PAGES.get(number, f"cp{number}"))


def decode(content: bytes, charset: str = "", *, complete: bool = True) -> str:
    """Decode `content` by the declared charset, or else by the first of these that fits.

    UTF-8, what HTML says of itself, UTF-8 with stray bytes of Windows-1252 in it, a guess where the letters are not
    Latin, Windows-1252. Text that says it is Latin-1 and is evidently UTF-8 is decoded as that. `complete` is False
    when the bytes were cut off and may end within a character.
    """
    codec = known(charset)
    if codec == "utf-16" and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16-le" if content[1::2].count(0) >= content[::2].count(0) else "utf-16-be"
    if codec in {"cp1252", "iso8859-15"}:
        text = _strictly(content, "utf-8", complete=complete)
        codec = "utf-8" if text is not None and _WESTERN_TEXT.fullmatch(text) else codec
    meta = _META.search(content, 0, 2048)
    candidates = [codec, "utf-8", known(meta[1].decode("ascii")) if meta else ""]
    for candidate in filter(None, candidates):
        text = _strictly(content, candidate, complete=complete)
        if text is not None:
            return text.removeprefix("\ufeff")
    text = _mostly_utf8(content, declared="utf-8" in candidates[::2], complete=complete)
    if text is not None:
        return text
    if len(content) >= _GUESS_FROM_BYTES and not _is_latin(content[:_GUESS_BYTES]):
        import charset_normalizer  # noqa: PLC0415  3 MB that only the process that parses needs, and has loaded

        guess = charset_normalizer.from_bytes(content[:_GUESS_BYTES]).best()
        text = _strictly(content, known(guess.encoding), complete=complete) if guess else None
        if text is not None:
            return text
    return _western(content)


def decode_field(content: bytes) -> str:
    """Decode a raw header field: UTF-8 (RFC 6532), perhaps with stray bytes, or what was common before it."""
    text = _strictly(content, "utf-8", complete=True)
    if text is None:
        text = _mostly_utf8(content, declared=False, complete=True)
    return _western(content) if text is None else text


def decode_words(words: Sequence[bytes], charset: str) -> str:
    """Decode the words of one charset, joined, because some mailers split a character over two (RFC 2047 section 5).

    Where they do not fit together, each is decoded by itself.
    """
    joined = b"".join(words)
    codec = known(charset)
    if codec in {"", "utf-8"} or _strictly(joined, codec, complete=True) is not None:
        return decode(joined, charset)
    return "".join(decode(word, charset) for word in words)


def _mostly_utf8(content: bytes, *, declared: bool, complete: bool) -> str | None:
    """Decode UTF-8 into which a gateway has put text of Windows-1252, None where it is no UTF-8.

    Each stray byte becomes a character of Windows-1252, and the others stay whole.
    """
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(content, complete)
    stray = len(_SURROGATE.findall(text))
    whole = len(_HIGH_CHAR.findall(text)) - stray
    is_utf8 = whole >= stray or (declared and _is_latin(content[:_GUESS_BYTES]))
    return text.removeprefix("\ufeff").translate(_WESTERN) if is_utf8 else None


def _is_latin(content: bytes) -> bool:
    """Return whether most of the letters are ASCII, as in text whose other letters are accented ones."""
    letters, high = len(_ASCII_LETTER.findall(content)), len(_HIGH_BYTE.findall(content))
    return high <= _ACCENTS_SHARE * (high + letters)


def _western(content: bytes) -> str:
    return _strictly(content, "cp1252", complete=True) or content.decode("latin-1")


def _strictly(content: bytes, codec: str, *, complete: bool) -> str | None:
    if not codec:
        return None
    try:
        return codecs.getincrementaldecoder(codec)("strict").decode(content, complete)
    except (UnicodeError, ValueError):
        return None
