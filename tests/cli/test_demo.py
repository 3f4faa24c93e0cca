"""Tests of the `demo` command, and of the page that it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from poller.cli import demo
from poller.cli.demonstration.links import PageLinks
from poller.cli.samples import samples
from tests.support.browser import EXECUTABLE, Browser
from tests.support.command import run

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }}"
FILE, TICKET = "http://127.0.0.1:9/b/2026/a%20b.glb", "https://app.hubspot.com/contacts/1/record/0-5/7"
LINKS = PageLinks(
    {"http://127.0.0.1:9/b/2026/a b.glb": "file-0", TICKET: "ticket-7"}, {"http://127.0.0.1:9/b/2026/a b.png": "data:x"}
)


@dataclass
class Seen(HTMLParser):
    """The tags of a page, the URLs that it could load or lead to, its frames and its ids."""

    source: str
    tags: set[str] = field(default_factory=set)
    urls: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    sandboxes: set[str] = field(default_factory=set)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.urls += [given[name] for name in ("href", "src", "srcset", "action", "poster", "data") if name in given]
        self.urls += re.findall(r"url\(([^)]*)", given.get("style", ""))
        self.ids += [given["id"]] if "id" in given else []
        assert not any(name.startswith("on") for name in given), tag
        if tag == "iframe":
            self.frames.append(given["srcdoc"])
            self.sandboxes.add(given["sandbox"])


def hostile_mail() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Mallory <mallory@hostile.example>", "support@figurative.example"
    mail["Subject"], mail["Message-ID"] = HOSTILE, "<hostile@samples.example>"
    mail["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    mail.set_content(f"Merci de modéliser cette pièce en 3D. {HOSTILE} https://evil.example/x\n")
    return mail.as_bytes()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of three mails: a textured model, an absence notice, and hostile words."""
    mails = samples()
    path = tmp_path_factory.mktemp("demo") / "demo.html"
    demo.run(
        lambda _: None,
        {"armchair": mails["armchair"], "auto_reply": mails["auto_reply"], "hostile": hostile_mail()},
        page=path,
    )
    return path


def test_demo_shows_every_mail_and_mailbox(tmp_path: Path) -> None:
    """Nothing is left in the inbox, what was created is listed, and the page is where it says."""
    path = tmp_path / "demo.html"
    result = run("demo", "--page", str(path))
    assert result.exit_code == 0, result.output
    assert "INBOX (0)" in result.stdout
    assert "Modélisation du fauteuil Ondine" in result.stdout
    assert "At the services: 8 contacts, 8 tickets" in result.stdout
    assert f"Open {path.resolve()} in a browser" in result.stdout
    assert "Modélisation du fauteuil Ondine" in path.read_text()


def test_demo_page_gives_each_mail_its_reason_and_cards(page: Path) -> None:
    source = page.read_text()
    assert "Fichier 3D joint (.glb). Décidé par les règles." in source
    assert "Réponse automatique (Auto-Submitted: auto-replied)." in source
    kinds = re.findall(r"<figcaption><i [^>]*></i>([^<]+)<", source)
    modelling = ["Customer’s mail", "Ticket", "Note", "Subtask", "Notification", "Receipt"]
    assert kinds == [*modelling, "Customer’s mail", *modelling]
    for name in ("INBOX", "Ignorés", "Modélisation"):
        assert f"<h3>{name}<span>" in source


def test_demo_page_lists_files_in_the_order_of_the_mails(tmp_path: Path) -> None:
    """The picture at the top is the first model's, whichever mail is done first."""
    path, mails = tmp_path / "demo.html", samples()
    order = ("armchair", "modelisation_with_files", "hostile_name")
    demo.run(lambda _: None, {name: mails[name] for name in order}, page=path)
    names = re.findall(r' download="([^"]+)"', path.read_text().partition("Files on R2")[2])
    assert [name for name in names if name.endswith(".glb")] == [
        "bergère Sillage.glb",
        "fauteuil Ondine.glb",
        "passwdgpj.glb",
    ]


