"""Decide what becomes of each attachment of a mail, once, so that a repeated step does the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.model import Kind, UploadDecision

if TYPE_CHECKING:
    from collections.abc import Collection

    from poller.model import Attachment, Request

SMALL_IMAGE_BYTES = 50_000  # the largest that is taken for a logo when its sender has sent it before
ASIDE = frozenset(
    {UploadDecision.INLINE, UploadDecision.LOGO, UploadDecision.DUPLICATE}
)  # not missed among the uploaded files

_OVERSIZE = re.compile(r"over the size limit: (\d+) bytes")


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits on the bytes that go to R2. None stands for no limit."""

    file_bytes: int | None = None  # of one file
    mail_bytes: int | None = None  # of one mail
    left_bytes: int | None = None  # of its sender, for the rest of the day


def decide_uploads(
    request: Request, caps: Caps | None = None, seen_before: Collection[str] = frozenset()
) -> tuple[UploadDecision, ...]:
    """Return the upload decision for each attachment, in the mail's order.

    `seen_before` holds the fingerprints of small images that the sender has sent with an earlier mail.
    """
    fates: list[UploadDecision] = []
    uploaded_bytes = 0
    for number, attachment in enumerate(request.attachments):
        fate = _by_nature(attachment, seen_before)
        if fate is UploadDecision.FILE and oversize_bytes(request):
            fate = UploadDecision.TOO_BIG  # only the beginning of such a mail was fetched: a file may have been cut off
        elif fate in {UploadDecision.FILE, UploadDecision.KEPT} and duplicate_of(request, fates, number):
            fate = UploadDecision.DUPLICATE
        elif fate is UploadDecision.FILE:
            fate = _by_size(attachment.size_bytes, uploaded_bytes, caps or Caps())
        if fate is UploadDecision.FILE:
            uploaded_bytes += attachment.size_bytes
        fates.append(fate)
    return tuple(fates)


def duplicate_of(request: Request, fates: Collection[UploadDecision], number: int) -> Attachment | None:
    """Return the earlier attachment of the same bytes, None when there is none.

    A picture in the text or the signature does not count: the same picture sent as a file as well is a file.
    """
    mine = request.attachments[number]
    if not mine.fingerprint:
        return None
    earlier = zip(request.attachments[:number], fates, strict=False)
    same = (a for a, fate in earlier if fate not in ASIDE and _bytes_of(a) == _bytes_of(mine))
    return next(same, None)


def small_images(request: Request) -> list[str]:
    """Return the fingerprints of the images that are logos if the sender has sent them before, each once."""
    return list(
        dict.fromkeys(
            attachment.fingerprint
            for attachment in request.attachments
            if _may_be_logo(attachment) and _by_nature(attachment, ()) is UploadDecision.FILE
        )
    )


def oversize(size_bytes: int) -> str:
    """Return the defect of a message of which only the beginning was fetched, with its whole size."""
    return f"over the size limit: {size_bytes} bytes"


def oversize_bytes(request: Request) -> int:
    """Return the size of a message of which only the beginning was fetched. 0 when all of it was."""
    return next((int(found[1]) for defect in request.defects if (found := _OVERSIZE.fullmatch(defect))), 0)


def _by_nature(attachment: Attachment, seen_before: Collection[str]) -> UploadDecision:
    if attachment.refused:
        return UploadDecision.REFUSED
    if attachment.signature or attachment.logo or (_may_be_logo(attachment) and attachment.fingerprint in seen_before):
        return UploadDecision.LOGO
    if attachment.inline:
        return UploadDecision.INLINE
    return UploadDecision.KEPT if attachment.kind is Kind.OTHER else UploadDecision.FILE


def _by_size(size_bytes: int, uploaded_bytes: int, caps: Caps) -> UploadDecision:
    all_bytes = uploaded_bytes + size_bytes
    if _over(size_bytes, caps.file_bytes) or _over(all_bytes, caps.mail_bytes):
        return UploadDecision.TOO_BIG
    return UploadDecision.OVER_CAP if _over(all_bytes, caps.left_bytes) else UploadDecision.FILE


def _over(size_bytes: int, cap_bytes: int | None) -> bool:
    return cap_bytes is not None and size_bytes > cap_bytes


def _may_be_logo(attachment: Attachment) -> bool:
    small = attachment.kind is Kind.IMAGE and attachment.size_bytes <= SMALL_IMAGE_BYTES
    return small and bool(attachment.fingerprint)


def _bytes_of(attachment: Attachment) -> tuple[str, int]:
    return attachment.fingerprint, attachment.size_bytes
