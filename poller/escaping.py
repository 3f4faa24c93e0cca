"""Make a stranger's words safe for the place they go to: a line, HTML, Markdown, a header, a file name, a key.

Each function takes the raw words and is applied once, last. Nothing here is a filter of content: a person reads what
the customer wrote, but no machine takes it for markup.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from html import escape
from urllib.parse import quote, urlsplit

# Invisible characters that reorder or hide what stands around them: the bidi controls, zero-width spaces, tags.
# U+200C and U+200D stay: Persian is misspelt without them and an emoji family falls apart.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ufffe\uffff\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")  # left by a decoder; no encoder takes them

# What CommonMark and its GitHub dialect could read as more than text, wherever it stands in a line: emphasis, code,
# strike-through, links, images, HTML, tables, headings, character references. The bracket of a link's target too,
# for a reader that knows no backslash.
_MARKDOWN_SIGN = re.compile(r"[\\`*_~\[\]<>|#]|(?<=\])\(|&(?=#?\w+;)")
# What a link finder could read as a link: @, http://, //, example.com, "www." alone (cmark); but not 3.5.
_MARKDOWN_AUTOLINK = re.compile(r"@|:(?=//)|/(?=/)|(?<=[^\s\d])\.(?=\w)|(?<=[wW])\.|(?<=\d)\.(?=[^\W\d_])")
# What could be read as markup at the start of a line only: "- ", "+ ", "---", "===", ":-", "1. ", "1) ".
_MARKDOWN_START = re.compile(r"^(\xa0*(?:\d+(?=[.)])|(?=[-+=:])))", re.MULTILINE)
_INDENT = re.compile(r"^[ \t\xa0]+", re.MULTILINE)
# Where a link finder would join up an address, a URL or a domain. The seams of a Markdown link, of a tag, of a code
# fence and of a marker are here too, because it is not documented how ClickUp formats plain text.
_SEAM = re.compile(
    r"(?<=@)(?=\S)|(?<=:)(?=//)|(?<=/)(?=/)|(?<=[^\s\d]\.)(?=\w)|(?<=\d\.)(?=[^\W\d_])"
    r"|(?<=\])(?=[(\[])|(?<=<)(?=\S)|(?<=`)(?=`)|(?<=\[)(?=ref:)"
)
_HAIR_SPACE = "\u200a"  # every link finder ends at white space; a zero-width character would be a letter to some
# A link finder that knows no top-level domain at the end of "evil.fr@x.example" makes a link to evil.fr, and the sender
# chose that end.
_DOMAIN_IN_ADDRESS = re.compile(
    r"\.(?:[a-z]{2}|aero|app|art|asia|biz|blog|click|cloud|club|com|coop|dev|edu|gov|icu|info|int|link|live|mil|mobi|museum"
    r"|name|net|online|org|page|pro|shop|site|space|store|tech|tel|top|travel|vip|web|website|wiki|xxx|xyz)@",
    re.IGNORECASE,
)
_PLAIN_ADDRESS = re.compile(r"(?!www\.)[a-z0-9]+([.+-][a-z0-9]+)*@[a-z0-9]+([.-][a-z0-9]+)*", re.IGNORECASE)

_HEADER_ADDRESS = re.compile(  # dot-atom on both sides (RFC 5322 section 3.4.1)
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)
_ADDRESS_LIMIT_CHARS = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets

_MARKS_AT_ONCE = 30  # the Stream-Safe Text Format (UAX #15 section 13)
_MAYBE_MARKS = re.compile(r"[^\x00-\u02ff]{31,}")  # no combining mark is below U+0300
_TIBETAN_VOWELS = "\u0f73\u0f75\u0f81"  # the only letters that decompose into marks alone
_PATH = re.compile(r"(?:[A-Za-z]:|~|\.{1,2})?[\\/]")  # how a path begins
_SUFFIX_LIMIT_CHARS = 10
_URL_SAFE = "!$&*+,-./:;=?@_~%#"  # RFC 3986 without the brackets and the quote, which end a Markdown target


def plain_text(text: str) -> str:
    r"""Return the words as plain text in NFC: "\n" line ends, no control or invisible character but "\n" and tab."""
    text = _UNSEEN.sub("", _SURROGATES.sub("\ufffd", _LINE_ENDS.sub("\n", text)))
    # A letter may decompose into marks, so there may be more of them afterwards.
    return text if text.isascii() else few_marks(unicodedata.normalize("NFC", few_marks(text)))


def few_marks(text: str) -> str:
    """Drop the combining marks that follow thirty others: to normalise a long run takes quadratic time."""
    return text if text.isascii() else _MAYBE_MARKS.sub(_first_marks, text)


def one_line(text: str, limit_chars: int = 200) -> str:
    """Return the words on one line of at most `limit_chars`, with single spaces, and "…" where the rest was cut."""
    line = " ".join(plain_text(text).split())
    return line if len(line) <= limit_chars else line[: limit_chars - 1].rstrip() + "…"


def header_text(text: str, limit_chars: int = 200) -> str:
    """Return the words as the value of an unstructured header field (RFC 5322 section 2.2.1).

    A literal "=?" is split: the email package would decode an encoded word (RFC 2047) in the text, and one that hides a
    line end would become a header field of its own (CVE-2024-6923).
    """
    return one_line(one_line(text, limit_chars).replace("=?", "= ?"), limit_chars)


def html(text: str) -> str:
    """Return the words as the content of an HTML element: line ends are `<br>`, everything else is text."""
    return escape(plain_text(text)).replace("\n", "<br>\n")


def markdown(text: str) -> str:
    r"""Return the words as Markdown that shows them as they are.

    Nothing in it is a link, image, mention, heading, list, code or HTML. A backslash goes before what could form
    markup, and nowhere else, so ordinary sentences stay as they were written. An indentation becomes no-break spaces
    and a single line end a hard break, which is how the customer saw them.
    """
    text = "\n".join(line.rstrip() for line in plain_text(text).split("\n"))
    text = _INDENT.sub(lambda indent: indent[0].replace("\t", "\xa0" * 4).replace(" ", "\xa0"), text)
    for signs in (_MARKDOWN_SIGN, _MARKDOWN_AUTOLINK):
        text = signs.sub(r"\\\g<0>", text)
    text = _MARKDOWN_START.sub(r"\1\\", text)
    return re.sub(r"(?<=[^\n])\n(?=[^\n])", "  \n", text)


def unlinked(text: str) -> str:
    """Return the words as plain text in which no link finder finds a link, an address or a mention.

    Hair spaces keep the parts apart: what was a URL or an address is to be read, not copied.
    """
    return _SEAM.sub(_HAIR_SPACE, plain_text(text))


def markdown_address(addr_spec: str) -> str:
    """Return an e-mail address as Markdown.

    An ordinary address stays as it is, because nothing in it can form markup.
    """
    address = one_line(addr_spec, 320)
    ordinary = _PLAIN_ADDRESS.fullmatch(address) and not _DOMAIN_IN_ADDRESS.search(address)
    return address if ordinary else markdown(address)


def markdown_link(text: str, url: str) -> str:
    """Return a Markdown link of one line, or the text alone when the URL is not http or https."""
    target = http_url(url)
    # Links do not nest, so nothing in one is linked again and a file name keeps its dots as they are.
    label = _MARKDOWN_SIGN.sub(r"\\\g<0>", one_line(text))
    return f"[{label}]({target})" if target else markdown(one_line(text))


def html_link(text: str, url: str) -> str:
    """Return an HTML link of one line, or the text alone when the URL is not http or https."""
    target = html(http_url(url))
    return f'<a href="{target}">{html(one_line(text))}</a>' if target else html(one_line(text))


def http_url(url: str) -> str:
    """Return the URL without characters that could end it in a text, in an attribute or in Markdown.

    "" when it is not http or https.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that no IPv6 address closes
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return ""
    return quote(_SURROGATES.sub("", url), safe=_URL_SAFE)


