"""Decide which attachments of a mail are uploaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest

from poller.model import Address, Attachment, Kind, Request, UploadDecision
from poller.triage.attachment_policy import Caps, decide_uploads, duplicate_of, oversize, oversize_bytes, small_images


class _Nothing:
    def open(self) -> BytesIO:
        return BytesIO()


def attachment(kind: Kind, size_bytes: int, fingerprint: str = "") -> Attachment:
    return Attachment(f"{kind}.bin", "a/b", size_bytes, kind, inline=False, content=_Nothing(), fingerprint=fingerprint)


MODEL = attachment(Kind.MODEL, 4_000_000)
PHOTO = attachment(Kind.IMAGE, 150_000, "aa")
BANNER = attachment(Kind.IMAGE, 40_000, "bb")
LOGO = replace(attachment(Kind.IMAGE, 3_000, "cc"), inline=True, logo=True)
SKETCH = replace(attachment(Kind.IMAGE, 90_000, "dd"), inline=True)
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
                UploadDecision.INLINE,
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
        # What stands in the text is not there to be opened: sent as a file as well, it is one.
        ((SKETCH, replace(SKETCH, inline=False)), (UploadDecision.INLINE, UploadDecision.FILE)),
        ((replace(SKETCH, inline=False), SKETCH), (UploadDecision.FILE, UploadDecision.INLINE)),
        ((replace(PHOTO, refused=True, inline=True, logo=True),), (UploadDecision.REFUSED,)),
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
        (replace(BANNER, inline=True), UploadDecision.LOGO),
        (replace(BANNER, fingerprint="other"), UploadDecision.FILE),
        (replace(BANNER, fingerprint=""), UploadDecision.FILE),
        (replace(BANNER, size_bytes=50_000), UploadDecision.LOGO),
        (replace(BANNER, size_bytes=50_001), UploadDecision.FILE),
        (replace(BANNER, kind=Kind.MODEL), UploadDecision.FILE),
    ],
)
def test_repeated_small_image_of_sender_is_a_logo(file: Attachment, decision: UploadDecision) -> None:
    """A photograph is no logo: a sender who sends it twice wants it seen."""
    assert decide_uploads(mail(file), seen_before={"bb", ""}) == (decision,)


def test_small_images_lists_only_images_to_upload() -> None:
    mixed = mail(LOGO, SKETCH, MODEL, PHOTO, BANNER, BANNER, replace(BANNER, fingerprint=""), PLAN, VIRUS)
    assert small_images(mixed) == ["bb"]


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
    request = mail(SKETCH, MODEL, PHOTO, replace(PHOTO, filename="b"), replace(PHOTO, filename="c"))
    decisions = decide_uploads(request)
    assert duplicate_of(request, decisions, 4) is request.attachments[2]
    assert duplicate_of(request, decisions, 2) is None
