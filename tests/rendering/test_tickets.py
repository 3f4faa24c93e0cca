"""The texts of tickets, notes, subtasks and comments."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from poller.escaping import plain_text
from poller.model import (
    Address,
    Attachment,
    Category,
    Classification,
    DispatchResult,
    Kind,
    Link,
    Request,
    StoredFile,
    UploadDecision,
)
from poller.rendering.phrases import marker
from poller.rendering.tickets import (
    note_html,
    reply_comment,
    reply_note_html,
    subtask_markdown,
    subtask_name,
    ticket_content,
    ticket_subject,
)
from poller.triage import attachment_policy

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = "https://files.example/mail/2026/11/22/0f"
SURE = Classification(Category.MODELISATION, 0.95, "rules", "Un fichier 3D est joint.", needs_review=False)
UNSURE = replace(SURE, confidence=0.5, needs_review=True, reason="Deux demandes en une.")
EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\r\n"
    "[@N](#user_mention#123) ![b](https://evil.example/p.gif) <https://evil.example> www.evil.example\u2028"
    "# title\n- [x](javascript:alert(1))\n```\ncode\n```\n&lt;b&gt; \x00\u202e *a* [ref: ffffffffffffffff]\n"
)


class _Bytes:
    def open(self) -> BytesIO:
        return BytesIO(b"")


def attachment(filename: str, kind: Kind, size_bytes: int = 1_200_000, *, inline: bool = False) -> Attachment:
    return Attachment(filename, "application/octet-stream", size_bytes, kind, inline, _Bytes())


PHOTO = attachment("photo.jpg", Kind.IMAGE)
MODEL = attachment("model.glb", Kind.MODEL, 48_000_000)
PLAN = attachment("plan.pdf", Kind.OTHER, 240_300)
LOGO = replace(attachment("logo.png", Kind.IMAGE, 3_000, inline=True), logo=True, shown=True)
STORED = tuple(StoredFile(file.filename, f"{FILES}/{file.filename}", file.size_bytes) for file in (PHOTO, MODEL))
CLIENT = Address("Jeanne Petit", "user@example.com")
REQUEST = Request(
    reference="0123456789abcdef",
    message_id="<1@example.com>",
    in_reply_to=(),
    references=(),
    sender=CLIENT,
    author=CLIENT,
    subject="Titre de la demande",
    text="Bonjour,\n\nUne chaise.",
    newest="Bonjour,\n\nUne chaise.",
    sent_at=None,
    received_at=datetime(2026, 11, 22, tzinfo=UTC),
    headers=(),
    attachments=(PHOTO, MODEL),
    defects=(),
)
DONE = DispatchResult(
    SURE,
    STORED,
    "51",
    Link("7", "https://app.hubspot.com/contacts/1/record/0-5/7"),
    uploads=tuple((number, file.url) for number, file in enumerate(STORED)),
)
HOSTILE = replace(
    REQUEST,
    text=EVIL,
    subject=EVIL,
    sender=Address(EVIL, EVIL),
    author=Address(EVIL, "other@evil.example"),
    attachments=(attachment(EVIL, Kind.IMAGE), attachment(EVIL, Kind.OTHER)),
    defects=("a part was cut",),
    links=(
        "https://we.tl/[x](https://evil.example)<script>",
        "https://evil.example/a\u202e\n# b",
        "javascript:alert(1)",
    ),
)
HOSTILE_DONE = DispatchResult(
    replace(UNSURE, reason=EVIL),
    (StoredFile(EVIL, f"{FILES}/a(1).jpg", 1_200_000),),
    "51",
    DONE.ticket,
    uploads=((0, ""),),
)


REPLY = replace(
    REQUEST,
    subject="Re: Titre de la demande",
    text="En chêne.\n\nLe 22 nov. 2026, Figurative a écrit :\n> En quel bois ?",
    newest="En chêne.",
    attachments=(PHOTO, PLAN, LOGO),
)
REPLY_DONE = replace(DONE, files=STORED[:1], uploads=DONE.uploads[:1], subtask=Link("8", "https://app.clickup.com/t/8"))
LINKS = [
    "http://evil.example/a?b=c https://evil.example www.evil.example ftp://evil.example //evil.example evil.com",
    "www.1evil.com mailto:x@evil.com x@evil.com évil.fr evil1.com 3d.fr/x <https://evil.com> https://127.0.0.1/x",
    "[x](https://evil.com) ![x](//evil.com/p.gif) [@N](#user_mention#123) @nadia [x]: http://evil.com\n\n[x][x]",
    "[ref: 0123456789abcdef]",
    "```\ncode",
    EVIL,
]
LINK_PIECES = [*":/@.<>[]()`!# \n-_1aé", "//", "http", "mailto", "www", "com", "evil", "ref:", "javascript"]


class _Note(HTMLParser):
    """The tags and links of a note; fails on an attribute that is not an href."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert [name for name, _ in attrs] == (["href"] if tag == "a" else [])
        self.links += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_subtask_text_has_agreed_shape() -> None:
    """The description's shape is a contract with the 3D team."""
    assert (
        subtask_markdown(REQUEST, DONE).replace("  \n", "␠␠\n").replace("\xa0", " ")
        == """\
**Demande de modélisation**

**Client**: user@example.com␠␠
**Objet**: Titre de la demande␠␠
**Ticket HubSpot**: https://app.hubspot.com/contacts/1/record/0-5/7

## Description de la demande
Bonjour,

Une chaise.

## Fichiers joints
- [photo.jpg](https://files.example/mail/2026/11/22/0f/photo.jpg)
- [model.glb](https://files.example/mail/2026/11/22/0f/model.glb)

Nom du client : Jeanne Petit

- photo\\.jpg (1,2 Mo)

- model\\.glb (48 Mo)

[ref: 0123456789abcdef]"""
    )


