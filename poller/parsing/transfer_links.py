"""Find a mail's links to files at transfer and cloud services. They are listed for a person, never followed."""

from __future__ import annotations

import base64
import binascii
import re
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINKS: Final = 50
_URL_CHARS: Final = 2000
_MAX_URLS: Final = 5000  # looked at
_SERVICES: Final = {
    "we.tl", "wetransfer.com", "drive.google.com", "docs.google.com", "drive.usercontent.google.com",
    "photos.app.goo.gl", "dropbox.com", "dropboxusercontent.com", "db.tt", "1drv.ms", "onedrive.live.com",
    "onedrive.com", "sharepoint.com", "icloud.com", "box.com", "mega.nz", "mega.io", "mega.co.nz", "fromsmash.com",
    "swisstransfer.com", "kdrive.infomaniak.com", "grosfichiers.com", "transfernow.net", "transferxl.com",
    "dl.free.fr", "transfert.free.fr", "filesender.renater.fr", "pcloud.link",
    "transfer.pcloud.com", "my.pcloud.com", "drive.proton.me", "send.tresorit.com", "web.tresorit.com", "dl.orange.fr",
    "drop.chapril.org", "gofile.me",
    "filemail.com", "gofile.io", "1fichier.com", "sendgb.com", "sync.com", "wesendit.com", "send-anywhere.com",
    "sendanywhe.re", "mediafire.com", "hightail.com", "dropsend.com", "transferfile.io", "filetransfer.io",
    "workupload.com", "pixeldrain.com", "ufile.io", "uploadnow.io", "easyupload.io", "terabox.com", "jumpshare.com",
    "droplr.com", "wormhole.app", "myairbridge.com", "plustransfer.com", "sendbig.com", "sendtransfer.com",
    "francetransfert.numerique.gouv.fr", "framadrop.org", "disk.yandex.ru", "disk.yandex.com", "yadi.sk",
    "cloud.mail.ru", "my.hidrive.com", "magentacloud.de", "workdrive.zohopublic.eu", "workdrive.zohopublic.com",
    "workdrive.zohoexternal.com", "a360.co", "transfer.sh", "file.io", "sharefile.com", "sharefile.eu", "egnyte.com",
    "files.fm", "frame.io", "limewire.com", "degoo.com", "koofr.eu", "koofr.net", "bublup.com",
}  # fmt: skip
# Nextcloud and ownCloud, which companies run under names of their own: the path has the file's token.
_OWN_CLOUD: Final = re.compile(
    r"(?:/[\w-]{1,40})?(?:/index\.php/s/[A-Za-z0-9_-]{4,40}|/s/[A-Za-z0-9]{15})(?:/.{0,200})?"
)
# The file is named behind the path: "/?abc", "/#!abc".
_KEYED: Final = {"1fichier.com", "mega.nz", "mega.co.nz", "filesender.renater.fr"}
# Mail gateways replace a link by one of their own. By host: the parameter that holds the link.
_WRAPPERS: Final = {
    "safelinks.protection.outlook.com": "url",
    "urldefense.proofpoint.com": "u",
    "urldefense.com": "u",
    "linkprotect.cudasvc.com": "a",
    "clicktime.symantec.com": "u",
    "protection.sophos.com": "u",
    "protect2.fireeye.com": "u",
    "trendmicro.com": "url",
    "vadesecure.com": "u",
    "mailinblack.com": "url",
    "secure-web.cisco.com": "",
    "url.avanan.click": "",
    "link.edgepilot.com": "u",
    "deref-gmx.net": "redirectUrl",
    "deref-web.de": "redirectUrl",
    "www.google.com": "q",
    "statics.teams.cdn.office.net": "url",
}
_IN_PATH: Final = re.compile(
    r"/v\d/_{2,3}(https?:/.{1,1900}?)_{2,3}[;.]|/[^/]{1,200}/(https?(?:%3A|:).{1,1900})", re.IGNORECASE
)
_MOST_WRAPPERS: Final = 4  # around each other, in a mail that was forwarded between companies
_URL: Final = re.compile(r"https?://[^\s<>\"\\^`{|}]+", re.IGNORECASE)
_HREF: Final = re.compile(
    r"\bhref\s{0,9}=\s{0,9}(?:\"([^\"]{1,4000})\"|'([^']{1,4000})'|([^\s\"'>]{1,4000}))", re.IGNORECASE
)
_ENDS: Final = ".,;:!?*_'’»”…"


def transfer_links(text: str, html: str = "") -> tuple[str, ...]:
    """Return the https URLs in a text and in the links of an HTML source that lead to files.

    They are in order, each once, at most 50. A link that a mail gateway rewrote (Safe Links, URL Defense) is replaced
    by the one it leads to.
    """
    found: dict[str, None] = {}
    for count, url in enumerate(_urls(text, html)):
        if count >= _MAX_URLS or len(found) >= MAX_LINKS:
            break
        if link := _transfer_link(url):
            found[link] = None
    return tuple(found)


def is_service(host: str) -> bool:
    """Return whether a host is one of a transfer service, which anyone may use."""
    return bool(_below(host, _SERVICES))


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
    for _ in range(_MOST_WRAPPERS):
        try:
            parts = urlsplit(url[:_URL_CHARS])
            host = (parts.hostname or "").rstrip(".")
            inner = _unwrapped(parts, host)
        except ValueError:
            return ""
        if not inner:
            break
        url = inner
    if parts.scheme.lower() not in {"http", "https"} or not host.isascii() or "@" in parts.netloc:
        return ""
    names_file = parts.path.strip("/") or (_below(host, _KEYED) and (parts.query or parts.fragment))
    if not (_below(host, _SERVICES) and names_file) and not _OWN_CLOUD.fullmatch(parts.path):
        return ""
    # The key of a MEGA link is its fragment, which is not sent to the server.
    rest = parts._replace(scheme="https", netloc=host).geturl()
    return rest if rest.isprintable() and " " not in rest else ""


def _below(host: str, domains: Iterable[str]) -> str:
    """Return the domain that the host is at or below, "" if there is none."""
    return next((domain for domain in domains if f".{host}".endswith(f".{domain}")), "")


def _unwrapped(parts: SplitResult, host: str) -> str:
    """Return the URL inside one that a gateway made, "" if this is none.

    Raises:
        ValueError: its query has too many fields, or its base64 is none.
    """
    wrapper = _below(host, _WRAPPERS)
    if not wrapper:
        return ""
    if found := _IN_PATH.match(parts._replace(scheme="", netloc="").geturl()):
        # URL Defense 3 and Check Point keep the URL as it was, but for some characters that no link of ours needs.
        return found[1].replace(":/", "://", 1).replace(":///", "://", 1) if found[1] else unquote(found[2])
    inner = parse_qs(parts.query, max_num_fields=20).get(_WRAPPERS[wrapper], [""])[0]
    if wrapper == "urldefense.proofpoint.com" and parts.path.startswith("/v2/"):
        return unquote(inner.replace("-", "%").replace("_", "/"))
    if wrapper == "protection.sophos.com" and inner and "://" not in inner:
        try:
            return base64.b64decode(inner + "=" * (-len(inner) % 4), validate=True).decode("ascii", "replace")
        except binascii.Error:
            return ""
    return inner