def test_demo_page_loads_nothing_and_its_links_lead_into_it(page: Path) -> None:
    """The stand-ins end with the demo, so a link to them would open nothing."""
    seen = Seen(page.read_text())
    frames = [Seen(source) for source in seen.frames]
    urls = [url for each in (seen, *frames) for url in each.urls]
    assert {url.partition(":")[0] for url in urls if not url.startswith("#")} == {"data"}
    assert {url[1:] for url in urls if url.startswith("#")} <= set(seen.ids)
    assert len(seen.ids) == len(set(seen.ids))
    assert any(url.startswith("#file-") for each in frames for url in each.urls)
    assert any(url.startswith("#ticket-") for each in frames for url in each.urls)
    assert "default-src 'none'" in page.read_text()


def test_demo_page_shows_hostile_mail_as_text(page: Path) -> None:
    """In the page, in each frame, and in the titles of the frames."""
    seen = Seen(page.read_text())
    assert seen.sandboxes == {"allow-same-origin allow-top-navigation-by-user-activation"}
    for each in (seen, *(Seen(source) for source in seen.frames)):
        assert "script" not in each.tags
        assert "x" not in each.urls
    assert sum("&lt;script&gt;" in source for source in seen.frames) >= 5  # all but the receipt, which may quote it


def test_demo_says_when_page_cannot_be_written(tmp_path: Path) -> None:
    assert demo._written(tmp_path / "missing" / "demo.html", "") == (
        f"The page was not written: {tmp_path}/missing/demo.html: No such file or directory."
    )


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (f'<a href="{FILE}">a</a>', '<a href="#file-0">a</a>'),
        (f'<a href="{TICKET}">a</a>', '<a href="#ticket-7">a</a>'),
        ('<a href="https://evil.example/">a</a>', "<a>a</a>"),
        (f'<img src="{FILE[:-4]}.png" alt="a">', '<img src="data:x" alt="a">'),
        ('<img src="https://evil.example/p.gif">', "<img>"),
    ],
)
def test_links_of_html_lead_into_the_page_or_nowhere(source: str, shown: str) -> None:
    assert LINKS.html(source) == shown


def test_known_urls_of_a_text_become_links() -> None:
    assert LINKS.text(f"<b> {FILE}\nhttps://evil.example/ {TICKET}") == (
        f'&lt;b&gt; <a href="#file-0">{FILE}</a><br>\nhttps://evil.example/ <a href="#ticket-7">{TICKET}</a>'
    )
    assert LINKS.markdown(f"**T**: {TICKET}\n\n[a]({FILE}) <b> [x](javascript:1)") == (
        f'<p><strong>T</strong>: <a href="#ticket-7">{TICKET}</a></p>\n'
        '<p><a href="#file-0">a</a> &lt;b&gt; [x](javascript:1)</p>\n'
    )


@pytest.mark.skipif(not EXECUTABLE, reason="no Chromium: apt install chromium")
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_demo_page_in_a_browser_fits_and_follows_its_links(page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    """No sideways scrolling, no complaint, no script, and a link in a letter leads to the ticket in the page."""
    with Browser(tmp_path, width=width, dark=dark) as browser:
        browser.open(page.as_uri())
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("document.scripts.length") == 0
        frame = "document.querySelector('[id^=letter-] iframe').contentDocument"
        browser.run("document.querySelector('[id^=letter-]').scrollIntoView()")
        while not browser.run(f"!!{frame} && !!{frame}.querySelector('a[href^=\"#ticket-\"]')"):
            pass  # a frame below the window is loaded when it comes into sight
        browser.run(f"{frame}.querySelector('a[href^=\"#ticket-\"]').click()")
        while not browser.run("location.hash"):
            pass
        assert browser.run("!!document.querySelector('.card:target').id.startsWith('ticket-')")
        assert browser.complaints() == []