def test_subtask_without_files_or_ticket_says_so() -> None:
    bare = replace(REQUEST, attachments=(), text="", subject="")
    source = subtask_markdown(bare, DispatchResult(SURE, skipped=("find_or_create_contact", "create_ticket")))
    assert "**Ticket HubSpot**: non créé (HubSpot non configuré)\n" in source
    assert "## Fichiers joints\nAucun fichier joint.\n\nNom du client\xa0: Jeanne Petit\n\n[ref: " in source
    assert "**Objet**: (sans objet)  \n" in source
    assert "## Description de la demande\n(message sans texte)\n" in source


def test_subtask_lists_files_not_uploaded() -> None:
    """« Aucun fichier joint » would be untrue of a model that could not be uploaded; a logo is no matter."""
    request = replace(REQUEST, attachments=(MODEL, LOGO, replace(PHOTO, inline=True)))
    decided = (UploadDecision.FILE, UploadDecision.LOGO, UploadDecision.INLINE)
    source = subtask_markdown(request, DispatchResult(SURE, skipped=("upload_files",), upload_decisions=decided))
    assert "Aucun fichier joint" not in source
    assert (
        "Resté dans le message\xa0:\n\n- model\\.glb (48\xa0Mo), R2 non configuré\n"
        "- photo\\.jpg (1,2\xa0Mo), image intégrée au texte\n\nNom du client"
    ) in source
    assert "logo" not in source


def test_hostile_subtask_has_only_own_markup() -> None:
    """Of the whole description the parser finds our bold labels, two headings and the links to our files."""
    tokens = MarkdownIt("gfm-like").parse(subtask_markdown(HOSTILE, HOSTILE_DONE))
    flat = [child for token in tokens for child in [token, *(token.children or ())]]
    assert [token.type for token in flat].count("heading_open") == 2
    assert [token.type for token in flat].count("strong_open") == 4
    assert {token.type for token in flat} <= {
        f"{name}_{end}"
        for name in ("heading", "paragraph", "bullet_list", "list_item", "strong", "link")
        for end in ("open", "close")
    } | {"inline", "text", "softbreak", "hardbreak"}
    assert [token.attrs["href"] for token in flat if token.type == "link_open"] == [
        "https://app.hubspot.com/contacts/1/record/0-5/7",
        f"{FILES}/a%281%29.jpg",
    ]


@pytest.mark.parametrize("html_of", [note_html, reply_note_html])
def test_hostile_note_has_only_own_markup(html_of: Callable[[Request, DispatchResult], str]) -> None:
    """Simple tags, no attribute but href, and no link but to our files."""
    note = _Note(html_of(replace(HOSTILE, newest=EVIL), HOSTILE_DONE))
    assert set(note.tags) == {"p", "strong", "br", "ul", "li", "a"}
    assert note.links == [f"{FILES}/a%281%29.jpg"]
    assert "<script>alert(1)</script>" in note.words


