"""Replace the links to the services of the demo, which end with it, by places in its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markupsafe import Markup

from poller import escaping

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import EmailMessage

_LINK = re.compile(r'\s(href|src)="([^"]*)"')
_URL = re.compile(r"https?://[^\s<>\"]+")
_BARE_URL = re.compile(r"(?<![\">])https?://[^\s<>\"]+")  # in the text of HTML, not in an attribute or a link
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True})  # ClickUp keeps line ends


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The places in the page, and the pictures, that stand for URLs of the services."""

    places: Mapping[str, str]  # unquoted URL: id of an element
    pictures: Mapping[str, str]  # unquoted URL: data URI

    def html(self, source: str) -> str:
        """Return HTML whose links lead to places in the page, and whose pictures are in it. All others are dropped."""

        def replaced(found: re.Match[str]) -> str:
            name, url = found[1], unquote(unescape(found[2]))
            known = self.pictures.get(url) if name == "src" else f"#{self.places[url]}" if url in self.places else None
            return f' {name}="{escape(known)}"' if known else ""

        return _LINK.sub(replaced, source)

    def text(self, source: str) -> Markup:
        """Return plain text as HTML, with a link for each known URL."""
        words, at = [], 0
        for found in _URL.finditer(source):
            if anchor := self.places.get(unquote(found[0])):
                words += [
                    escaping.html(source[at : found.start()]),
                    f'<a href="#{anchor}">{escaping.html(found[0])}</a>',
                ]
                at = found.end()
        return Markup("".join([*words, escaping.html(source[at:])]))  # noqa: S704  every part is escaped

    def markdown(self, source: str) -> Markup:
        """Return Markdown as HTML, with a link for each known URL that stands alone."""

        def linked(found: re.Match[str]) -> str:
            anchor = self.places.get(unquote(unescape(found[0])))
            return f'<a href="#{anchor}">{found[0]}</a>' if anchor else found[0]

        shown = _BARE_URL.sub(linked, self.html(_MARKDOWN.render(source)))
        return Markup(shown)  # noqa: S704  the renderer has escaped all that is no Markdown

    def letter(self, message: EmailMessage) -> str:
        """Return the HTML of a mail of ours. Its links open in the page around it."""
        body = message.get_body(("html",))
        source = self.html(str(body.get_content())) if body else ""
        return source.replace("<head>", '<head><base target="_parent">', 1)
