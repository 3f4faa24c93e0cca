"""Escape content where it is written: its reader sees every word, and no machine obeys one."""

import re
import unicodedata
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from poller.escaping import (
    content_disposition,
    file_name,
    file_path,
    header_text,
    html,
    html_image,
    html_link,
    http_url,
    https_url,
    key_name,
    markdown,
    markdown_address,
    markdown_image,
    markdown_link,
    one_line,
    plain_text,
    reply_address,
    unlinked,
)
from tests.support.effort import one_pass

EVIL = [
    "Bcc: x@evil.example\r\nBcc: y@evil.example\n\nbody",
    "=?utf-8?q?a=0D=0ABcc:_z@evil.example?=",
    "=?utf-8?b?YQ0KQmNjOiB6QGV2aWwuZXhhbXBsZQ==?= =?=?=",
    "one\u2028two\u2029three\x85four\vfive\fsix\x1cseven",
    "nul\x00 bell\x07 escape\x1b[31m delete\x7f",
    "invoice\u202efdp.exe and \u2066isolated\u2069 and \u200bhidden\ufeff",
    "lone surrogate \udc80 and \ud83d",
    "<script>alert(1)</script><img src=x onerror=alert(1)><!-- c --><![CDATA[x]]><?php x?>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "[@Nadia](#user_mention#123) @nadia [x](javascript:alert(1)) [x]: http://evil.example 'title'\n\n[x]",
    "![beacon](https://evil.example/p.gif) <https://evil.example> <x@evil.example>",
    "http://evil.example/a?b=c https://evil.example www.evil.example ftp://evil.example //evil.example evil.example",
    "www.1evil.example mailto:x@evil.example x@evil.example xmpp:x@evil.example évil.fr evil.com evil1.com 3d.fr/x",
    "`code` ``code`` \n```\nfence\n```\n~~~\nfence\n~~~\n~~gone~~ *a* **b** _c_ __d__ ***e***",
    "# title\n## title\n####### seven\nTitle\n===\nTitle\n---\n***\n- - -\n___\n",
    "- item\n+ item\n* item\n1. item\n2) item\n- [ ] task\n  - deeper\n> quoted\n>> twice\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\na\n:-\nb\n\na | b\n:-: | -\n1 | 2",
    "    indented code\n\tindented code\n\xa0\xa0- item",
    "&lt;script&gt; &#60;b&#62; &#x3c;i&#x3e; &copy; &amp;amp; AT&T",
    "\\[escaped\\](http://evil.example) \\\\` \\\\[x](y) ends with \\\nand on",
    "two spaces  \nat a line's end\\\nand a backslash",
    "[ref: 0123456789abcdef]",
    "",
]
MEGABYTE = "<b>*x* [y](http://evil.example) \u202e</b>\r\n" * 25_000
MARKUP_SIGNS = st.text(st.sampled_from(list("\\`*_~[]()<>|#@!&:/.-+= \t\n\r;1aé\xa0\u2028\x00")), max_size=60)
GFM = MarkdownIt("gfm-like")  # CommonMark, tables, strike-through, HTML, and a link finder that guesses


class _Elements(HTMLParser):
    """Collect the tags and the text of an HTML fragment."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag != "br" or not attrs

    def handle_data(self, data: str) -> None:
        self.words += data

    def unknown_decl(self, data: str) -> None:
        pytest.fail(data)

    handle_comment = handle_decl = handle_pi = unknown_decl


def shown(source: str) -> list[str]:
    """Return the lines a reader of the Markdown sees, and fail on any token that is not a paragraph of text."""
    lines = []
    for token in GFM.parse(source):
        assert token.type in {"paragraph_open", "inline", "paragraph_close"}, token
        words = ""
        for child in token.children or ():
            assert child.type in {"text", "softbreak", "hardbreak"}, child
            assert child.type != "softbreak", "a line end that a strict reader would not show"
            words += child.content if child.type == "text" else "\n"
        lines += words.split("\n")
    return [line.strip() for line in lines if line.strip()]


def written(text: str) -> list[str]:
    return [line.strip() for line in plain_text(text).split("\n") if line.strip()]


def links(text: str) -> list[str]:
    """Return the links, images and tags that a link finder and a Markdown reader find."""
    found = [match.url for match in LinkifyIt().match(text) or ()]
    for token in GFM.parse(text):
        found += [child.type for child in token.children or () if child.type in {"link_open", "image", "html_inline"}]
    return found


@pytest.mark.parametrize("text", [*EVIL, "```\ncode", "https://127.0.0.1/x ![x](//evil.com/p.gif) <https://evil.com>"])
def test_unlinked_text_has_no_link_or_mention(text: str) -> None:
    """Every word is there for a reader of plain text, and no link finder joins two of them."""
    shown_text = unlinked(text)
    assert links(shown_text) == []
    assert "```" not in shown_text
    assert "[ref:" not in shown_text
    assert "](#user_mention" not in shown_text
    assert shown_text.replace("\u200a", "") == plain_text(text)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(MARKUP_SIGNS)
def test_unlinked_text_of_random_signs_has_no_link(text: str) -> None:
    """The same of any mixture of the signs that links are made of."""
    assert links(unlinked(text)) == []


def test_unlinked_keeps_ordinary_sentences() -> None:
    text = "Bonjour ! Il nous faut (vite) 3 vues à 45.5°, réf. A/B-12 : 20 % de plus ; d'accord ? [voir plan] 1/2."
    assert unlinked(text) == text


@pytest.mark.parametrize("text", [*EVIL, MEGABYTE[:50_000]])
def test_markdown_shows_all_words_and_no_markup(text: str) -> None:
    """No link, image, mention, HTML, heading, list, table or emphasis comes of a mail, and not one word is lost."""
    assert shown(markdown(text)) == written(text)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(MARKUP_SIGNS)
def test_markdown_of_random_signs_is_plain_text(text: str) -> None:
    """The same of any mixture of the signs that markup is made of."""
    assert shown(markdown(text)) == written(text)


def test_markdown_keeps_ordinary_sentences() -> None:
    """Only what could form markup gets a backslash, so a person reads the source too."""
    text = "Bonjour ! Il nous faut (vite) 3 vues à 45.5°, réf. A/B-12 : 20 % de plus ; d'accord ?"
    assert markdown(text) == text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        (":-", r"\:-"),
        ("a_b", r"a\_b"),
        ("www. a", r"www\. a"),
        ("a\nb\n\nc", "a  \nb\n\nc"),
        ("  a", "\xa0\xa0a"),
        ("http://a.b", r"http\:\//a\.b"),
        ("[@N](#user_mention#123)", r"\[\@N\]\(\#user\_mention\#123)"),
    ],
)
def test_markdown_escapes_only_markup(text: str, source: str) -> None:
    assert markdown(text) == source


@pytest.mark.parametrize("text", [*EVIL, MEGABYTE])
def test_html_shows_all_words_and_no_markup(text: str) -> None:
    """The only tag that comes of a mail is `<br>`, and the text is what was written."""
    elements = _Elements(html(text))
    assert set(elements.tags) <= {"br"}
    assert elements.words.replace("\n", "") == plain_text(text).replace("\n", "")


@pytest.mark.parametrize("text", [*EVIL, MEGABYTE])
def test_one_line_has_no_line_break_or_control(text: str) -> None:
    """No reader, and not Python, finds a second line, a control or a bidi character; the length is bounded."""
    line = one_line(text, 80)
    assert len(line) <= 80
    assert line.splitlines() in ([], [line])
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in line)
    assert not re.search("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", line)


@pytest.mark.parametrize("text", [*EVIL, MEGABYTE, "é" * 81, "a " * 60])
@pytest.mark.parametrize("escape", [plain_text, one_line, header_text, file_name, key_name])
def test_text_cleaning_is_idempotent(escape, text: str) -> None:  # noqa: ANN001 - five functions of one shape
    assert escape(escape(text)) == escape(text)


@pytest.mark.parametrize("run", ["\u0301\u0323", "\u0f73", "\u0f71\u0f72", "\u0344", "\U0001d163"])
def test_long_run_of_marks_is_cut_quickly(run: str) -> None:
    """Of a letter under a hundred thousand marks thirty are left; to put all of them in order would take minutes."""
    one_pass(lambda marks: plain_text(f"e{marks}f"), run, 200_000)
    text = plain_text("e" + run * 50_000 + "f")
    assert text[0] in "eéëẹ"
    assert text[-1] == "f"
    assert plain_text(text) == text
    assert max(map(len, re.findall("[\u0300-\u036f\u0f71-\u0f81]+", text)), default=0) <= 30


def test_marks_of_real_languages_are_kept() -> None:
    """Vietnamese, Hebrew with its vowels and accents, Tibetan: none has thirty in a row."""
    text = "Ngữ ngọc ễ, בְּרֵאשִׁ֖ית, བསྒྲུབས་ཀྱིས།" + "模型" * 40
    assert plain_text(text) == unicodedata.normalize("NFC", text)


def test_one_line_marks_truncation() -> None:
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"


def test_joiners_of_emoji_and_persian_are_kept() -> None:
    """The joiners are letters' business, not tricks."""
    assert one_line("👨‍👩‍👧 می‌خواهم") == "👨‍👩‍👧 می‌خواهم"


@pytest.mark.parametrize("text", [*EVIL, MEGABYTE, "x" * 500, "é" * 500])
def test_header_text_cannot_add_a_header_field(text: str) -> None:
    """The sent message parses to that one field, with that very value, in ASCII."""
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = header_text(text)
    message.set_content("body")
    sent = bytes(message)
    received = message_from_bytes(sent, policy=policy.default)
    assert sent.isascii()
    assert received.keys() == ["Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
    assert received["Subject"].strip() == header_text(text)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("jean.dupont+3d@exemple-fr.example", "jean.dupont+3d@exemple-fr.example"),
        ("jean_paul@exemple.example", r"jean\_paul\@exemple\.example"),
        ('"[@N](#user_mention#1)"@evil.example', r'"\[\@N\]\(\#user\_mention\#1)"\@evil\.example'),
        ("anne.roy@exemple.example", "anne.roy@exemple.example"),
        ("evil.fr@x.example", r"evil\.fr\@x\.example"),
        ("evil.COM@x.example", r"evil\.COM\@x\.example"),
        ("a.museum@x.example", r"a\.museum\@x\.example"),
        ("www.evil.example@x.example", r"www\.evil\.example\@x\.example"),
        ("", ""),
    ],
)
def test_ordinary_address_is_unchanged(address: str, source: str) -> None:
    assert markdown_address(address) == source


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://files.example/a%20b/ph%C3%A9.jpg?x=1&y=2", "https://files.example/a%20b/ph%C3%A9.jpg?x=1&y=2"),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a"),
        ("https://files.example/a)b(c]d\"e<f>g'h i\\", "https://files.example/a%29b%28c%5Dd%22e%3Cf%3Eg%27h%20i%5C"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//evil.example/x", ""),
        ("https:evil", ""),
        ("http://[x", ""),
        ("", ""),
    ],
)
def test_http_url_accepts_only_web_urls(url: str, safe: str) -> None:
    assert http_url(url) == safe