def test_note_has_expected_html() -> None:
    assert (
        note_html(
            replace(REQUEST, attachments=(PHOTO, PLAN)), replace(DONE, files=STORED[:1], uploads=DONE.uploads[:1])
        )
        == """\
<p><strong>Demande de modélisation</strong> de Jeanne Petit &lt;user@example.com&gt;</p>
<p>Bonjour,<br>
<br>
Une chaise.</p>
<p><strong>Fichiers</strong></p>
<ul>
<li><a href="https://files.example/mail/2026/11/22/0f/photo.jpg">photo.jpg</a> (1,2\xa0Mo)</li>
</ul>
<p><strong>Resté dans le message</strong></p>
<ul>
<li>plan.pdf (240\xa0ko), type de fichier non déposé</li>
</ul>
<p>[ref: 0123456789abcdef]</p>"""
    )


def test_ticket_content_has_agreed_order() -> None:
    """Everything an agent needs, in the order it is needed."""
    request = replace(
        REQUEST,
        author=Address("", "forms@shop.example"),
        attachments=(PHOTO, PLAN, LOGO, MODEL),
        defects=("a part was cut",),
    )
    done = DispatchResult(UNSURE, STORED, "51", skipped=("create_subtask",), uploads=((0, ""), (3, "")))
    assert (
        ticket_content(request, done).replace("\xa0", " ")
        == """\
À vérifier : classement incertain. Deux demandes en une.

Demande : modélisation
Client : Jeanne Petit <user@example.com>
Expéditeur affiché : forms@shop.example (les réponses vont au client ci-dessus)

Bonjour,

Une chaise.

Fichiers :
- photo.jpg (1,2 Mo) : https://files.example/mail/2026/11/22/0f/photo.jpg
- model.glb (48 Mo) : https://files.example/mail/2026/11/22/0f/model.glb

Resté dans le message :
- plan.pdf (240 ko), type de fichier non déposé
- logo.png (3 ko), logo de signature

ClickUp non configuré : sous-tâche ClickUp.

Une partie du message n’a pas pu être lue : consultez l’original dans la boîte aux lettres.

[ref: 0123456789abcdef]"""
    )


def test_reply_note_has_only_new_text() -> None:
    """Of what was written for this mail only, and it says so."""
    assert (
        reply_note_html(REPLY, REPLY_DONE).replace("\xa0", " ")
        == """\
<p><strong>Réponse du client</strong> : Jeanne Petit &lt;user@example.com&gt;</p>
<p>En chêne.</p>
<p>(Sans l’historique ni la signature : le texte complet se trouve dans le message d’origine.)</p>
<p><strong>Fichiers</strong></p>
<ul>
<li><a href="https://files.example/mail/2026/11/22/0f/photo.jpg">photo.jpg</a> (1,2 Mo)</li>
</ul>
<p><strong>Resté dans le message</strong></p>
<ul>
<li>plan.pdf (240 ko), type de fichier non déposé</li>
<li>logo.png (3 ko), logo de signature</li>
</ul>
<p>[ref: 0123456789abcdef]</p>"""
    )


def test_reply_comment_is_plain_text_without_logo() -> None:
    """The same for the 3D team, in plain text, without the signature's logo."""
    text = reply_comment(REPLY, REPLY_DONE).replace("\xa0", " ")
    assert "\u200a" in text
    assert (
        text.replace("\u200a", "")
        == """\
Réponse du client user@example.com

En chêne.

(Sans l’historique ni la signature : le texte complet se trouve dans le message d’origine.)

Fichiers :
- photo.jpg (1,2 Mo) : https://files.example/mail/2026/11/22/0f/photo.jpg

Resté dans le message :
- plan.pdf (240 ko), type de fichier non déposé

[ref: 0123456789abcdef]"""
    )


def test_minimal_reply_gives_minimal_note_and_comment() -> None:
    bare = replace(REQUEST, text="En chêne.\n", newest="En chêne.", attachments=(), sender=Address("", ""))
    bare = replace(bare, author=bare.sender)
    done = DispatchResult(replace(SURE, category=Category.SUPPORT), ticket=DONE.ticket)
    assert reply_comment(bare, done) == "Réponse du client\n\nEn chêne.\n\n[ref: 0123456789abcdef]"
    assert reply_note_html(bare, done).replace("\xa0", " ") == (
        "<p><strong>Réponse du client</strong> : expéditeur inconnu</p>\n<p>En chêne.</p>\n"
        "<p>[ref: 0123456789abcdef]</p>"
    )


