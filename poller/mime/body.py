"""Decode the text parts of a mail: charsets, flowed lines, HTML."""

from __future__ import annotations

import re
from contextlib import suppress
from html import unescape
from typing import TYPE_CHECKING, Final

from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from lxml.etree import ParserError
from lxml.html import HTMLParser, document_fromstring

from poller.escaping import few_marks
from poller.mime import charsets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT_CHARS: Final = 100_000
BODY_BYTES: Final = 1024 * 1024  # of all text parts together
RENDERED_CHARS: Final = 300_000  # of all HTML in a mail: a second and a half at most

_RENDERED_CHARS: Final = 250_000  # of HTML; inscriptis takes a second for a table row of that length

_LINE_END: Final = re.compile(r"\r{0,2}\n|\r|\u2028|\u2029")
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")
_BLANK_LINES: Final = re.compile(r"\n[ \t\xa0]*+\n(?:[ \t\xa0]*+\n)+")
# Noncharacters, which stand for the beginning and the end of a quotation while its HTML is rendered.
_BEGINS, _PERHAPS, _ENDS = "\ufdd0", "\ufdd1", "\ufdd2"
_MARKS: Final = re.compile(f"[{_BEGINS}{_PERHAPS}{_ENDS}]")
_BLOCKQUOTE: Final = re.compile(r"<(/?)blockquote\b([^<>]{0,2000})>", re.IGNORECASE)
_OF_A_CLIENT: Final = re.compile(r"\bcite\b|quote|border-left|border-inline-start", re.IGNORECASE)
_ENDS_WITH_COLON: Final = re.compile(r":\W{0,5}$")
_ADDRESS_OR_TIME: Final = re.compile(r"@|\d[:h]\d\d")
_DIGIT: Final = re.compile(r"\d")
_WROTE: Final = re.compile(
    r"\b(?:a écrit|wrote|schrieb|geschrieben|escribió|ha scritto|escreveu|schreef|skrev|pisze|napisał)",
    re.IGNORECASE,
)
_QUOTE_DEPTH: Final = 20  # that is shown
# Further elements that begin a line of their own. Inscriptis would glue their words together.
_BLOCKS: Final = (
    *("center", "dd", "details", "dir", "dl", "dt", "fieldset", "form", "hr", "legend", "menu", "noscript"),
    *("optgroup", "option", "section", "summary", "textarea"),
)
_CSS: Final = (
    CSS_PROFILES["strict"]
    | {name: HtmlElement(display=Display.block) for name in _BLOCKS}
    | {"blockquote": HtmlElement(display=Display.block, margin_before=1, margin_after=1)}
)
_END_TAG: Final = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]{0,1000}>")
_UNREAD_HTML: Final = re.compile(r"(?i)\bhtml\b")
_STUB_CHARS: Final = 300
_STUB_FRACTION: Final = 5  # so many times the words of a stub are in the HTML
_TARGET: Final = re.compile(r"\]\([^()\s]*+\)|\bhttps?://\S++")


def plain(content: bytes, parameters: Mapping[str, str], *, complete: bool = True) -> str:
    """Return the text of a text/plain body, its flowed lines joined (RFC 3676)."""
    text = clean(charsets.decode(content, parameters.get("charset", ""), complete=complete))
    if parameters.get("format", "").lower() == "flowed":
        text = _unflow(text, delete_space=parameters.get("delsp", "").lower() == "yes")
    return text


def html(content: bytes, parameters: Mapping[str, str], *, complete: bool = True) -> str:
    """Return the source of a text/html body."""
    return clean(charsets.decode(content, parameters.get("charset", ""), complete=complete))


def html_text(source: str, limit: int = _RENDERED_CHARS) -> str:
    """Render an HTML source as text, with its links, and quotations marked by "> ".

    Text beyond `limit` characters only loses its tags.
    """
    limit = min(limit, _RENDERED_CHARS)
    source = _BLOCKQUOTE.sub(_marked, _MARKS.sub("", source))
    # With the end tags, text that gateways and mail clients append below them would not be read.
    source = _END_TAG.sub("", source)
    end = len(source) if len(source) <= limit else max(0, source.rfind("<", 0, limit))
    if _is_too_deep(source[:end]):
        end = 0
    text = get_text(source[:end], ParserConfig(css=_CSS, display_links=True))
    if end < len(source):
        text = f"{text}\n{unescape(_TAG.sub(' ', source[end:]))}"
    return _BLANK_LINES.sub("\n\n", clean(_quoted(text))).strip("\n")


def _marked(tag: re.Match[str]) -> str:
    """Return the tag of a blockquote with a mark beside it, in a line of its own."""
    if tag[1]:
        return f"<div>{_ENDS}</div>{tag[0]}"
    mark = _BEGINS if _OF_A_CLIENT.search(tag[2]) else _PERHAPS
    return f"{tag[0]}<div>{mark}</div>"


