"""The stored files with their pictures and facts, where the teams read them."""

from __future__ import annotations

from dataclasses import replace

from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from poller.model import ModelFacts, ModelIssue, NoPicture, Preview, StoredFile
from poller.rendering import stored_files
from poller.rendering.tickets import note_html, reply_comment, reply_note_html, subtask_markdown, ticket_content
from tests.rendering.test_tickets import DONE, EVIL, FILES, REQUEST, SURE
from tests.support import rendered_texts as outputs

FACTS = ModelFacts(
    15_000,
    size=(0.812, 0.45, 0.43),
    unit="m",
    materials=2,
    program="Blender 4.2",
    issues=(ModelIssue.MISSING_FILES,),
    missing=("model.bin",),
)
SHOWN = replace(
    DONE,
    previews=(
        Preview(0, url=f"{FILES}/photo.jpg"),
        Preview(1, facts=FACTS, url=f"{FILES}/model.glb.apercu.png"),
    ),
    all_files=StoredFile("tout.zip", f"{FILES}/tout.zip", 49_200_000),
)
HOSTILE = replace(
    DONE,
    previews=(
        Preview(0, EVIL, replace(FACTS, program=EVIL, unit=EVIL, missing=(EVIL,) * 9), f"{FILES}/0.apercu.png"),
        Preview(1, "", FACTS, "http://evil.example/p.png", NoPicture.FAILED),
    ),
    all_files=StoredFile(EVIL, "javascript:alert(1)", 1),
)
LINE = "15 000 triangles · 812 × 450 × 430 mm · 2 matériaux · Blender 4.2"
MISSING = "Il manque « model.bin », à demander au client."


def plain(words: str) -> str:
    return words.replace("\xa0", " ").replace("\u202f", " ")


def test_subtask_shows_each_file_after_the_agreed_text() -> None:
    """Doubt, customer, all files, and then each file: picture with its link, name, size and facts."""
    unsure = replace(SHOWN, classification=replace(SURE, needs_review=True, reason="Deux demandes en une."))
    agreed, _, details = plain(subtask_markdown(REQUEST, unsure)).partition("model.glb)\n\n")
    assert agreed.endswith(f"## Fichiers joints\n- [photo.jpg]({FILES}/photo.jpg)\n- [model.glb]({FILES}/")
    assert (
        details
        == rf"""À vérifier : classement incertain. Deux demandes en une.

Nom du client : Jeanne Petit

[Tout télécharger (49 Mo)]({FILES}/tout.zip)

[![Aperçu de photo.jpg]({FILES}/photo.jpg)]({FILES}/photo.jpg){"  "}
photo\.jpg (1,2 Mo)

[![Aperçu de model.glb]({FILES}/model.glb.apercu.png)]({FILES}/model.glb){"  "}
model\.glb (48 Mo) · 15 000 triangles · 812 × 450 × 430 mm · 2 matériaux · Blender 4.2

- Il manque « model\.bin », à demander au client.

[ref: 0123456789abcdef]"""
    )


def test_subtask_pictures_are_linked_for_a_reader_of_commonmark() -> None:
    """The lines of the head stand apart, too."""
    made = MarkdownIt("commonmark").render(subtask_markdown(REQUEST, SHOWN))
    assert f'<a href="{FILES}/model.glb"><img src="{FILES}/model.glb.apercu.png" alt="Aperçu de model.glb" />' in made
    assert made.count("<img ") == 2
    assert "user@example.com<br />\n<strong>Objet</strong>: Titre de la demande<br />\n<strong>Ticket" in made


def test_note_shows_linked_pictures_of_one_width() -> None:
    """Facts and warnings stand with each file, and all files are one more link."""
    made = plain(note_html(REQUEST, SHOWN))
    assert f"<br>{LINE}<br><strong>{MISSING}</strong><br>" in made
    assert (
        f'<a href="{FILES}/model.glb"><img src="{FILES}/model.glb.apercu.png" '
        'alt="Aperçu de model.glb" width="320"></a>'
    ) in made
    assert f'<p><strong><a href="{FILES}/tout.zip">Tout télécharger (49 Mo)</a></strong></p>' in made
    assert made.count("<img ") == plain(reply_note_html(REQUEST, SHOWN)).count("<img ") == 2


def test_comment_and_ticket_link_to_all_files() -> None:
    """In plain text: facts below the file in the comment, and no picture."""
    comment, ticket = (plain(write(REQUEST, SHOWN)) for write in (reply_comment, ticket_content))
    for text in (comment, ticket):
        assert f"\nFichiers :\n- Tout télécharger (49 Mo) : {FILES}/tout.zip\n- photo" in text.replace("\u200a", "")
    assert f"{FILES}/model.glb\n  {LINE}\n  " in comment
    assert ".apercu.png" not in comment + ticket


def test_hostile_names_make_no_markup() -> None:
    """The program, the unit and the names of files are text; what is not https is no picture."""
    allowed = {file.url for file in DONE.files} | {DONE.ticket.url}  # type: ignore[union-attr]
    subtask = subtask_markdown(REQUEST, HOSTILE)
    outputs.check_subtask(subtask, allowed | {"mailto:user@example.com"})
    assert "evil.example/p.png" not in subtask
    for note in (note_html(REQUEST, HOSTILE), reply_note_html(REQUEST, HOSTILE)):
        outputs.check_note(note, allowed)
        assert outputs.Page(note).pictures == {f"{FILES}/0.apercu.png"}
        assert "evil.example/p.png" not in note
    comment = reply_comment(REQUEST, HOSTILE)
    assert {match.url for match in LinkifyIt().match(comment) or ()} <= allowed
    assert comment.count("[ref: ") == 1


def test_many_previews_stay_within_the_bounds() -> None:
    """A note has 60,000 characters, and a subtask 40,000 of the text beside its files."""
    many = replace(HOSTILE, previews=HOSTILE.previews * 3_000)
    files = tuple(StoredFile(f"{n}.jpg", f"{FILES}/{n}.jpg", 1) for n in range(3_000))
    assert SHOWN.all_files
    for write in (ticket_content, note_html, subtask_markdown, reply_comment):
        assert SHOWN.all_files.url in write(REQUEST, replace(SHOWN, files=files)), "it is the link that counts then"
    request = replace(REQUEST, text="<&" * 100_000, newest="<&" * 100_000)
    assert len(note_html(request, many)) <= 60_000
    assert len(reply_note_html(request, many)) <= 60_000
    assert len(ticket_content(request, many)) <= 60_000
    assert len(subtask_markdown(request, many)) <= 40_000 + 42_000
    assert len(reply_comment(request, many)) <= 20_000
    assert subtask_markdown(request, many).endswith("[ref: 0123456789abcdef]")
    assert all(f'<a href="{file.url}">' in note_html(request, many) for file in many.files)


def test_all_files_without_size_has_none() -> None:
    assert stored_files.all_files_label(StoredFile("tout.zip", f"{FILES}/tout.zip", 0)) == "Tout télécharger"