def test_reply_note_shows_from_address() -> None:
    """An answer's From may be another than the address that the ticket is about."""
    note = reply_note_html(replace(REPLY, author=Address("", "other@x.example")), REPLY_DONE)
    assert "<p>Expéditeur affiché\xa0: other@x.example</p>" in note


@pytest.mark.parametrize("text", LINKS)
def test_comment_makes_no_link_of_mail_text(text: str) -> None:
    """No link finder and no Markdown reader joins up what the mail holds; a person reads every word of it."""
    done = replace(REPLY_DONE, files=(StoredFile(text, f"{FILES}/a(1).jpg", 1), *STORED[1:]))
    reply = replace(
        REPLY, newest=text, sender=Address("", text), attachments=(PHOTO, attachment(text, Kind.OTHER), MODEL)
    )
    comment = reply_comment(reply, done)
    ours = [f"{FILES}/a%281%29.jpg", f"{FILES}/model.glb"]
    assert [match.url for match in LinkifyIt().match(comment) or ()] == ours
    tokens = [child for token in MarkdownIt("gfm-like").parse(comment) for child in token.children or ()]
    assert [token.attrs["href"] for token in tokens if token.type == "link_open"] == ours
    assert not [token for token in tokens if token.type == "image"]
    assert "`" * 3 not in comment
    assert comment.count(marker(REPLY.reference)) == 1
    assert plain_text(text).strip() in comment.replace("\u200a", "")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(LINK_PIECES), max_size=14).map("".join))
def test_comment_makes_no_link_of_random_signs(text: str) -> None:
    """The same of any mixture of what links are made of."""
    comment = reply_comment(replace(REPLY, newest=text), replace(REPLY_DONE, files=()))
    assert not LinkifyIt().match(comment)
    tokens = [child for token in MarkdownIt("gfm-like").parse(comment) for child in token.children or ()]
    assert not [token for token in tokens if token.type in {"link_open", "image", "html_inline"}]


def test_comment_keeps_ordinary_sentences() -> None:
    text = "Bonjour ! Il nous faut (vite) 3 vues à 45.5°, réf. A/B-12 : 20 % de plus ; d'accord ? [voir plan] 1/2."
    assert f"\n\n{text}\n\n" in reply_comment(replace(REPLY, newest=text), REPLY_DONE)


def test_plain_support_ticket_has_minimal_content() -> None:
    support = DispatchResult(replace(SURE, category=Category.SUPPORT))
    assert ticket_content(replace(REQUEST, attachments=(PLAN,)), support).replace("\xa0", " ") == (
        "Demande : support\nClient : Jeanne Petit <user@example.com>\n\nBonjour,\n\nUne chaise.\n\n"
        "Resté dans le message :\n- plan.pdf (240 ko)\n\n[ref: 0123456789abcdef]"
    )


@pytest.mark.parametrize("character", ["a", "<", "\n", "*", "é", "\u202e", "[x](http://evil.example) "])
@pytest.mark.parametrize("count", [3, 3000])
def test_huge_mail_texts_stay_within_bounds(character: str, count: int) -> None:
    """Text is abridged and says so, a link is whole or absent, and the marker always stands at the end."""
    stored = tuple(StoredFile(f"{n}.jpg", f"{FILES}/{n}.jpg", 1) for n in range(count))
    unstored = tuple(attachment(f"{n}.bin", Kind.OTHER) for n in range(count))
    text = "début " + character * 1_000_000
    links = tuple(f"https://we.tl/{n}" for n in range(count))
    request = replace(REQUEST, text=text, newest=text, attachments=unstored, links=links)
    done = replace(DONE, files=stored, uploads=())
    ticket, note, subtask = ticket_content(request, done), note_html(request, done), subtask_markdown(request, done)
    reply_note, comment = reply_note_html(request, done), reply_comment(request, done)
    assert len(ticket) <= 60_000
    assert len(note) <= 60_000
    assert len(subtask) <= 40_000 + 42_000
    assert len(reply_note) <= 60_000
    assert len(comment) <= 20_000
    for text in (ticket, note, subtask, reply_note, comment):
        assert "début" in text
        assert "(Texte abrégé" in text
        assert len(re.findall(r"https://files\.example/mail/2026/11/22/0f/\d+\.jpg", text)) == text.count(
            "https://files"
        )
        assert ("de plus" in text) == (count == 3000)
    assert ticket.endswith(marker(REQUEST.reference))
    assert note.endswith(f"<p>{marker(REQUEST.reference)}</p>")
    assert subtask.endswith(marker(REQUEST.reference))
    assert reply_note.endswith(f"<p>{marker(REQUEST.reference)}</p>")
    assert comment.endswith(marker(REQUEST.reference))


