"""Find out what the daemon sees in a mail, by the code that the daemon runs, without settings or services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from poller.config.settings import R2Settings
from poller.model import UploadDecision
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from poller.triage import attachment_policy, rules, screening, sender

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poller.model import Address, Attachment, Request
    from poller.triage.rules import RuleVerdict

_REASONS: Final = {
    UploadDecision.INLINE: "shown in the text, and quoted from an earlier mail",
    UploadDecision.LOGO: "a small image of a signature",
    UploadDecision.DUPLICATE: "the name and the bytes of an earlier attachment",
    UploadDecision.REFUSED: "a program, a page or a script",
    UploadDecision.TOO_BIG: "over the size limit of a file or of a mail",
    UploadDecision.OVER_CAP: "over the limit of its sender for a day",
    UploadDecision.KEPT: "no kind of file that is stored",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """A mail as the daemon sees it."""

    request: Request  # with the customer as its sender
    why_sender: str  # why that is the customer, in a few English words
    fates: tuple[UploadDecision, ...]  # of each attachment, under the default limits, without any earlier mail
    ignored: str | None  # why the mail is no work, None for work
    verdict: RuleVerdict | None  # None if the rules are unsure


def inspect(path: Path, own: Sequence[str], authserv_id: str) -> Findings:
    """Return what the daemon sees in the mail of a file.

    `own` holds our domains, or addresses of ours, in lower case. With "" for `authserv_id` no server is believed.

    Raises:
        OSError: the file cannot be read.
        ParserDiedError: not even the header can be read.
    """
    parsed = parser_process.parse(path, "", datetime.now(UTC), unreadable=UNREADABLE)
    request = sender.identify(parsed, own, authserv_id)
    limits = R2Settings()
    return Findings(
        request=request,
        why_sender=_why(request, own),
        fates=attachment_policy.decide_uploads(
            request, attachment_policy.Caps(limits.max_file_bytes, limits.max_mail_bytes)
        ),
        ignored=screening.screen(request, own=own),
        verdict=rules.confident_verdict(request),
    )


def as_json(findings: Findings) -> dict[str, Any]:
    """Return the findings as plain data. `docs/commands.md` lists the names, which are stable."""
    request, verdict = findings.request, findings.verdict
    return {
        "reference": request.reference,
        "sender": _address(request.sender),
        "author": _address(request.author),
        "subject": request.subject,
        "text": request.text,
        "newest": request.newest,
        "attachments": [
            {
                "name": attachment.filename,
                "kind": attachment.kind,
                "fate": fate,
                "reason": why_fate(attachment, fate),
                "size_bytes": attachment.size_bytes,
                "content_type": attachment.content_type,
            }
            for attachment, fate in zip(request.attachments, findings.fates, strict=True)
            if not attachment.incidental
        ],
        "links": list(request.links),
        "in_reply_to": list(request.in_reply_to),
        "references": list(request.references),
        "original_senders": [each.addr_spec for each in request.original_senders],
        "ignored": findings.ignored,
        "defects": list(request.defects),
        "rules": verdict and {"category": verdict.category, "confidence": verdict.confidence, "reason": verdict.reason},
    }


def why_fate(attachment: Attachment, fate: UploadDecision) -> str:
    """Return the reason for the fate of an attachment in a few English words."""
    if fate is not UploadDecision.FILE:
        return _REASONS[fate]
    if attachment.shown:
        return "shown in the text, and new"
    return "belongs to a 3D file of the mail" if attachment.side else f"of a kind that is stored: {attachment.kind}"


def cut(request: Request) -> list[str]:
    """Return the lines of the text that are not in its newest part, without empty ones."""
    kept = request.newest.split("\n")
    lines = []
    at = 0
    for line in request.text.split("\n"):
        if at < len(kept) and line.strip() == kept[at].strip():
            at += 1
        elif line.strip():
            lines.append(line)
    return lines


def _address(address: Address) -> dict[str, str]:
    return {"address": address.addr_spec, "name": address.display_name}


def _why(request: Request, own: Sequence[str]) -> str:
    """Return why the sender is the customer, by where the mail names that address."""
    address = request.sender.addr_spec.casefold()
    if sender.from_our_form(request, own):
        return "the visitor who filled in our form"
    if address == request.author.addr_spec.casefold():
        return "From"
    if address in request.header("reply-to").casefold():
        return "Reply-To"
    if address in (each.addr_spec.casefold() for each in request.original_senders):
        return "wrote the mail that a colleague forwards"
    return "the person behind our own address in From"
