"""Say in French what a 3D file holds, what is wrong with it, and why there is no picture of a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.escaping import https_url, one_line
from poller.model import ModelIssue, NoPicture
from poller.parsing.file_types import opens_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.model import DispatchResult, ModelFacts, Preview, Request

NBSP, THIN = "\xa0", "\u202f"  # French groups digits with a narrow no-break space
SEPARATOR = " · "
_METRES = {"km": 1000.0, "m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "µm": 1e-6, "um": 1e-6}
_METRES |= {"kilometer": 1000.0, "meter": 1.0, "metre": 1.0, "centimeter": 0.01, "millimeter": 0.001, "micron": 1e-6}
_METRES |= {"in": 0.0254, "inch": 0.0254, "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "yd": 0.9144, "mi": 1609.344}
_UNITS = ((10.0, "mm", 0.001), (10_000.0, "m", 1.0), (math.inf, "km", 1000.0))  # below so many metres
_LARGEST = 1e9  # no size of a real object, whatever the unit
_MOST_TEXTURES = 20  # that `ModelFacts` lists
_NAMED = 5  # of the missing files
_NAME_CHARS = 80
_SHOWN = 8  # of the 3D files of an archive
URGENT = (ModelIssue.UNREADABLE, ModelIssue.MISSING_FILES)  # the customer must send something again

_WARNINGS = {
    ModelIssue.UNREADABLE: "le fichier ne s’ouvre pas, il est endommagé ou incomplet, ou son extension est fausse",
    ModelIssue.NO_UVS: "aucune coordonnée de texture (UV), le modèle est à déplier avant d’être texturé",
    ModelIssue.NOT_WATERTIGHT: "le maillage n’est pas étanche, sa surface a des trous",
    ModelIssue.DENSE: "plus de 5 millions de triangles, le modèle est à alléger",
    ModelIssue.DRACO: "géométrie compressée avec Draco, que tous les logiciels n’ouvrent pas",
    ModelIssue.MESHOPT: "géométrie compressée avec meshopt, que tous les logiciels n’ouvrent pas",
}
_NO_PICTURES = {
    NoPicture.FORMAT: "ce format ne s’affiche pas ici",
    NoPicture.UNREADABLE: "le fichier ne s’ouvre pas",
    NoPicture.EMPTY: "le fichier ne contient aucune surface",
    NoPicture.TOO_MUCH: "le fichier demande trop de temps ou de mémoire",
    NoPicture.FAILED: "l’image n’a pas pu être faite ou déposée",
    NoPicture.OFF: "le module des modèles 3D n’est pas installé sur le serveur",
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """The words and the picture of a stored file, or of a 3D file in a stored archive. All of it is raw text."""

    file: str  # name of the stored file, one line
    url: str  # of the stored file
    member: str = ""  # path in the archive, one line; "" for the file itself
    picture: str = ""  # https URL of a PNG or JPEG; "" if there is none
    facts: str = ""  # one line; "" if nothing is known
    warnings: tuple[str, ...] = ()  # a sentence each: what is wrong with it, and why it has no picture

    @property
    def name(self) -> str:
        """Return the name of the file, or of the file in its archive."""
        return f"{self.member} dans {self.file}" if self.member else self.file

    @property
    def alt(self) -> str:
        """Return the words that stand for the picture."""
        return f"Aperçu de {self.name}"

    @property
    def caption(self) -> str:
        """Return the facts on one line, after the path of a file in an archive."""
        return SEPARATOR.join(filter(None, (self.member, self.facts)))


def portraits(name: str, url: str, done: DispatchResult) -> list[Portrait]:
    """Return what is known of a stored file: one portrait, or one for each 3D file of an archive, in order.

    `name` is the file's, and `url` where it is stored. Of an archive eight are shown, and the rest is counted.
    """
    numbers = {number for number, stored_at in done.uploads if stored_at == url}
    known = [preview for preview in done.previews if preview.number in numbers]
    shown = [_portrait(preview, name, url) for preview in known[:_SHOWN]]
    if more := len(known) - len(shown):
        rest = f"L’archive contient {more} fichier{'s' if more > 1 else ''} 3D de plus."
        shown.append(Portrait(one_line(name, _NAME_CHARS), url, warnings=(rest,)))
    return shown


def _portrait(preview: Preview, name: str, url: str) -> Portrait:
    said = warnings(preview.facts) if preview.facts else []
    is_unreadable = preview.facts is not None and ModelIssue.UNREADABLE in preview.facts.issues
    # That a file does not open is said once.
    if preview.no_picture and not (is_unreadable and preview.no_picture is NoPicture.UNREADABLE):
        said = [*said, no_picture(preview.no_picture)]
    return Portrait(
        file=one_line(name, _NAME_CHARS),
        url=url,
        member=one_line(preview.member, _NAME_CHARS),
        picture=https_url(preview.url),
        facts=facts_line(preview.facts) if preview.facts else "",
        warnings=tuple(said),
    )


def facts_line(facts: ModelFacts) -> str:
    """Return the facts on one line: « 15 000 triangles · 812 × 450 × 430 mm · 2 matériaux · Blender 4.2 ».

    "" if nothing is known. The name of the program is the file's own word.
    """
    parts = [
        counted(facts.triangles, "triangle") if facts.triangles else counted(facts.vertices, "sommet"),
        dimensions(facts),
        counted(facts.parts, "pièce") if facts.parts and facts.parts > 1 else "",
        counted(facts.materials, "matériau", "matériaux"),
        _textures(facts.textures),
        counted(facts.animations, "animation"),
        one_line(facts.program, _NAME_CHARS),
    ]
    return SEPARATOR.join(part for part in parts if part)


def dimensions(facts: ModelFacts) -> str:
    """Return the size of the bounding box, in millimetres, metres or kilometres.

    Where the format states no unit, say so, and guess where the numbers speak. "" if there is no size.
    """
    sides, unit = measure(facts)
    if unit or not sides or facts.size is None:
        return f"{sides}{NBSP}{unit}".strip(NBSP)
    guess = _guess(max(facts.size))
    said = f"sans doute des {guess} (unité non précisée)" if guess else "unité non précisée"
    return f"{sides}, {said}"


def measure(facts: ModelFacts) -> tuple[str, str]:
    """Return the sides of the bounding box, and their unit, "" where the format states none. "", "" without a size."""
    if facts.size is None or not all(0 <= side < _LARGEST for side in facts.size) or not any(facts.size):
        return "", ""
    largest, unit = max(facts.size), one_line(facts.unit, 20)
    metres = _METRES.get(unit) or _METRES.get(unit.lower().removesuffix("s"))
    if metres is None:
        return _sides(facts.size), unit
    name, factor = next((name, factor) for below, name, factor in _UNITS if largest * metres < below)
    return _sides([side * metres / factor for side in facts.size]), name


def _guess(largest: float) -> str:
    """Return the unit that an object of a studio of 3D models would have, "" where the number does not speak."""
    if 100 <= largest <= 10_000:  # noqa: PLR2004  ten centimetres to ten metres
        return "millimètres"
    is_normalised = any(math.isclose(largest, side, rel_tol=1e-3) for side in (1.0, 2.0))
    if 0.05 <= largest < 5 and not is_normalised:  # noqa: PLR2004  five centimetres to five metres
        return "mètres"
    return ""


def _sides(sides: Sequence[float]) -> str:
    solid = [side for side in sides if side] if sum(map(bool, sides)) > 1 else sides  # a drawing has no height
    return f"{NBSP}×{NBSP}".join(map(decimal, solid))


def decimal(number: float) -> str:
    """Format a number in French with three significant digits, and all digits before the comma: « 1 250 », « 4,5 »."""
    places = max(0, 2 - math.floor(math.log10(number))) if number >= 0.001 else 3  # noqa: PLR2004
    text = f"{number:,.{min(places, 3)}f}"
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0")
    return whole.replace(",", THIN) + (f",{rest}" if rest else "")


def counted(number: int | None, noun: str, plural: str = "") -> str:
    """Return a number with its noun: « 15 000 triangles ». "" for none. `plural` is for one that takes no « s »."""
    if not number or number < 0:
        return ""
    return f"{number:,}".replace(",", THIN) + f"{NBSP}{(plural or f'{noun}s') if number > 1 else noun}"


def _textures(textures: tuple[tuple[int, int], ...]) -> str:
    if not textures:
        return ""
    width, height = textures[0]
    most = "au moins " if len(textures) >= _MOST_TEXTURES else ""
    up_to = "" if set(textures) == {textures[0]} else "jusqu’à "
    return f"{most}{counted(len(textures), 'texture')} ({up_to}{width}{NBSP}×{NBSP}{height})"


def warnings(facts: ModelFacts) -> list[str]:
    """Return a French sentence for each thing that a studio must hear before it opens the file."""
    return [_sentence(_problem(issue, facts)) for issue in facts.issues]


def urgent(request: Request, done: DispatchResult) -> list[str]:
    """Return a sentence for each stored 3D file that the customer must send again or complete, with its name."""
    stored = {number: request.attachments[number] for number, _ in done.uploads if number < len(request.attachments)}
    return [
        f"«{NBSP}{_portrait(preview, opens_as(stored[preview.number]), '').name}{NBSP}»{NBSP}: "
        f"{_problem(issue, preview.facts)}."
        for preview in done.previews
        if preview.facts and preview.number in stored
        for issue in preview.facts.issues
        if issue in URGENT
    ]


def _problem(issue: ModelIssue, facts: ModelFacts) -> str:
    if issue is not ModelIssue.MISSING_FILES:
        return _WARNINGS[issue]
    names = [f"«{NBSP}{one_line(name, _NAME_CHARS)}{NBSP}»" for name in facts.missing[:_NAMED]]
    if not names:
        return "il manque des fichiers auxquels ce modèle renvoie, à demander au client"
    more = len(facts.missing) - len(names)
    said = ", ".join(names) + (f" et {more} de plus" if more else "")
    return f"il manque {said}, à demander au client"


def no_picture(reason: NoPicture) -> str:
    """Return a French sentence that says why there is no picture of a file."""
    return f"Aperçu impossible{NBSP}: {_NO_PICTURES[reason]}."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