@pytest.mark.parametrize(
    ("name", "words"),
    [("Jeanne", "de Jeanne"), ("Inès", "d’Inès"), ("Élise", "d’Élise"), ("Hugues", "de Hugues"), ("李", "de 李")],
)
def test_note_elides_de_before_a_vowel(name: str, words: str) -> None:
    """As a French reader would. Before h and y both are in use, so « de » stays."""
    request = replace(REQUEST, sender=Address(name, "u@example.com"))
    assert f"<strong>Demande de modélisation</strong> {words} &lt;u@" in note_html(request, DONE)


@pytest.mark.parametrize(
    ("subject", "addr_spec", "ticket", "subtask"),
    [
        ("Une chaise", "a@b.example", "Une chaise", "Une chaise"),
        ("", "a@b.example", "(sans objet)", "Demande de modélisation de a@b.example"),
        ("\r\n\u202e", "", "(sans objet)", "Demande de modélisation"),
        ("a\r\nb", "", "a b", "a b"),
        ("x" * 300, "", "x" * 199 + "…", "x" * 119 + "…"),
    ],
)
def test_titles_are_one_line_bounded_and_not_empty(subject: str, addr_spec: str, ticket: str, subtask: str) -> None:
    """A title is one line, bounded and never empty."""
    request = replace(REQUEST, subject=subject, sender=Address("", addr_spec))
    assert ticket_subject(request) == ticket
    assert subtask_name(request) == subtask


LINKED = replace(REQUEST, attachments=(), links=("https://we.tl/t-a_b", "https://drive.google.com/x?y=1&z=2"))


def test_transfer_links_are_listed_as_plain_text() -> None:
    """In every text, as words: a stranger's link is never made clickable by us."""
    done = replace(DONE, files=(), uploads=())
    assert (
        "\n\nFichiers à récupérer à la main\xa0:\n- https://we.tl/t-a_b\n- https://drive.google.com/x?y=1&z=2\n\n[ref"
        in ticket_content(LINKED, done)
    )
    note = _Note(note_html(LINKED, done))
    assert note.links == []
    assert "https://drive.google.com/x?y=1&z=2" in note.words
    source = subtask_markdown(LINKED, done)
    tokens = [child for token in MarkdownIt("gfm-like").parse(source) for child in token.children or ()]
    assert {str(token.attrs["href"]).partition("/")[0] for token in tokens if token.type == "link_open"} == {
        "mailto:user@example.com",
        "https:",
    }
    assert source.count("https://") == 1
    words = "".join(token.content for token in tokens)
    assert "Fichiers à récupérer à la main" in words
    assert "https://we.tl/t-a_b" in words
    assert "Aucun fichier joint" not in source
    comment = reply_comment(LINKED, done)
    assert not LinkifyIt().match(comment)
    assert "https://we.tl/t-a_b" in comment.replace("\u200a", "")


@pytest.mark.parametrize(
    ("defects", "sentences"),
    [
        (("encrypted message",), ["Message chiffré"]),
        (("encrypted message", "a part was cut"), ["Message chiffré", "Une partie du message"]),
        (
            ("a part was cut", attachment_policy.oversize(62_000_000)),
            ["Message trop volumineux (62 Mo) : ses pièces jointes"],
        ),
        (
            ("encrypted message", attachment_policy.oversize(62_000_000)),
            ["Message chiffré", "Message trop volumineux (62 Mo)"],
        ),
    ],
)
def test_unreadable_content_is_stated_in_every_text(defects: tuple[str, ...], sentences: list[str]) -> None:
    """A person must open the mail itself, and is told why: in every text."""
    request = replace(REPLY, defects=defects)
    every = ("Message chiffré", "Message trop volumineux", "Une partie du message")
    for text_of in (ticket_content, note_html, reply_note_html, subtask_markdown, reply_comment):
        text = text_of(request, REPLY_DONE).replace("\xa0", " ")
        assert all(sentence in text for sentence in sentences)
        assert sum(sentence in text for sentence in every) == len(sentences)
