"""Read the text of a body as its author saw it."""

from __future__ import annotations

import pytest

from poller.mime import body
from tests.support.effort import one_pass

FLOWED = {"charset": "utf-8", "format": "Flowed"}


def test_flowed_lines_are_joined() -> None:
    raw = b"Bonjour, \r\nje voudrais \r\nun devis.\r\n\r\nMerci\r\n"
    assert body.plain(raw, FLOWED) == "Bonjour, je voudrais un devis.\n\nMerci\n"


def test_flowed_lines_drop_trailing_space_with_delsp() -> None:
    assert body.plain(b"Je vou \r\ndrais.\r\n", FLOWED | {"delsp": "yes"}) == "Je voudrais.\n"


def test_flowed_quotes_keep_depth_and_drop_stuffed_space() -> None:
    raw = b"> cite \r\n> suite\r\n>> plus \r\n> fin\r\n From here\r\n"
    assert body.plain(raw, FLOWED) == "> cite suite\n>> plus \n> fin\nFrom here\n"


def test_signature_is_never_flowed() -> None:
    assert body.plain(b"Merci \r\n-- \r\nCamille\r\n", FLOWED) == "Merci \n-- \nCamille\n"


def test_fixed_lines_are_unchanged() -> None:
    assert body.plain(b"a \r\nb\rc\n", {}) == "a \nb\nc\n"


def test_html_text_has_links_and_no_scripts() -> None:
    source = body.html(
        b"<html><head><title>T</title><style>p{}</style></head><body><p>Le <b>pla</b>n <a href='https://e.com/p'>ici</a></p>"
        b"<script>1</script><p>Merci</p></body></html>",
        {},
    )
    text = body.html_text(source)
    assert text.split() == ["Le", "plan", "[ici](https://e.com/p)", "Merci"]


def test_html_text_includes_content_after_html_end() -> None:
    source = "<html><body><p>un</p></body></html>deux<html><body><p>trois</p></body></HTML >"
    assert body.html_text(source).split() == ["un", "deux", "trois"]


def test_words_of_neighbouring_elements_are_not_glued() -> None:
    names = ("center", "section", "form", "fieldset", "dt", "dd", "summary", "option", "legend", "h1", "p", "li", "div")
    for name in names:
        words = body.html_text(f"<p>un</p><{name}>deux</{name}><{name}>trois</{name}>fin").split()
        assert [word for word in words if word != "*"] == ["un", "deux", "trois", "fin"]
    assert body.html_text("avant<hr>De : Studio").split("\n") == ["avant", "De : Studio"]


def test_link_alone_in_html_is_the_text() -> None:
    assert body.fuller("", ['<a href="https://we.tl/t-1">https://we.tl/t-1</a>']) != ""


def test_html_beyond_limit_only_loses_its_tags() -> None:
    text = body.html_text("<p>mot</p>" * 50_000 + "<p>tr&egrave;s <b>loin</b></p>")
    assert text.count("mot") == 50_000
    assert text.split()[-2:] == ["très", "loin"]


@pytest.mark.parametrize(
    "source", ["", " ", "<", "<!---->", "<html></html>", '<?xml version="1.0" encoding="utf-8"?><p>x</p>']
)
def test_odd_html_does_not_raise(source: str) -> None:
    assert body.html_text(source) in {"", "x", "<"}


def test_deeply_nested_html_keeps_all_text() -> None:
    """The parser leaves out what follows the 256th open tag, and unclosed ones add up."""
    text = body.html_text("avant" + "<div>" * 300 + "dedans" + "</div>" * 300 + "<p>après</p>")
    assert text.split() == ["avant", "dedans", "après"]


def test_enriched_text_is_read_as_plain_text() -> None:
    assert body.enriched(b"<bold>Bonjour</bold> <color><param>red</param>x</color>", {}) == "Bonjour redx"


STUBS = {"": True, " \n": True, "--": True, "This mail is in HTML.": True, "Bonjour": False, "html " + "x" * 300: False}


@pytest.mark.parametrize(("text", "stub"), STUBS.items())
def test_stub_text_is_recognised(text: str, stub: bool) -> None:
    assert body.is_stub(text) is stub


HTML = "<p>Bonjour,</p><p>Pouvez-vous modéliser notre chaise ? Il faudrait trois finitions pour la fin du mois.</p>"
PLAIN = "Bonjour, pouvez-vous modéliser notre chaise ?"
SHOWN = "Bonjour,\n\nPouvez-vous modéliser"
LINK = f"<p>Oui.</p><a href='https://e.fr/{'a-' * 50}'>Ana</a>"
ALTERNATIVES = {
    "a client that cannot": ("Your mail client does not support it.", HTML * 3, SHOWN),
    "a format": ("Ce message est au format MIME.", HTML * 3, SHOWN),
    "a browser": ("View in browser: https://e.fr/a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p", HTML * 3, SHOWN),
    "HTML, and little of it": ("This mail is in HTML.", "<p>Oui.</p>", "Oui."),
    "no word": ("-" * 400, "<p>Oui.</p>", "Oui."),
    "the same": (PLAIN, HTML, PLAIN),
    "a word, and a long link": ("Oui.\nAna", LINK, "Oui.\nAna"),
    "a text": (f"{PLAIN} " * 10, HTML * 100, f"{PLAIN} " * 10),
    "HTML without a word": ("In HTML?", "<img src='cid:1'>", "In HTML?"),
}


