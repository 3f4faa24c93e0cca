"""Decide which attachments of a mail are uploaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest

from poller.model import Address, Attachment, Kind, Request, UploadDecision
from poller.triage.attachment_policy import (
    Caps,
    Known,
    decide_uploads,
    duplicate_of,
    oversize,
    oversize_bytes,
    small_images,
    ticket_images,
)


class _Nothing:
    def open(self) -> BytesIO:
        return BytesIO()


def attachment(kind: Kind, size_bytes: int, fingerprint: str = "") -> Attachment:
    return Attachment(f"{kind}.bin", "a/b", size_bytes, kind, inline=False, content=_Nothing(), fingerprint=fingerprint)


MODEL = attachment(Kind.MODEL, 4_000_000)
PHOTO = attachment(Kind.IMAGE, 150_000, "aa")
BANNER = attachment(Kind.IMAGE, 40_000, "bb")
LOGO = replace(attachment(Kind.IMAGE, 3_000, "cc"), inline=True, shown=True, logo=True)
SKETCH = replace(attachment(Kind.IMAGE, 90_000, "dd"), inline=True, shown=True)
PLAN = attachment(Kind.OTHER, 240_000, "ee")
VIRUS = replace(attachment(Kind.OTHER, 900, "ff"), refused=True)
NOBODY = Address("", "")
REQUEST = Request(
    reference="0123456789abcdef",
    message_id="<1@example.com>",
    in_reply_to=(),
    references=(),
    sender=NOBODY,
    author=NOBODY,
    subject="",
    text="",
    newest="",
    sent_at=None,
    received_at=datetime(2026, 11, 22, tzinfo=UTC),
    headers=(),
    attachments=(),
    defects=(),
)


def mail(*attachments: Attachment, defects: tuple[str, ...] = ()) -> Request:
    return replace(REQUEST, attachments=attachments, defects=defects)


@pytest.mark.parametrize(
    ("attachments", "decisions"),
    [
        ((), ()),
        (
            (LOGO, SKETCH, MODEL, PHOTO, PLAN, VIRUS),
            (
                UploadDecision.LOGO,
                UploadDecision.FILE,
                UploadDecision.FILE,
                UploadDecision.FILE,
                UploadDecision.KEPT,
                UploadDecision.REFUSED,
            ),
        ),
        ((PHOTO, PHOTO, PHOTO), (UploadDecision.FILE, UploadDecision.DUPLICATE, UploadDecision.DUPLICATE)),
        ((PLAN, PLAN), (UploadDecision.KEPT, UploadDecision.DUPLICATE)),
        ((VIRUS, VIRUS), (UploadDecision.REFUSED, UploadDecision.REFUSED)),
        # Of the same bytes only where the digest says so: two models of one size are two models.
        ((MODEL, MODEL), (UploadDecision.FILE, UploadDecision.FILE)),
        ((PHOTO, replace(PHOTO, size_bytes=150_001)), (UploadDecision.FILE, UploadDecision.FILE)),
        # A picture in the text is a file: sent as a file as well, it is the same.
        ((SKETCH, replace(SKETCH, inline=False, shown=False)), (UploadDecision.FILE, UploadDecision.DUPLICATE)),
        # One name for two contents, or two names for one: a model may ask for each.
        ((PHOTO, replace(PHOTO, filename="b.jpg")), (UploadDecision.FILE, UploadDecision.FILE)),
        ((PHOTO, replace(PHOTO, filename="image (2).bin")), (UploadDecision.FILE, UploadDecision.DUPLICATE)),
        ((replace(PHOTO, refused=True, inline=True, shown=True, logo=True),), (UploadDecision.REFUSED,)),
    ],
)
def test_upload_decision_for_each_attachment(
    attachments: tuple[Attachment, ...], decisions: tuple[UploadDecision, ...]
) -> None:
    assert decide_uploads(mail(*attachments)) == decisions


@pytest.mark.parametrize(
    ("file", "decision"),
    [
        (BANNER, UploadDecision.LOGO),
        (replace(BANNER, inline=True, shown=True), UploadDecision.LOGO),
        (replace(BANNER, fingerprint="other"), UploadDecision.FILE),
        (replace(BANNER, fingerprint=""), UploadDecision.FILE),
        (replace(BANNER, size_bytes=50_000), UploadDecision.LOGO),
        (replace(BANNER, size_bytes=50_001), UploadDecision.FILE),
        (replace(BANNER, kind=Kind.MODEL), UploadDecision.FILE),
        (replace(PHOTO, fingerprint="bb"), UploadDecision.FILE),
        (replace(SKETCH, fingerprint="bb"), UploadDecision.INLINE),
        (replace(SKETCH, fingerprint="other"), UploadDecision.FILE),
    ],
)
def test_repeated_small_image_of_sender_is_a_logo(file: Attachment, decision: UploadDecision) -> None:
    """A photograph is no logo: a sender who attaches it twice wants it seen, unlike one who only quotes it."""
    assert decide_uploads(mail(file), known=Known(of_sender={"bb", ""})) == (decision,)


def test_small_images_lists_only_images_to_upload() -> None:
    mixed = mail(LOGO, SKETCH, MODEL, PHOTO, BANNER, BANNER, replace(BANNER, fingerprint=""), PLAN, VIRUS)
    assert small_images(mixed) == ["dd"], "beside a model no attached image is a logo"
    assert small_images(replace(mixed, attachments=(SKETCH, PHOTO, BANNER, BANNER))) == ["dd", "bb"]
    assert ticket_images(mixed) == ["dd", "aa", "bb"]


ANSWER = replace(REQUEST, references=("<0@example.com>",))


@pytest.mark.parametrize(
    ("request_", "picture", "known", "decision"),
    [
        (REQUEST, SKETCH, Known(), UploadDecision.FILE),
        (REQUEST, replace(SKETCH, quoted=True), Known(), UploadDecision.FILE),
        (ANSWER, SKETCH, Known(), UploadDecision.FILE),
        (ANSWER, replace(SKETCH, quoted=True), Known(), UploadDecision.INLINE),
        (ANSWER, SKETCH, Known(on_ticket={"dd"}), UploadDecision.INLINE),
        (ANSWER, replace(SKETCH, inline=False, shown=False), Known(on_ticket={"dd"}), UploadDecision.FILE),
        (ANSWER, LOGO, Known(), UploadDecision.LOGO),
    ],
)
def test_picture_in_the_text_is_a_file_unless_it_is_known(
    request_: Request, picture: Attachment, known: Known, decision: UploadDecision
) -> None:
    """In an answer it may stand in the history alone, or lie on the ticket; what is attached on purpose is a file."""
    assert decide_uploads(replace(request_, attachments=(picture,)), known=known) == (decision,)


TEXTURE = replace(LOGO, inline=False, shown=False, filename="bois.png")


@pytest.mark.parametrize(
    ("beside", "decision"),
    [
        (TEXTURE, UploadDecision.FILE),
        (replace(BANNER, fingerprint="seen"), UploadDecision.FILE),
        (attachment(Kind.SIDE, 900, "gg"), UploadDecision.FILE),
        (LOGO, UploadDecision.LOGO),
        (attachment(Kind.OTHER, 900, "hh"), UploadDecision.KEPT),
        (VIRUS, UploadDecision.REFUSED),
    ],
)
def test_what_lies_beside_a_model_is_of_its_set(beside: Attachment, decision: UploadDecision) -> None:
    """Small textures are no logos, and no pictures of an earlier mail; the logo in the signature is none of them."""
    assert decide_uploads(mail(MODEL, beside), known=Known(of_sender={"seen", "cc"}))[1] is decision
    alone = decide_uploads(mail(beside), known=Known(of_sender={"seen", "cc"}))
    assert alone == (UploadDecision.KEPT if beside.kind is Kind.SIDE else alone[0],)
    assert (alone[0] is UploadDecision.FILE) is False


@pytest.mark.parametrize(
    ("file_types", "stored"),
    [
        (("models", "images", "documents", "archives", "video"), {0, 1, 2, 3, 4, 5}),
        (("models",), {0, 1, 5}),
        (("images",), {1}),
        (("documents",), {2}),
        (("archives",), {3}),
        (("video",), {4}),
        ((), set()),
    ],
)
def test_file_types_say_which_kinds_are_stored(file_types: tuple[str, ...], stored: set[int]) -> None:
    """Beside a model its images and side files go with it."""
    kinds = (Kind.MODEL, Kind.IMAGE, Kind.DOCUMENT, Kind.ARCHIVE, Kind.VIDEO, Kind.SIDE, Kind.OTHER)
    files = [attachment(kind, 60_000, kind) for kind in kinds]
    decided = decide_uploads(mail(*files), file_types=file_types)
    assert {number for number, fate in enumerate(decided) if fate is UploadDecision.FILE} == stored


@pytest.mark.parametrize(
    ("caps", "decisions"),
    [
        (Caps(), (UploadDecision.FILE, UploadDecision.FILE, UploadDecision.FILE)),
        (Caps(file_bytes=4_000_000), (UploadDecision.FILE, UploadDecision.FILE, UploadDecision.FILE)),
        (Caps(file_bytes=3_999_999), (UploadDecision.FILE, UploadDecision.TOO_BIG, UploadDecision.FILE)),
        # What does not fit is left out, and what comes after it may fit.
        (Caps(mail_bytes=200_000), (UploadDecision.FILE, UploadDecision.TOO_BIG, UploadDecision.FILE)),
        (Caps(mail_bytes=4_150_000), (UploadDecision.FILE, UploadDecision.FILE, UploadDecision.TOO_BIG)),
        (Caps(left_bytes=160_000), (UploadDecision.FILE, UploadDecision.OVER_CAP, UploadDecision.OVER_CAP)),
        (Caps(left_bytes=0), (UploadDecision.OVER_CAP, UploadDecision.OVER_CAP, UploadDecision.OVER_CAP)),
        (
            Caps(mail_bytes=1_000_000, left_bytes=0),
            (UploadDecision.OVER_CAP, UploadDecision.TOO_BIG, UploadDecision.OVER_CAP),
        ),
    ],
)
def test_files_over_limit_stay_in_mail(caps: Caps, decisions: tuple[UploadDecision, ...]) -> None:
    assert decide_uploads(mail(PHOTO, MODEL, BANNER), caps) == decisions


def test_truncated_mail_uploads_no_file() -> None:
    """One of them was cut off in the middle, and a broken model is worse than none."""
    cut = mail(LOGO, PHOTO, PHOTO, PLAN, MODEL, defects=("x", oversize(62_000_000)))
    assert decide_uploads(cut) == (
        UploadDecision.LOGO,
        UploadDecision.TOO_BIG,
        UploadDecision.TOO_BIG,
        UploadDecision.KEPT,
        UploadDecision.TOO_BIG,
    )
    assert oversize_bytes(cut) == 62_000_000
    assert oversize_bytes(mail(defects=("over the size limit",))) == 0


def test_duplicate_refers_to_first_file_with_same_bytes() -> None:
    request = mail(
        SKETCH, MODEL, PHOTO, replace(PHOTO, filename="image (2).bin"), replace(PHOTO, filename="IMAGE (3).bin")
    )
    decisions = decide_uploads(request)
    assert duplicate_of(request, decisions, 4) is request.attachments[2]
    assert duplicate_of(request, decisions, 2) is None