@pytest.mark.parametrize("text", [text for text in EVIL if one_line(text)])
def test_link_has_exactly_the_given_target(text: str) -> None:
    """A file's name cannot end its link, nest another, or turn it into an image."""
    url = "https://files.example/a(b)"
    (inline,) = [token for token in GFM.parse("- " + markdown_link(text, url)) if token.type == "inline"]
    children = inline.children or []
    assert [child.type for child in children] == ["link_open", "text", "link_close"]
    assert children[0].attrs["href"] == "https://files.example/a%28b%29"
    assert children[1].content == one_line(text)

    elements = _Elements(html_link(text, url))
    assert elements.tags == ["a"]
    assert elements.words == one_line(text)


def test_link_to_non_web_url_is_not_made() -> None:
    assert markdown_link("a.jpg", "javascript:alert(1)") == r"a\.jpg"
    assert html_link("a&b", "javascript:alert(1)") == "a&amp;b"


@pytest.mark.parametrize(
    ("name", "saved", "key", "ascii_name"),
    [
        ("photo.jpg", "photo.jpg", "photo.jpg", "photo.jpg"),
        ("Modèle été (1).GLB", "Modèle été (1).GLB", "Modele-ete-1.GLB", "Modele-ete-1.GLB"),
        ("模型.glb", "模型.glb", "piece-jointe.glb", "piece-jointe.glb"),
        ("../../etc/passwd", "passwd", "passwd", "passwd"),
        ("C:\\Users\\x\\a.obj", "a.obj", "a.obj", "a.obj"),
        ("/home/x/a.obj", "a.obj", "a.obj", "a.obj"),
        ("\\\\nas\\x\\a.obj", "a.obj", "a.obj", "a.obj"),
        ("table <b>1</b>.glb", "table _b_1__b_.glb", "table-_b_1__b_.glb", "table-_b_1__b_.glb"),
        ("plan 12/2026.pdf", "plan 12_2026.pdf", "plan-12_2026.pdf", "plan-12_2026.pdf"),
        ("a/../../etc\\passwd", "a_.._.._etc_passwd", "a_-_-_etc_passwd", "a_-_-_etc_passwd"),
        (
            "..%2F..%2Fetc%2Fpasswd%00%0D%0A",
            "_2F.._2Fetc_2Fpasswd_00_0D_0A",
            "_2F-_2Fetc_2Fpasswd_00_0D_0A",
            "_2F-_2Fetc_2Fpasswd_00_0D_0A",
        ),
        ("invoice\u202efdp.exe", "invoicefdp.exe", "invoicefdp.exe", "invoicefdp.exe"),
        ('a"b;c\r\nX: y.png', "a_b_c X_ y.png", "a_b_c-X_-y.png", "a_b_c-X_-y.png"),
        ("...", "piece-jointe", "piece-jointe", "piece-jointe"),
        ("", "piece-jointe", "piece-jointe", "piece-jointe"),
        (".htaccess", "htaccess", "htaccess", "htaccess"),
    ],
)
def test_file_name_is_made_safe_for_disk_key_and_header(name: str, saved: str, key: str, ascii_name: str) -> None:
    """One hostile name, and what it becomes on a disk, in a key and in a header."""
    assert file_name(name) == saved
    assert key_name(name) == key
    header = content_disposition(name)
    assert header.startswith(f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''")


@pytest.mark.parametrize("name", [*EVIL, MEGABYTE, "x" * 400 + ".glb", "é" * 400 + ".step", "." * 400, "a." * 200])
def test_file_name_length_is_bounded_everywhere(name: str) -> None:
    """150 characters on a disk, 80 in a key, one line of ASCII in a header; and the header says the same name."""
    saved = file_name(name)
    assert 0 < len(saved) <= 150
    assert not re.search(r'[/\\<>:"|?*;%\r\n]', saved)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", key_name(name))
    assert content_disposition(name).isascii()

    message = EmailMessage()
    message["Content-Disposition"] = f"attachment; {content_disposition(name).rpartition('; ')[2]}"
    assert message.get_filename() == saved


def test_long_file_name_keeps_suffix() -> None:
    assert file_name("x" * 400 + ".glb").endswith("x.glb")
    assert key_name("é" * 400 + ".step").endswith("e.step")


@pytest.mark.parametrize(
    ("path", "saved"),
    [
        ("textures/bois clair.png", "textures/bois clair.png"),
        (".\\t\\a:b.png", "t/a_b.png"),
        ("m/../t/a.png", "t/a.png"),
        ("a.png", "a.png"),
        *((path, "") for path in ("../a.png", "t/../../a.png", "/etc/passwd", "C:\\t\\a.png", "\\\\nas\\a.png")),
        *(
            (path, "")
            for path in ("file:///a.png", ".ssh/keys", "a%2Fb/c.png", "t /a.png", "t\n/a.png", "t/" * 75 + "a")
        ),
    ],
)
def test_file_path_stays_below_its_directory(path: str, saved: str) -> None:
    assert file_path(path) == saved


@pytest.mark.parametrize("alt", EVIL)
def test_picture_of_markdown_is_one_linked_image(alt: str) -> None:
    """Its alt text makes nothing else, and neither does the URL."""
    source = markdown_image(alt, "https://files.example/a(1) b.png", "https://files.example/a]b")
    flat = [child for token in GFM.parse(source) for child in (token, *(token.children or ()))]
    (image,) = (token for token in flat if token.type == "image")
    assert image.attrs["src"] == "https://files.example/a%281%29%20b.png"
    assert [token.attrs["href"] for token in flat if token.type == "link_open"] == ["https://files.example/a%5Db"]
    assert {token.type for token in flat} <= {
        *("paragraph_open", "paragraph_close", "inline", "text"),
        *("link_open", "link_close", "image"),
    }


@pytest.mark.parametrize("alt", EVIL)
def test_picture_of_html_is_one_linked_image(alt: str) -> None:
    made = _Elements(html_image(alt, 'https://files.example/"a".png', "https://files.example/b", 320))
    assert made.tags == ["a", "img"]
    assert made.words == ""


@pytest.mark.parametrize(
    "url",
    ["http://files.example/a.png", "//files.example/a.png", "javascript:alert(1)", "data:image/png,a", "", "https:"],
)
def test_picture_that_is_not_https_is_nothing(url: str) -> None:
    assert https_url(url) == html_image("a", url, "https://x.example", 1) == markdown_image("a", url, "") == ""


def test_picture_without_target_is_not_linked() -> None:
    url = "https://files.example/a.png"
    assert html_image("a", url, "", 320) == f'<img src="{url}" alt="a" width="320">'
    assert markdown_image("a", url, "javascript:1") == f"![a]({url})"


@pytest.mark.parametrize("address", [*EVIL, "a b@x.example", "a@x", "a@@x.example", ".a@x.example", "a@x.example\n"])
def test_address_that_needs_quotes_is_no_reply_address(address: str) -> None:
    assert reply_address(address) == ""
    assert reply_address("o'neil+a.b@sub.x.example") == "o'neil+a.b@sub.x.example"
