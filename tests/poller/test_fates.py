"""What becomes of each attachment of a mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest

from poller.model import Address, Attachment, Fate, Kind, Request
from poller.triage.attachment_policy import Caps, decide, oversize, oversize_bytes, small_images, twin


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
    ("attachments", "fates"),
    [
        ((), ()),
        (
            (LOGO, SKETCH, MODEL, PHOTO, PLAN, VIRUS),
            (Fate.LOGO, Fate.INLINE, Fate.FILE, Fate.FILE, Fate.KEPT, Fate.REFUSED),
        ),
        ((PHOTO, PHOTO, PHOTO), (Fate.FILE, Fate.DUPLICATE, Fate.DUPLICATE)),
        ((PLAN, PLAN), (Fate.KEPT, Fate.DUPLICATE)),
        ((VIRUS, VIRUS), (Fate.REFUSED, Fate.REFUSED)),
        # Of the same bytes only where the digest says so: two models of one size are two models.
        ((MODEL, MODEL), (Fate.FILE, Fate.FILE)),
        ((PHOTO, replace(PHOTO, size_bytes=150_001)), (Fate.FILE, Fate.FILE)),
        # What stands in the text is not there to be opened: sent as a file as well, it is one.
        ((SKETCH, replace(SKETCH, inline=False)), (Fate.INLINE, Fate.FILE)),
        ((replace(SKETCH, inline=False), SKETCH), (Fate.FILE, Fate.INLINE)),
        ((replace(PHOTO, refused=True, inline=True, logo=True),), (Fate.REFUSED,)),
    ],
)
def test_the_fate_of_each(attachments: tuple[Attachment, ...], fates: tuple[Fate, ...]) -> None:
    assert decide(mail(*attachments)) == fates


@pytest.mark.parametrize(
    ("file", "fate"),
    [
        (BANNER, Fate.LOGO),
        (replace(BANNER, inline=True), Fate.LOGO),
        (replace(BANNER, fingerprint="other"), Fate.FILE),
        (replace(BANNER, fingerprint=""), Fate.FILE),
        (replace(BANNER, size_bytes=50_000), Fate.LOGO),
        (replace(BANNER, size_bytes=50_001), Fate.FILE),
        (replace(BANNER, kind=Kind.MODEL), Fate.FILE),
    ],
)
def test_a_small_image_that_the_sender_has_sent_before_is_a_logo(file: Attachment, fate: Fate) -> None:
    """Of a photograph nobody says so: whoever sends it twice wants it seen."""
    assert decide(mail(file), seen_before={"bb", ""}) == (fate,)


def test_only_small_images_that_would_be_files_are_looked_up() -> None:
    mixed = mail(LOGO, SKETCH, MODEL, PHOTO, BANNER, BANNER, replace(BANNER, fingerprint=""), PLAN, VIRUS)
    assert small_images(mixed) == ["bb"]


@pytest.mark.parametrize(
    ("caps", "fates"),
    [
        (Caps(), (Fate.FILE, Fate.FILE, Fate.FILE)),
        (Caps(file_bytes=4_000_000), (Fate.FILE, Fate.FILE, Fate.FILE)),
        (Caps(file_bytes=3_999_999), (Fate.FILE, Fate.TOO_BIG, Fate.FILE)),
        # What does not fit is left out, and what comes after it may fit.
        (Caps(mail_bytes=200_000), (Fate.FILE, Fate.TOO_BIG, Fate.FILE)),
        (Caps(mail_bytes=4_150_000), (Fate.FILE, Fate.FILE, Fate.TOO_BIG)),
        (Caps(left_bytes=160_000), (Fate.FILE, Fate.OVER_CAP, Fate.OVER_CAP)),
        (Caps(left_bytes=0), (Fate.OVER_CAP, Fate.OVER_CAP, Fate.OVER_CAP)),
        (Caps(mail_bytes=1_000_000, left_bytes=0), (Fate.OVER_CAP, Fate.TOO_BIG, Fate.OVER_CAP)),
    ],
)
def test_what_is_over_a_cap_stays_in_the_mail(caps: Caps, fates: tuple[Fate, ...]) -> None:
    assert decide(mail(PHOTO, MODEL, BANNER), caps) == fates


def test_of_a_mail_that_was_not_fetched_whole_no_file_is_uploaded() -> None:
    """One of them was cut off in the middle, and a broken model is worse than none."""
    cut = mail(LOGO, PHOTO, PHOTO, PLAN, MODEL, defects=("x", oversize(62_000_000)))
    assert decide(cut) == (Fate.LOGO, Fate.TOO_BIG, Fate.TOO_BIG, Fate.KEPT, Fate.TOO_BIG)
    assert oversize_bytes(cut) == 62_000_000
    assert oversize_bytes(mail(defects=("over the size limit",))) == 0


def test_a_duplicate_is_of_the_first_file_of_its_bytes() -> None:
    request = mail(SKETCH, MODEL, PHOTO, replace(PHOTO, filename="b"), replace(PHOTO, filename="c"))
    fates = decide(request)
    assert twin(request, fates, 4) is request.attachments[2]
    assert twin(request, fates, 2) is None
