"""Tell the pictures that a mail's HTML shows as its author's own from those of the quoted history."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from lxml.etree import ParserError
from lxml.html import HtmlElement, document_fromstring, tostring

from poller.mime import body
from poller.mime.subject import Prefix, prefix_of
from poller.parsing import quoting

_HTML_CHARS: Final = 200_000  # of a longer source no picture is taken for history
_WORD: Final = "imagedumessage"  # stands for a picture in the text, so that an answer may consist of one


def shown_in_history(html: str, subject: str) -> set[str]:
    """Return the Content-IDs of the images that an HTML source shows in the quoted history alone.

    The history is found as in the text: each picture is a word of it, and a quotation has ">" before it. A forward has
    no history, as its sender wants it to be read.
    """
    if "cid:" not in html.lower() or len(html) > _HTML_CHARS or prefix_of(subject, html) is Prefix.FORWARD:
        return set()
    try:
        tree = document_fromstring(html)
    except (ParserError, ValueError):  # nothing but comments, or an encoding declaration in a text
        return set()
    words: dict[str, str] = {}
    for number, image in enumerate(list(tree.iter("img"))):
        scheme, _, content_id = (image.get("src") or "").partition(":")
        if scheme.strip().lower() == "cid":
            words[f"{_WORD}{number}x"] = unquote(content_id.strip())
            _replace(image, f" {_WORD}{number}x ", tail=image.tail)
    for quotation in list(tree.iter("blockquote")):
        _replace(quotation, None, tail=quotation.tail)
    newest = quoting.newest_part(body.html_text(tostring(tree, encoding="unicode")))
    own = {content_id for word, content_id in words.items() if word in newest}
    return set(words.values()) - own


def _replace(element: HtmlElement, text: str | None, tail: str | None) -> None:
    """Replace what an element holds by a text, or by a quoted line where it is None."""
    element.clear()
    element.tag, element.text = ("span", text) if text else ("p", "> …")
    element.tail = tail
