"""What people corrected, as labelled examples; the memory keeps no content, so each is read from where it was filed."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poller import corrections
from poller.inbox import Inbox
from poller.job import Message
from poller.journal import MessageGoneError, UnreadError
from poller.memory import Memory
from poller.request import Category, Kind
from poller.wording import who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.memory import Remembered
    from poller.request import Request
    from poller.settings import Settings


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
            received = next(entry for entry in memory.journal(each.reference) if _is_received(entry.content.get("ok")))
            message.filed(outcome, datetime.fromisoformat(received.content["ok"]["received_at"]))
            try:
                was = (each.standing.result or {}).get("was", "")
                yield reference, example(message.request, Category(outcome.upper()), was)
            except MessageGoneError:
                yield reference, None
            except UnreadError as error:
                raise error.cause from error
            finally:
                message.discard()


def _is_received(returned: object) -> bool:
    return isinstance(returned, dict) and "received_at" in returned


def example(request: Request, label: Category, was: str) -> dict[str, Any]:
    """A labelled request as plain data; `was` is what it had been taken for, "" where it was unknown."""
    attachments = [each for each in request.attachments if not each.inline]
    return {
        "id": request.reference,
        "lang": "",
        "from": who(request.sender),
        "subject": request.subject,
        "body": request.newest.strip() or request.text,
        "attachments": [
            {"filename": each.filename, "content_type": each.content_type, "size": each.size_bytes}
            for each in attachments
        ],
        "label": label.value,
        "difficulty": "",
        "tags": ["correction", *([f"was_{was}"] if was else [])],
        "seed_rule_conflict": label is Category.SUPPORT and any(each.kind is Kind.MODEL for each in attachments),
        "ambiguous": False,
    }
