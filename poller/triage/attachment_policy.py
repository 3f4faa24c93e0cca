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
FILE_TYPES = {
    "models": (Kind.MODEL,),
    "images": (Kind.IMAGE,),
    "documents": (Kind.DOCUMENT,),
    "archives": (Kind.ARCHIVE,),
    "video": (Kind.VIDEO,),
}  # by the name in the settings

_OVERSIZE = re.compile(r"over the size limit: (\d+) bytes")
_NUMBERED = re.compile(r" \(\d+\)(?=(?:\.[^.]*)?$)")  # as the parser tells apart two attachments of one name
_UNNAMED = re.compile(r"piece-jointe-\d+")


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits on the bytes that are stored. None stands for no limit."""

    file_bytes: int | None = None  # of one file
    mail_bytes: int | None = None  # of one mail
    left_bytes: int | None = None  # of its sender, for the rest of the day


@dataclass(frozen=True, slots=True)
class Known:
    """Images that came with earlier mails, by their fingerprints."""

    of_sender: Collection[str] = frozenset()
    on_ticket: Collection[str] = frozenset()


def decide_uploads(
    request: Request,
    caps: Caps | None = None,
    known: Known | None = None,
    file_types: Collection[str] = FILE_TYPES.keys(),
) -> tuple[UploadDecision, ...]:
    """Return the upload decision for each attachment, in the mail's order.

    `file_types` names the kinds that are files, see FILE_TYPES.
    """
    circumstances = _circumstances(request, known or Known(), file_types)
    fates: list[UploadDecision] = []
    uploaded_bytes = 0
    for number, attachment in enumerate(request.attachments):
        fate = _by_nature(attachment, circumstances)
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
    """Return the earlier attachment of the same name and bytes, None when there is none.

    Of two names, each may be asked for by a model. A picture that is not uploaded does not count: the same picture sent
    as a file as well is a file.
    """
    mine = request.attachments[number]
    if not mine.fingerprint:
        return None
    earlier = zip(request.attachments[:number], fates, strict=False)
    same = (a for a, fate in earlier if fate not in ASIDE and _identity(a) == _identity(mine))
    return next(same, None)


def small_images(request: Request) -> list[str]:
    """Return the fingerprints of the images that are no files if the sender has sent them before, each once.

    They are the small ones, which are logos then, and those in the text.
    """
    circumstances = _circumstances(request, Known(), FILE_TYPES.keys())
    return list(
        dict.fromkeys(
            attachment.fingerprint
            for attachment in request.attachments
            if (_may_be_logo(attachment) or attachment.shown)
            and attachment.fingerprint
            and not _is_of_set(attachment, circumstances)
            and _by_nature(attachment, circumstances) is UploadDecision.FILE
        )
    )


def ticket_images(request: Request) -> list[str]:
    """Return the fingerprints of the images that an answer may bring once more in its text, each once."""
    images = (a for a in request.attachments if a.kind is Kind.IMAGE and not a.logo and a.fingerprint)
    return list(dict.fromkeys(image.fingerprint for image in images))


def without_consent(request: Request, decisions: Collection[UploadDecision]) -> tuple[UploadDecision, ...]:
    """Return the decisions for an answer to a support ticket where nobody allowed its files to be stored.

    Only attached 3D files with what belongs to them, and images, are files then: a screenshot in the text, or a
    document, may show what must not lie at a public address.
    """
    return tuple(
        fate
        if fate is not UploadDecision.FILE
        or (not file.shown and (file.side or file.kind in {Kind.MODEL, Kind.IMAGE, Kind.SIDE}))
        else UploadDecision.INLINE
        if file.shown
        else UploadDecision.KEPT
        for file, fate in zip(request.attachments, decisions, strict=True)
    )


def oversize(size_bytes: int) -> str:
    """Return the defect of a message of which only the beginning was fetched, with its whole size."""
    return f"over the size limit: {size_bytes} bytes"


def oversize_bytes(request: Request) -> int:
    """Return the size of a message of which only the beginning was fetched. 0 when all of it was."""
    return next((int(found[1]) for defect in request.defects if (found := _OVERSIZE.fullmatch(defect))), 0)


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What counts for every attachment of a mail."""

    known: Known
    kinds: Collection[Kind]  # that are files
    has_model: bool  # whether a 3D file is stored, and with it what belongs to it
    is_answer: bool


def _circumstances(request: Request, known: Known, file_types: Collection[str]) -> _Circumstances:
    kinds = {kind for name in file_types for kind in FILE_TYPES[name]}
    has_model = any(file.kind is Kind.MODEL and not file.refused for file in request.attachments)
    is_answer = bool(request.in_reply_to or request.references)
    return _Circumstances(known, kinds, has_model and Kind.MODEL in kinds, is_answer)


def _by_nature(attachment: Attachment, mail: _Circumstances) -> UploadDecision:
    """Return the decision on an attachment by what it is, before its size and its duplicates count."""
    if attachment.refused:
        return UploadDecision.REFUSED
    if attachment.incidental:
        return UploadDecision.LOGO
    if _is_of_set(attachment, mail):
        return UploadDecision.FILE
    if attachment.logo or (_may_be_logo(attachment) and attachment.fingerprint in mail.known.of_sender):
        return UploadDecision.LOGO
    if attachment.shown and (Kind.IMAGE not in mail.kinds or _is_there(attachment, mail)):
        return UploadDecision.INLINE
    return UploadDecision.FILE if attachment.kind in mail.kinds else UploadDecision.KEPT


def _is_of_set(attachment: Attachment, mail: _Circumstances) -> bool:
    """Return whether the attachment lies beside a model, which may need it under its own name.

    A picture that the mail shows in its text is no texture, unless the model names it.
    """
    is_texture = attachment.kind in {Kind.IMAGE, Kind.SIDE} and not attachment.shown
    return mail.has_model and (is_texture or attachment.side != "")


def _is_there(attachment: Attachment, mail: _Circumstances) -> bool:
    """Return whether a picture in the text is known: sent before, on the ticket, or quoted by an answer."""
    known = attachment.fingerprint in mail.known.of_sender or attachment.fingerprint in mail.known.on_ticket
    return known or (mail.is_answer and attachment.quoted)


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


def _identity(attachment: Attachment) -> tuple[str, str, int]:
    name = _UNNAMED.sub("", _NUMBERED.sub("", attachment.filename)).casefold()
    return name, attachment.fingerprint, attachment.size_bytes
