"""What people corrected, as labelled examples; the memory keeps no content, so each is read from where it was filed."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import datetime
from email.utils import quote
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poller.dispatch.job import Message
from poller.errors import MessageGoneError
from poller.mailbox.inbox import Inbox
from poller.model import Category, Kind
from poller.workflow import corrections
from poller.workflow.errors import UnreadError
from poller.workflow.store import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings
    from poller.model import Address, Request
    from poller.workflow.status import Remembered


def corrected(memory: Memory) -> list[Remembered]:
    """The last correction of each message that has one which came to its end, the first seen message's first."""
    return [
        message
        for message in corrections.current(memory.messages())
        if corrections.correction_of(message.reference) and message.standing.outcome in {"support", "modelisation"}
    ]


def examples(settings: Settings) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """By reference, each corrected message with the category that a person gave it; None where it is filed no more.

    As `evaluation.read` takes them: the text is the part that was written for this mail.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or the memory is out of reach.
    """
    with (
        closing(Memory(settings)) as memory,
        closing(Inbox(settings)) as inbox,
        tempfile.TemporaryDirectory() as directory,
    ):
        for each in corrected(memory):
            reference, outcome = corrections.message_of(each.reference), each.standing.outcome
            message = Message(reference, inbox, Path(directory) / "mail.eml", settings.imap)
            try:
                message.filed(outcome, _received_at(memory, each.reference))
                was = (each.standing.result or {}).get("was", "")
                yield reference, example(message.request, Category(outcome.upper()), was)
            except MessageGoneError:
                yield reference, None
            except UnreadError as error:
                raise error.cause from error
            finally:
                message.discard()


def _received_at(memory: Memory, reference: str) -> datetime:
    """When the message was received, by what was written down about it; raises MessageGoneError where nothing is."""
    for entry in memory.journal(reference):
        returned = entry.content.get("ok")
        if isinstance(returned, dict) and "received_at" in returned:
            return datetime.fromisoformat(returned["received_at"])
    raise MessageGoneError(reference)  # forgotten while we read


def example(request: Request, label: Category, was: str) -> dict[str, Any]:
    """A labelled request as plain data; `was` is what it had been taken for, "" where it was unknown.

    `from` is who wrote the mail, whose name ends what is read of it, and not whom an answer would go to. The `kind` of
    an attachment is kept, since only its content may have told it.
    """
    attachments = [each for each in request.attachments if not each.inline]
    return {
        "id": request.reference,
        "lang": "",
        "from": _from(request.author),
        "subject": request.subject,
        "body": request.newest.strip() or request.text,
        "attachments": [
            {
                "filename": each.filename,
                "content_type": each.content_type,
                "size": each.size_bytes,
                "kind": each.kind.value,
            }
            for each in attachments
        ],
        "label": label.value,
        "difficulty": "",
        "tags": ["correction", *([f"was_{was}"] if was else [])],
        "seed_rule_conflict": label is Category.SUPPORT and any(each.kind is Kind.MODEL for each in attachments),
        "ambiguous": False,
    }


def _from(author: Address) -> str:
    """The author as a From field that can be taken apart again (RFC 5322 section 3.4), but for its encoding."""
    return f'"{quote(author.display_name)}" <{author.addr_spec}>' if author.display_name else author.addr_spec