def reply_address(addr_spec: str) -> str:
    """Return the address if it can stand alone in a header field, "" for any that would need a quoted form."""
    return addr_spec if len(addr_spec) <= _ADDRESS_LIMIT_CHARS and _HEADER_ADDRESS.fullmatch(addr_spec) else ""


def https_url(url: str) -> str:
    """Return the URL as `http_url` does, "" when it is not https: a picture must come by no other way."""
    target = http_url(url)
    return target if target.startswith("https://") else ""


def html_image(alt: str, source: str, target: str, width_px: int) -> str:
    """Return an HTML picture of a fixed width that links to the target, or "" when its URL is not https."""
    picture, link = html(https_url(source)), html(http_url(target))
    if not picture:
        return ""
    image = f'<img src="{picture}" alt="{html(one_line(alt))}" width="{width_px}">'
    return f'<a href="{link}">{image}</a>' if link else image


def markdown_image(alt: str, source: str, target: str) -> str:
    """Return a Markdown picture that links to the target, or "" when its URL is not https."""
    picture, link = https_url(source), http_url(target)
    if not picture:
        return ""
    label = _MARKDOWN_SIGN.sub(r"\\\g<0>", one_line(alt))
    image = f"![{label}]({picture})"
    return f"[{image}]({link})" if link else image