def _quoted(text: str) -> str:
    """Return a rendered text with "> " in front of the quoted lines, in place of the marks around them.

    Mail clients quote in a blockquote, and people indent by one. What no client marks as its own is a quotation only
    below a line that introduces one: an address, a time, or "wrote" with a date, and a colon.
    """
    lines: list[str] = []
    is_quote: list[bool] = []  # of each open blockquote
    depth = 0  # of those that are quotations
    below_introduction = False
    for line in text.split("\n"):
        rest = _MARKS.sub("", line)
        if rest == line or rest.strip():
            shown = min(depth, _QUOTE_DEPTH)
            lines.append(f"{'>' * shown} {rest.lstrip()}".rstrip() if shown else rest)
            if said := rest.strip():
                below_introduction = _introduces(said)
        for mark in _MARKS.findall(line):
            if mark != _ENDS:
                is_quote.append(mark == _BEGINS or below_introduction)
                depth += is_quote[-1]
            elif is_quote:
                depth -= is_quote.pop()
    return "\n".join(lines)


def _introduces(line: str) -> bool:
    end = line[-400:]
    if _ENDS_WITH_COLON.search(end[-6:]) is None:
        return False
    wrote = _WROTE.search(end) is not None and _DIGIT.search(end) is not None
    return wrote or _ADDRESS_OR_TIME.search(end) is not None


def _is_too_deep(source: str) -> bool:
    """Return whether lxml would leave out all that follows the 256th open tag. Only its log says so."""
    parser = HTMLParser()
    with suppress(ParserError, ValueError):
        document_fromstring(source, parser=parser)
    return any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log)


def enriched(content: bytes, parameters: Mapping[str, str], *, complete: bool = True) -> str:
    """Return the text of a text/enriched or text/richtext body without its formatting (RFC 1896)."""
    return _TAG.sub("", plain(content, parameters, complete=complete))


def fuller(text: str, sources: Sequence[str], limit: int = RENDERED_CHARS) -> str:
    """Return the plain text of a mail, or its rendered HTML where the plain text says next to nothing of it.

    `text` is the text/plain body, "" where there is none. `sources` are HTML sources that should say the same. Some
    programs put into the plain text only that the mail client cannot show the mail, or a link to it. `limit` is how
    many characters of HTML may still be rendered.
    """
    if not sources or (len(text) >= _STUB_CHARS and re.search(r"\w", text)):
        return text
    before = [sum(len(source) for source in sources[:number]) for number in range(len(sources))]
    texts = (html_text(source, max(0, limit - read)) for source, read in zip(sources, before, strict=True))
    rendered = "\n\n".join(texts)
    if not text.strip():
        return rendered  # even if it is nothing but a link
    words = _words(rendered)
    return rendered if words and (is_stub(text) or _words(text) * _STUB_FRACTION <= words) else text


def is_stub(text: str) -> bool:
    """Return whether a text/plain body has no word, or only asks for an HTML reader."""
    return not re.search(r"\w", text) or (len(text) < _STUB_CHARS and _UNREAD_HTML.search(text) is not None)


def _words(text: str) -> int:
    return len(re.findall(r"\w+", _TARGET.sub(" ", text)))


def clean(text: str) -> str:
    r"""Return the text with "\n" line ends, without control characters, lone surrogates and long runs of marks."""
    return few_marks(_UNWANTED.sub("", _LINE_END.sub("\n", text)))


def _unflow(text: str, *, delete_space: bool) -> str:
    paragraphs: list[str] = []
    open_depth = -1  # quote depth of a paragraph that goes on, -1 when none does
    flowing: list[str] = []
    for line in text.split("\n"):
        stripped = line.lstrip(">")
        depth = len(line) - len(stripped)
        stripped = stripped.removeprefix(" ")
        signature = stripped == "-- "  # RFC 3676 section 4.3: never flowed
        if flowing and (depth != open_depth or signature):
            paragraphs.append("".join(flowing))
            flowing = []
        if not flowing:
            flowing.append(">" * depth + " " * (depth > 0))
        open_depth = depth
        if stripped.endswith(" ") and not signature:
            flowing.append(stripped[:-1] if delete_space else stripped)
            continue
        flowing.append(stripped)
        paragraphs.append("".join(flowing))
        flowing = []
    return "\n".join([*paragraphs, "".join(flowing)] if flowing else paragraphs)


READERS: Final = {  # by content type: what gives the text of such a part, or its source
    "text/plain": plain,
    "text/markdown": plain,
    "text/html": html,
    "text/enriched": enriched,
    "text/richtext": enriched,
}