@pytest.mark.parametrize(("text", "source", "expected"), ALTERNATIVES.values(), ids=ALTERNATIVES)
def test_html_is_read_when_plain_text_is_a_stub(text: str, source: str, expected: str) -> None:
    assert body.fuller(text, [source]).startswith(expected)


def test_html_beyond_shared_limit_keeps_its_words() -> None:
    assert body.fuller("", ["<p>un</p>"] * 2, limit=9).split() == ["un", "un"]
    assert body.fuller("", ["<p>un</p>", "<ul><li>deux</li></ul>"], limit=9).split() == ["un", "deux"]
    assert "* " in body.fuller("", ["<ul><li>deux</li></ul>"])


def test_plain_text_is_read_without_html() -> None:
    assert body.fuller("In HTML.", []) == "In HTML."


def test_control_characters_and_lone_surrogates_are_removed() -> None:
    assert body.clean("a\0b\x1b\x85c\udce9\ufeff\td\u2028e") == "abc\td\ne"


def test_excess_combining_marks_are_cut() -> None:
    text = body.clean("e" + "\u0301\u0323" * 50_000 + "té")
    assert text == "e" + "\u0301\u0323" * 15 + "té"


HOSTILE_HTML = ("<div>", "<a ", "<!--", "<table><tr><td>", "<p>x", "&amp;", "<ul><li>", "<b><i>")


@pytest.mark.parametrize("piece", HOSTILE_HTML)
def test_hostile_html_is_read_quickly(piece: str) -> None:
    one_pass(body.html_text, piece, few=2_000)


CITE = '<blockquote type="cite">'
QUOTES = {
    "Thunderbird": (
        f"<p>Oui.</p>{CITE}<p>Quel bois ?</p><p>Quelle taille ?</p></blockquote><p>Du noyer.</p>",
        "Oui.\n\n> Quel bois ?\n>\n> Quelle taille ?\n\nDu noyer.",
    ),
    "nested": (f"{CITE}un{CITE}deux</blockquote>trois</blockquote>quatre", "> un\n\n>> deux\n\n> trois\n\nquatre"),
    "Gmail": (
        '<div class="gmail_attr">Le 3 nov., X a écrit :</div><blockquote class="gmail_quote">V3</blockquote>Oui.',
        "Le 3 nov., X a écrit :\n\n> V3\n\nOui.",
    ),
    "Outlook on the web": (
        'Le 3 nov., X a écrit :<br><blockquote style="margin-left: 40px">V3</blockquote>Oui.',
        "Le 3 nov., X a écrit :\n\n> V3\n\nOui.",
    ),
    "a person's indent": (
        'Les cotes :<blockquote style="margin:0 0 0 40px">80 cm</blockquote>',
        "Les cotes :\n\n80 cm",
    ),
    "a person's indent below a number": (
        'Les 3 cotes de la table 90 cm :<blockquote style="margin:0 0 0 40px">80 cm</blockquote>',
        "Les 3 cotes de la table 90 cm :\n\n80 cm",
    ),
    "Word, below an address": (
        "Jean &lt;jean@example.com&gt; :<blockquote style='margin-top:5.0pt'>V3</blockquote>",
        "Jean <jean@example.com> :\n\n> V3",
    ),
    "not closed": (f"Oui.{CITE}V3", "Oui.\n\n> V3"),
    "closed twice": (f"{CITE}V3</blockquote></blockquote>Oui.", "> V3\n\nOui."),
    "in a table": (f"<table><tr><td>Oui.{CITE}V3</blockquote>Non.</td></tr></table>", "Oui.\n\n> V3\n\nNon."),
}


@pytest.mark.parametrize(("source", "text"), QUOTES.values(), ids=QUOTES)
def test_quotation_in_html_is_marked(source: str, text: str) -> None:
    given = [line.strip() for line in body.html_text(source).split("\n") if line.strip(" >")]
    assert given == [line for line in text.split("\n") if line.strip(" >")]


@pytest.mark.parametrize(
    "piece",
    [CITE, "</blockquote>", "<blockquote", f"{CITE}a</blockquote>", "\ufdd0", "1 : <blockquote>", f"<p>{'1' * 399}:"],
)
def test_quotations_are_rendered_in_one_pass(piece: str) -> None:
    one_pass(body.html_text, piece, 200_000)
