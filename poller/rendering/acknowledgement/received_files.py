"""Say to a customer which files have come, what each 3D file holds, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.escaping import https_url, one_line
from poller.model import Kind, ModelIssue, UploadDecision
from poller.parsing.file_types import opens_as
from poller.rendering.phrases import size
from poller.rendering.previews import THIN, counted, measure
from poller.triage import attachment_policy
from poller.triage.language import Language

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.model import Attachment, DispatchResult, ModelFacts, Preview, Request

SHOWN = 20  # files of a letter
_NAMED = 5  # of the files that a model misses
_NAME_CHARS = 80
_LISTED = {UploadDecision.FILE, UploadDecision.TOO_BIG, UploadDecision.OVER_CAP, UploadDecision.KEPT}
_ENGLISH = (("octet", "byte"), ("ko", "kB"), ("Mo", "MB"))
_ENGLISH_DIGITS = str.maketrans({THIN: ",", ",": "."})


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of the mail, or a 3D file of an archive, as a letter to the customer names it. All of it is raw text."""

    name: str  # one line; "" if the letter repeats no words of the sender
    size: str  # « 1,2 Mo »; "" for a file of an archive
    triangles: str = ""  # « 15 000 triangles »; "" if unknown, as are all facts
    dimensions: str = ""  # « 812 × 450 × 430 mm »
    has_unit: bool = True  # whether the file states the unit of its dimensions
    picture: str = ""  # https URL; "" if there is none
    is_unreadable: bool = False  # it does not open
    is_empty: bool = False
    lacks_files: bool = False  # it names files that did not come
    missing: tuple[str, ...] = ()  # the first of them, one line each; empty if the letter repeats no words

    @property
    def facts(self) -> tuple[str, ...]:
        """Return what is known of the file beside its name."""
        return tuple(filter(None, (self.size, self.triangles, self.dimensions)))


def received_files(
    request: Request, done: DispatchResult, language: Language, *, repeats: bool
) -> tuple[ReceivedFile, ...]:
    """Return the files of a mail in its order, each followed by the 3D files in it, without what signs or adorns it.

    `repeats` says whether the letter repeats words and pictures of the sender. None are returned for a mail of which
    only the beginning was read.
    """
    if attachment_policy.oversize_bytes(request):
        return ()
    decided = done.upload_decisions
    known = decided if len(decided) == len(request.attachments) else attachment_policy.decide_uploads(request)
    return tuple(
        each
        for number, (attachment, fate) in enumerate(zip(request.attachments, known, strict=True))
        if fate in _LISTED and not attachment.incidental
        for each in _of(
            attachment, [preview for preview in done.previews if preview.number == number], language, repeats
        )
    )


def _of(attachment: Attachment, previews: list[Preview], language: Language, repeats: bool) -> Iterator[ReceivedFile]:
    name, words = one_line(opens_as(attachment), _NAME_CHARS), _size(attachment.size_bytes, language)
    if not previews or previews[0].member:
        is_empty = attachment.kind in {Kind.MODEL, Kind.IMAGE} and not attachment.size_bytes
        yield ReceivedFile(name if repeats else "", words, is_empty=is_empty)
    for preview in previews:
        shown = one_line(preview.member, _NAME_CHARS) if preview.member else name
        yield _shown(preview, shown if repeats else "", "" if preview.member else words, language, repeats)


def _shown(preview: Preview, name: str, words: str, language: Language, repeats: bool) -> ReceivedFile:
    picture = https_url(preview.url) if repeats else ""
    facts = preview.facts
    if facts is None:
        return ReceivedFile(name, words, picture=picture)
    sides, unit = measure(facts)
    return ReceivedFile(
        name,
        words,
        triangles=_digits(counted(facts.triangles, "triangle"), language),
        dimensions=_digits(f"{sides}\xa0{unit}".strip("\xa0"), language),
        has_unit=bool(unit or not sides),
        picture=picture,
        is_unreadable=ModelIssue.UNREADABLE in facts.issues,
        lacks_files=ModelIssue.MISSING_FILES in facts.issues,
        missing=_missing(facts) if repeats else (),
    )


def _missing(facts: ModelFacts) -> tuple[str, ...]:
    return tuple(one_line(name, _NAME_CHARS) for name in facts.missing[:_NAMED])


def _size(size_bytes: int, language: Language) -> str:
    words = size(size_bytes) if size_bytes else ""
    if language is Language.ENGLISH:
        for french, english in _ENGLISH:
            words = words.replace(french, english)
    return _digits(words, language)


def _digits(words: str, language: Language) -> str:
    return words.translate(_ENGLISH_DIGITS) if language is Language.ENGLISH else words