def file_name(name: str, limit_chars: int = 150) -> str:
    """Return the name that a file may be saved under: no directory, no character that a system forbids.

    A name that is too long is cut, and keeps its suffix. Of a path the last part is taken (RFC 2183 section 2.3). A
    slash elsewhere is a character like others: « devis 12/2026.pdf ». "piece-jointe" when nothing is left of the name.
    """
    name = one_line(name, 2000)
    if _PATH.match(name):
        name = re.split(r"[\\/]", name)[-1]
    name = re.sub(r'[\\/<>:"|?*;%]', "_", name).strip(" .")
    if len(name) > limit_chars:
        stem, suffix = _split_suffix(name)
        name = stem[: limit_chars - len(suffix)].rstrip(" .") + suffix
    return name or "piece-jointe"


def file_path(path: str, limit_chars: int = 150) -> str:
    """Return the path that a file may be saved under below a directory: names as of `file_name`, with "/" between.

    "." and ".." are resolved. "" when the path leads out of the directory, is absolute, is longer than `limit_chars`,
    or has a folder that could not have its own name.
    """
    *folders, name = posixpath.normpath(path.replace("\\", "/")).split("/")
    if len(path) > limit_chars or any(folder != file_name(folder) for folder in folders):
        return ""
    return "/".join([*folders, file_name(name)])


def key_name(name: str) -> str:
    """Return a file's name as the last part of an object key.

    It is `[A-Za-z0-9._-]`, 1 to 80 characters, and stands in a URL without escapes.
    """
    stem, suffix = _split_suffix(file_name(name))
    suffix = re.sub(r"[^A-Za-z0-9.]", "", _ascii(suffix))
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", _ascii(stem)).strip("-")
    return (stem[: 80 - len(suffix)].rstrip("-") or "piece-jointe") + (suffix if len(suffix) > 1 else "")


def content_disposition(name: str) -> str:
    """Return the Content-Disposition that makes a browser save the file, and never show it (RFC 6266)."""
    name = file_name(name)
    return f"attachment; filename=\"{key_name(name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _first_marks(run: re.Match[str]) -> str:
    kept, marks = [], 0
    for char in run[0]:
        marks = marks + 1 if unicodedata.combining(char) or char in _TIBETAN_VOWELS else 0
        if marks <= _MARKS_AT_ONCE:
            kept.append(char)
    return "".join(kept)


def _split_suffix(name: str) -> tuple[str, str]:
    """Split a name into its stem and its suffix with the dot. No suffix where it is too long to be one."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and 0 < len(suffix) <= _SUFFIX_LIMIT_CHARS else (name, "")


def _ascii(text: str) -> str:
    """Return the ASCII characters of the text, letters without their accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
