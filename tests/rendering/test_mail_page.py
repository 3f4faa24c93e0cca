"""A mail set as text and as HTML from one page, with the headers that mark it as ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from poller.rendering.mail_page import DONE, FAILED, LEFT, Chart, Page, as_text, mail
from poller.rendering.template import render
from tests.rendering.test_template import EMPTY, NOW, PEOPLE, Seen, html_of


def test_digest_bar_length_matches_number() -> None:
    """A day without anything has no bar, and a name in it is text."""
    chart = Chart(
        "Par <jour>", (("A", "#3b82f6"), ("B", "#d97706")), (("lun.", (3, 1)), ("mar.", (2, 0)), ("mer.", (0, 0)))
    )
    assert as_text(chart).splitlines()[1:] == ["lun.  " + "█" * 20 + " 4", "mar.  " + "█" * 10 + " 2", "mer.   0"]
    page = Page("", "", ("", ()), (), (), (), "0f", chart=chart)
    html = render("letter.html", page=page, limit_chars=1000)
    assert html.count("bgcolor") == 3
    assert 'width="85%"' in html
    assert "Par &lt;jour&gt;" in html


def test_a_letter_when_sent_has_the_words_of_its_text() -> None:
    """No word of the text is missing in the HTML."""
    page = replace(EMPTY, facts=[("Fact", "<one>\ntwo")], box=("Box", ("three & four",)))
    message = mail(page, "Subject", "test", now=NOW, **PEOPLE)
    seen = Seen(html_of(bytes(message)))
    text = str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert all(word in seen.words for word in text.replace("\xa0:", "").replace("- ", "").split())


def test_page_in_text_has_its_parts_in_order() -> None:
    """Box, facts, buttons, files, chart and lists; what is empty leaves no line."""
    page = replace(
        EMPTY,
        box=("Que faire", ("un", "deux")),
        facts=[("Client", "Jeanne")],
        buttons=[("Ouvrir", "https://t.example/1")],
        files=[("a.glb", "1 ko", "https://f.example/a")],
        chart=Chart("Par jour", (("A", "#3b82f6"),), (("lun.", (1,)),)),
        lists=[("Étapes", [(DONE, "Note", "https://n.example"), (FAILED, "Ticket", ""), (LEFT, "x", "javascript:1")])],
    )
    assert (
        plain(page)
        == """\
kicker
title

Que faire :
- un
- deux

Client : Jeanne

Ouvrir : https://t.example/1

Fichiers :
- a.glb (1 ko) : https://f.example/a

Par jour
lun.  ████████████████████ 1

Étapes :
✓ Note : https://n.example
✗ Ticket
– x

[ref: 0123456789abcdef]
"""
    )
    assert plain(replace(EMPTY, facts=[("a", "b")])) == "kicker\ntitle\n\na : b\n\n[ref: 0123456789abcdef]\n"


def plain(page: Page) -> str:
    """Return the text of the mail of a page, with plain spaces."""
    message = mail(page, "Subject", "test", now=NOW, **PEOPLE)
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return str(text).replace("\r\n", "\n").replace("\xa0", " ")


def test_chart_without_any_number_has_no_bar() -> None:
    """Nothing is divided by the longest bar, which is empty."""
    chart = Chart("Par jour", (("A", "#3b82f6"),), (("lun.", (0,)),))
    assert (chart.most, Chart("", (), ()).most) == (1, 1)
    assert as_text(chart) == "Par jour\nlun.   0"


@pytest.mark.parametrize("subject", ["Une chaise", "a\r\nBcc: x@evil.example", "é" * 500])
def test_mail_has_our_headers_whatever_its_subject(subject: str) -> None:
    message = mail(EMPTY, subject, "reply", now=datetime(2026, 11, 22, tzinfo=UTC), **PEOPLE)
    assert message.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Figurative-Poller",
        "MIME-Version",
        "Content-Type",
    ]
    assert message["Message-ID"] == "<0123456789abcdef.reply@figurative-poller.invalid>"
    assert (message["Auto-Submitted"], message["X-Figurative-Poller"]) == ("auto-generated", "notification")
    assert bytes(message).isascii()
