"""List the links to files at a transfer service, and nothing else."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from poller.parsing.transfer_links import transfer_links
from tests.support.effort import one_pass

DRIVE = "https://drive.google.com/file/d/1aB/view?usp=sharing"
SAFE = "https://eur03.safelinks.protection.outlook.com/?url={}&data=05%7C01&reserved=0"

FOUND = {
    "WeTransfer": ("https://we.tl/t-AbC123", "https://we.tl/t-AbC123"),
    "a subdomain": ("https://atelier.wetransfer.com/downloads/a/b", "https://atelier.wetransfer.com/downloads/a/b"),
    "Google Drive": (DRIVE, DRIVE),
    "SharePoint": ("https://portes-my.sharepoint.com/:f:/g/x?e=1", "https://portes-my.sharepoint.com/:f:/g/x?e=1"),
    "MEGA's key": ("https://mega.nz/file/abc#clé-1", "https://mega.nz/file/abc#clé-1"),
    "http": ("http://www.dropbox.com/s/1/a.glb?dl=0", "https://www.dropbox.com/s/1/a.glb?dl=0"),
    "capitals": ("HTTPS://WE.TL/t-AbC", "https://we.tl/t-AbC"),
    "at the end of a sentence": ("Voici : https://we.tl/t-1.", "https://we.tl/t-1"),
    "in brackets": ("(voir https://we.tl/t-1)", "https://we.tl/t-1"),
    "in angle brackets": ("WeTransfer <https://we.tl/t-1>", "https://we.tl/t-1"),
    "in guillemets": ("« https://we.tl/t-1 »", "https://we.tl/t-1"),
    "in Markdown, with a word behind": ("[lien](https://we.tl/t-abc)et", "https://we.tl/t-abc"),
    "with brackets of its own": ("(https://we.tl/t-(1))", "https://we.tl/t-(1)"),
    "pCloud": ("https://my.pcloud.com/publink/show?code=X", "https://my.pcloud.com/publink/show?code=X"),
    "pCloud Transfer": (
        "https://transfer.pcloud.com/download.html?code=X",
        "https://transfer.pcloud.com/download.html?code=X",
    ),
    "Proton Drive": ("https://drive.proton.me/urls/X#k", "https://drive.proton.me/urls/X#k"),
    "Tresorit Send": ("https://send.tresorit.com/a#k", "https://send.tresorit.com/a#k"),
    "Orange": ("https://dl.orange.fr/X", "https://dl.orange.fr/X"),
    "as HTML is rendered": ("[https://we.tl/t-1](https://we.tl/t-1)", "https://we.tl/t-1"),
    "Safe Links": (SAFE.format(quote(DRIVE, safe="")), DRIVE),
    "Safe Links twice": (SAFE.format(quote(SAFE.format(quote(DRIVE, safe="")), safe="")), DRIVE),
    "Filemail": ("https://www.filemail.com/d/abcdef", "https://www.filemail.com/d/abcdef"),
    "Nextcloud": ("https://cloud.e.fr/index.php/s/AbC123", "https://cloud.e.fr/index.php/s/AbC123"),
    "Nextcloud, short": ("https://nuage.e.fr/s/AbCdEfGh1234567", "https://nuage.e.fr/s/AbCdEfGh1234567"),
    "Tresorit": ("https://web.tresorit.com/l/a#k", "https://web.tresorit.com/l/a#k"),
    "Gofile": ("https://gofile.io/d/AbC123", "https://gofile.io/d/AbC123"),
    "FileSender": (
        "https://filesender.renater.fr/?s=download&token=a-b",
        "https://filesender.renater.fr/?s=download&token=a-b",
    ),
    "1fichier": ("https://1fichier.com/?abc123def", "https://1fichier.com/?abc123def"),
    "Sync": ("https://ln5.sync.com/dl/abc/def", "https://ln5.sync.com/dl/abc/def"),
    "MEGA of old": ("https://mega.nz/#!abc!def", "https://mega.nz/#!abc!def"),
    "URL Defense 1": (f"https://urldefense.proofpoint.com/v1/url?u={quote(DRIVE, safe='')}&k=x", DRIVE),
    "URL Defense 2": (
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__we.tl_t-2DAbC-5F1&d=DwMFaQ&c=x&r=y&m=z&s=s&e=",
        "https://we.tl/t-AbC_1",
    ),
    "URL Defense 3": (
        "https://urldefense.com/v3/__https://we.tl/t-AbC123__;!!Abc!Def-x$",
        "https://we.tl/t-AbC123",
    ),
    "URL Defense 3, one slash": ("https://urldefense.com/v3/__https:/we.tl/t-1__;!!A!B$", "https://we.tl/t-1"),
    "URL Defense in Safe Links": (
        SAFE.format(quote("https://urldefense.com/v3/__https://we.tl/t-1__;!!A!B$", safe="")),
        "https://we.tl/t-1",
    ),
    "Barracuda": (f"https://linkprotect.cudasvc.com/url?a={quote(DRIVE, safe='')}&c=E,1,x&typo=1", DRIVE),
    "EdgePilot": (f"https://link.edgepilot.com/s/1a2b/c3?u={quote(DRIVE, safe='')}", DRIVE),
    "GMX": (f"https://deref-gmx.net/mail/client/abc/dereferrer/?redirectUrl={quote(DRIVE, safe='')}", DRIVE),
    "Cisco": (f"https://secure-web.cisco.com/1aB-x/{quote(DRIVE, safe='')}", DRIVE),
    "Check Point": (
        "https://url.avanan.click/v2/___https://we.tl/t-1___.YXAzOm0",
        "https://we.tl/t-1",
    ),
    "Sophos": (
        f"https://eu-central-1.protection.sophos.com/?d=we.tl&u={b64encode(b'https://we.tl/t-1').decode()}&i=x",
        "https://we.tl/t-1",
    ),
    "Trend Micro": (f"https://imsva91-ctp.trendmicro.com/wis/clicktime/v1/query?url={quote(DRIVE, safe='')}", DRIVE),
    "Google's own": (f"https://www.google.com/url?q={quote(DRIVE, safe='')}&sa=D", DRIVE),
    "in the quoted history": ("Le 3 nov., X a écrit :\n> https://we.tl/t-1", "https://we.tl/t-1"),
}


@pytest.mark.parametrize(("text", "link"), FOUND.values(), ids=FOUND)
def test_transfer_link_is_listed(text: str, link: str) -> None:
    assert transfer_links(text) == (link,)


NONE = (
    "https://wetransfer.com",
    "https://wetransfer.com/",
    "https://example.com/we.tl/t-1",
    "https://notwetransfer.com/downloads/1",
    "https://we.tl.example.com/t-1",
    "https://we.tl@example.com/t-1",
    "https://jean@we.tl/t-1",
    "ftp://we.tl/t-1",
    "javascript://we.tl/t-1",
    "we.tl/t-1",
    "https://www.google.com/file/d/1",
    "https://[we.tl/t-1",
    SAFE.format("javascript:alert(1)"),
    SAFE.format(""),
    "https://1fichier.com/",
    "https://wetransfer.com/?utm_source=x",
    "https://urldefense.com/v3/__https://example.com/x__;!!A$",
    "https://urldefense.com/v3/__",
    "https://protection.sophos.com/?u=%%%",
    "https://urldefense.proofpoint.com/v2/url?u=https-3A__example.com_t-2D1",
    "https://we.tl/",
)


@pytest.mark.parametrize("text", NONE)
def test_url_resembling_transfer_link_is_not_listed(text: str) -> None:
    assert transfer_links(text, f'<a href="{text}">x</a>') == ()


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://we.tl/t-1?a=1&amp;b=2">',
        "<a href='https://we.tl/t-1?a=1&b=2'>",
        "<A HREF = https://we.tl/t-1?a=1&b=2>",
        '<a href=" https://we.tl/t-1?a=1&amp;b=2 ">',
    ],
)
def test_html_link_is_listed_with_its_target(html: str) -> None:
    assert transfer_links("", html) == ("https://we.tl/t-1?a=1&b=2",)


def test_links_are_unique_ordered_and_at_most_fifty() -> None:
    html = '<a href="https://we.tl/t-2"><a href="https://we.tl/t-3">'
    assert transfer_links("https://we.tl/t-1 https://we.tl/t-2 https://we.tl/t-1", html) == (
        "https://we.tl/t-1",
        "https://we.tl/t-2",
        "https://we.tl/t-3",
    )
    assert len(transfer_links(" ".join(f"https://we.tl/t-{number}" for number in range(100)))) == 50


@pytest.mark.parametrize(
    "piece",
    [
        "https://",
        "https://we.tl/",
        "href=",
        'href="',
        "href='x",
        "(",
        "https://we.tl/x)",
        "](",
        "https://urldefense.com/v3/__https:/",
    ],
)
def test_hostile_text_is_parsed_quickly(piece: str) -> None:
    one_pass(lambda text: transfer_links(text, text), piece)
