"""Find a mail's links to files at transfer and cloud services. They are listed for a person, never followed."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINKS: Final = 50
_URL_CHARS: Final = 2000
_MAX_URLS: Final = 5000  # looked at
_SERVICES: Final = {
    "we.tl", "wetransfer.com", "drive.google.com", "docs.google.com", "drive.usercontent.google.com",
    "photos.app.goo.gl", "dropbox.com", "dropboxusercontent.com", "db.tt", "1drv.ms", "onedrive.live.com",
    "onedrive.com", "sharepoint.com", "icloud.com", "box.com", "mega.nz", "mega.io", "mega.co.nz", "fromsmash.com",
    "swisstransfer.com", "kdrive.infomaniak.com", "grosfichiers.com", "transfernow.net", "transferxl.com",
    "dl.free.fr", "transfert.free.fr", "filesender.renater.fr", "pcloud.link",
    "transfer.pcloud.com", "my.pcloud.com", "drive.proton.me", "send.tresorit.com", "dl.orange.fr",
}  # fmt: skip
_SAFE_LINKS: Final = "safelinks.protection.outlook.com"
_URL: Final = re.compile(r"https?://[^\s<>\"\\^`{|}]+", re.IGNORECASE)
_HREF: Final = re.compile(
    r"\bhref\s{0,9}=\s{0,9}(?:\"([^\"]{1,4000})\"|'([^']{1,4000})'|([^\s\"'>]{1,4000}))", re.IGNORECASE
)
_ENDS: Final = ".,;:!?*_'’»”…"


def transfer_links(text: str, html: str = "") -> tuple[str, ...]:
    """Return the https URLs in a text and in the links of an HTML source that lead to files.

    They are in order, each once, at most 50. A link that Outlook rewrote (Safe Links) is replaced by the one it leads
    to.
    """
    found: dict[str, None] = {}
    for count, url in enumerate(_urls(text, html)):
        if count >= _MAX_URLS or len(found) >= MAX_LINKS:
            break
        if link := _transfer_link(url):
            found[link] = None
    return tuple(found)


def _urls(text: str, html: str) -> Iterator[str]:
    for match in _URL.finditer(text):
        yield _without_what_follows(match[0])
    for match in _HREF.finditer(html):
        yield unescape(match[1] or match[2] or match[3]).strip()


def _without_what_follows(url: str) -> str:
    """Return a URL without the punctuation of the sentence, or of the Markdown, that it stands in."""
    url = url[:_URL_CHARS].partition("](")[0]
    before, _, _ = url.partition(")")
    if "(" not in before:  # [lien](https://we.tl/t-abc)et
        url = before
    url = url.rstrip(_ENDS)
    while url and ((url[-1] == ")" and url.count("(") < url.count(")")) or (url[-1] == "]" and "[" not in url)):
        url = url[:-1].rstrip(_ENDS)
    return url


def _transfer_link(url: str) -> str:
    """Return the URL as it is listed, "" when it leads to no file."""
    for _ in range(3):  # a forwarded one may have been rewritten twice
        try:
            parts = urlsplit(url[:_URL_CHARS])
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return ""
        if not f".{host}".endswith(f".{_SAFE_LINKS}"):
            break
        url = parse_qs(parts.query, max_num_fields=20).get("url", [""])[0]
    if parts.scheme.lower() not in {"http", "https"} or not host.isascii() or "@" in parts.netloc:
        return ""
    if not any(f".{host}".endswith(f".{service}") for service in _SERVICES) or parts.path.strip("/") == "":
        return ""
    # The key of a MEGA link is its fragment, which is not sent to the server.
    rest = parts._replace(scheme="https", netloc=host).geturl()
    return rest if rest.isprintable() and " " not in rest else ""
