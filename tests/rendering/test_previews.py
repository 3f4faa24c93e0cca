"""The French words about a 3D file: its facts, what is wrong with it, and why there is no picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poller.model import ModelFacts, ModelIssue, NoPicture, Preview
from poller.rendering.previews import decimal, dimensions, facts_line, no_picture, portraits, urgent, warnings
from tests.rendering.test_tickets import DONE, FILES, REQUEST

CHAIR = ModelFacts(
    triangles=15_000,
    vertices=9_000,
    size=(0.812, 0.45, 0.43),
    unit="m",
    materials=2,
    textures=((2048, 2048),) * 3,
    animations=0,
    parts=1,
    program="Blender 4.2",
)
EVIL = "<b>a</b>\r\n![x](http://evil.example/p.gif)\u202e" + "x" * 500


def plain(words: str) -> str:
    """Return the words with plain spaces."""
    return words.replace("\xa0", " ").replace("\u202f", " ")


def test_facts_are_one_line_in_french() -> None:
    """Digits are grouped by narrow no-break spaces, and nothing breaks a number from its unit."""
    line = facts_line(CHAIR)
    assert plain(line) == "15 000 triangles · 812 × 450 × 430 mm · 2 matériaux · 3 textures (2048 × 2048) · Blender 4.2"
    assert "15\u202f000\xa0triangles" in line
    assert "812\xa0×\xa0450\xa0×\xa0430\xa0mm" in line


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (ModelFacts(), ""),
        (
            ModelFacts(triangles=1, materials=1, parts=3, animations=1),
            "1 triangle · 3 pièces · 1 matériau · 1 animation",
        ),
        (ModelFacts(triangles=0, vertices=1_234_567), "1 234 567 sommets"),
        (ModelFacts(textures=((4096, 2048), (512, 512))), "2 textures (jusqu’à 4096 × 2048)"),
        (ModelFacts(textures=((512, 512),) * 20), "au moins 20 textures (512 × 512)"),
        (ModelFacts(materials=0, animations=0, program="a\r\nb"), "a b"),
    ],
)
def test_facts_leave_out_what_is_unknown(facts: ModelFacts, line: str) -> None:
    assert plain(facts_line(facts)) == line


@pytest.mark.parametrize(
    ("size", "unit", "words"),
    [
        ((0.812, 0.45, 0.43), "m", "812 × 450 × 430 mm"),
        ((81.2, 45.0, 43.0), "cm", "812 × 450 × 430 mm"),
        ((1.0, 2.0, 8.4), "in", "25,4 × 50,8 × 213 mm"),
        ((1.0, 2.0, 8.4), "Meters", "1 000 × 2 000 × 8 400 mm"),
        ((25.31, 12.0, 8.4), "m", "25,3 × 12 × 8,4 m"),
        ((25_310.0, 12.0, 8.4), "m", "25,3 × 0,012 × 0,008 km"),
        ((0.0045, 0.002, 0.001), "m", "4,5 × 2 × 1 mm"),
        ((2400.0, 1800.0, 0.0), "mm", "2 400 × 1 800 mm"),
        ((3.0, 4.0, 5.0), "coudée", "3 × 4 × 5 coudée"),
        ((812.0, 450.0, 430.0), "", "812 × 450 × 430, sans doute des millimètres (unité non précisée)"),
        ((0.81, 0.45, 0.43), "", "0,81 × 0,45 × 0,43, sans doute des mètres (unité non précisée)"),
        ((2.0, 2.0, 2.0), "", "2 × 2 × 2, unité non précisée"),
        ((45.2, 12.0, 8.0), "", "45,2 × 12 × 8, unité non précisée"),
        ((0.0, 0.0, 0.0), "m", ""),
        ((float("nan"), 1.0, 1.0), "m", ""),
        ((float("inf"), 1.0, 1.0), "", ""),
        ((1e300, 1.0, 1.0), "", ""),
        ((-1.0, 1.0, 1.0), "m", ""),
    ],
)
def test_size_is_said_in_a_fitting_unit(size: tuple[float, float, float], unit: str, words: str) -> None:
    """Without a unit it is said so, with a guess where the numbers speak. A size that is none is left out."""
    assert plain(dimensions(ModelFacts(size=size, unit=unit))) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (0.0004, "0"), (0.052, "0,052"), (4.5, "4,5"), (45.26, "45,3"), (1250, "1 250")]
)
def test_number_has_three_digits_and_a_comma(number: float, words: str) -> None:
    assert plain(decimal(number)) == words


def test_each_issue_is_one_plain_sentence() -> None:
    """In French, with a capital letter and a full stop, and none like another."""
    said = warnings(replace(CHAIR, issues=tuple(ModelIssue), missing=("a.bin",)))
    assert len(set(said)) == len(ModelIssue)
    assert all(words[0].isupper() and words.endswith(".") and words.count(".") <= 2 for words in said)
    assert [plain(words) for words in said[:2]] == [
        "Le fichier ne s’ouvre pas, il est endommagé ou incomplet, ou son extension est fausse.",
        "Il manque « a.bin », à demander au client.",
    ]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ((), "Il manque des fichiers auxquels ce modèle renvoie, à demander au client."),
        (("a", "b"), "Il manque « a », « b », à demander au client."),
        (tuple("abcdefg"), "Il manque « a », « b », « c », « d », « e » et 2 de plus, à demander au client."),
    ],
)
def test_missing_files_are_named(missing: tuple[str, ...], words: str) -> None:
    assert plain(warnings(ModelFacts(issues=(ModelIssue.MISSING_FILES,), missing=missing))[0]) == words


@pytest.mark.parametrize("reason", NoPicture)
def test_missing_picture_has_a_reason(reason: NoPicture) -> None:
    assert plain(no_picture(reason)).startswith("Aperçu impossible : ")
    assert len({no_picture(each) for each in NoPicture}) == len(NoPicture)


def test_portraits_belong_to_the_stored_file() -> None:
    """By its URL: one of a file, one for each model of an archive, and none of what is not stored."""
    model = DONE.files[1]
    done = replace(
        DONE,
        previews=(
            Preview(0, url=f"{FILES}/photo.jpg"),
            Preview(1, "a/chaise.obj", CHAIR, f"{FILES}/a.png"),
            Preview(1, "b/table.obj", ModelFacts(issues=(ModelIssue.UNREADABLE,)), "", NoPicture.UNREADABLE),
            Preview(7, url=f"{FILES}/other.png"),
        ),
    )
    chair, table = portraits(model.filename, model.url, done)
    assert (chair.name, chair.picture) == ("a/chaise.obj dans model.glb", f"{FILES}/a.png")
    assert chair.alt == "Aperçu de a/chaise.obj dans model.glb"
    assert chair.caption.startswith("a/chaise.obj · 15")
    assert len(table.warnings) == 1, "that it does not open is said once"
    assert portraits("x", "https://files.example/unknown", done) == []


def test_archive_of_many_models_shows_eight_and_counts_the_rest() -> None:
    """The link to the archive must fit beside them, wherever the list is bounded."""
    done = replace(DONE, previews=tuple(Preview(1, f"{number}.obj", CHAIR) for number in range(11)))
    found = portraits("a.zip", DONE.files[1].url, done)
    assert [each.member for each in found] == [*(f"{number}.obj" for number in range(8)), ""]
    assert found[-1].warnings == ("L’archive contient 3 fichiers 3D de plus.",)


@pytest.mark.parametrize("url", ["http://files.example/a.png", "javascript:alert(1)", "data:image/png;base64,AA", ""])
def test_picture_that_is_not_https_is_none(url: str) -> None:
    done = replace(DONE, previews=(Preview(1, url=url),))
    assert portraits("model.glb", DONE.files[1].url, done)[0].picture == ""


def test_words_of_a_file_are_short_lines() -> None:
    """The program, the names and the unit are a stranger's."""
    facts = ModelFacts(
        size=(1, 2, 3), unit=EVIL, program=EVIL, missing=(EVIL,) * 20, issues=(ModelIssue.MISSING_FILES,)
    )
    done = replace(DONE, previews=(Preview(1, EVIL, facts),))
    (portrait,) = portraits(EVIL, DONE.files[1].url, done)
    for words in (portrait.name, portrait.caption, *portrait.warnings, *urgent(REQUEST, done)):
        assert len(words) < 800
        assert words.splitlines() == [words]
        assert "\u202e" not in words


def test_what_the_customer_must_send_again_is_urgent() -> None:
    """A file that does not open, or is not whole, with its name; of a preview of no attachment nothing is said."""
    issues = (ModelIssue.NO_UVS, ModelIssue.MISSING_FILES, ModelIssue.UNREADABLE)
    facts = ModelFacts(issues=issues, missing=("a.bin",))
    done = replace(DONE, previews=(Preview(1, facts=facts), Preview(9, facts=facts)))
    assert [plain(words) for words in urgent(REQUEST, done)] == [
        "« model.glb » : il manque « a.bin », à demander au client.",
        "« model.glb » : le fichier ne s’ouvre pas, il est endommagé ou incomplet, ou son extension est fausse.",
    ]
