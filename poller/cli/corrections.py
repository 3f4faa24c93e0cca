"""Turn what people corrected into labelled examples.

The state store keeps no content, so each message is read from where it was filed.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from datetime import datetime
from email.utils import quote
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poller.cli.options import reader_now, settings_of
from poller.cli.report import moment
from poller.dispatch.job import LazyMessage
from poller.errors import MessageGoneError
from poller.mailbox.inbox import Inbox
from poller.model import Category, Kind, Outcome
from poller.workflow import corrections
from poller.workflow.database import open_store
from poller.workflow.errors import MessageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings
    from poller.model import Address, Request
    from poller.workflow.status import MessageRecord
    from poller.workflow.store import StateStore


def corrected(store: StateStore) -> list[MessageRecord]:
    """Return the last finished correction of each message that has one, the first seen message first."""
    ids = store.corrections()
    done = corrections.current(store.named({*ids, *map(corrections.message_of, ids)}))
    return [each for each in done if corrections.correction_of(each.reference) and each.status.outcome.is_dispatched]


def examples(settings: Settings) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the reference of each corrected message, and the message with the category that a person gave it.

    None in place of the message where it is no longer filed. The form is that of `evaluation.read`. The text is the
    part that was written for this mail.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or the state store is out of reach.
    """
    with (
        closing(open_store(settings)) as store,
        closing(Inbox(settings)) as inbox,
        tempfile.TemporaryDirectory() as directory,
    ):
        for each in corrected(store):
            reference, outcome = corrections.message_of(each.reference), each.status.outcome
            message = LazyMessage(reference, inbox, Path(directory) / "mail.eml", settings.imap)
            try:
                message.filed(outcome, _received_at(store, each.reference))
                was = each.status.result.was or Outcome.FORGOTTEN
                yield reference, example(message.request, outcome.category, was)
            except MessageGoneError:
                yield reference, None
            except MessageUnavailableError as error:
                raise error.cause from error
            finally:
                message.discard()


def _received_at(store: StateStore, reference: str) -> datetime:
    """Return the time at which the message was received, from its journal.

    Raises:
        MessageGoneError: the journal has none.
    """
    for entry in store.journal(reference):
        returned = entry.content.get("ok")
        if isinstance(returned, dict) and "received_at" in returned:
            return datetime.fromisoformat(returned["received_at"])
    raise MessageGoneError(reference)  # purged while we read


def example(request: Request, label: Category, was: Outcome) -> dict[str, Any]:
    """Return a labelled request as plain data.

    `was` is the category that it had been taken for, FORGOTTEN where it was unknown. `from` is the author, whose name
    ends what is read of the mail, and not the address to answer. The `kind` of an attachment is kept, since perhaps
    only its content told it.
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
        "tags": ["correction", *([f"was_{was}"] if was is not Outcome.FORGOTTEN else [])],
        "seed_rule_conflict": label is Category.SUPPORT and any(each.kind is Kind.MODEL for each in attachments),
        "ambiguous": False,
    }


def _from(author: Address) -> str:
    """Format the author as a From field that can be parsed again (RFC 5322 section 3.4), but for its encoding."""
    return f'"{quote(author.display_name)}" <{author.addr_spec}>' if author.display_name else author.addr_spec


@click.command(name="corrections")
@click.option("--jsonl", is_flag=True, help="As labelled examples, with what the mails say: personal data.")
@click.pass_context
def corrections_(ctx: click.Context, *, jsonl: bool) -> None:
    """List the mails that people have reclassified.

    A line each: when, the correction, and what the mail had been taken for. With --jsonl each mail is read from where
    it is filed, and the lines are what `poller classify --evaluate` takes. Exit code 75 when the mailbox is out of
    reach.
    """
    if jsonl:
        for reference, labelled in examples(settings_of(ctx)):
            if labelled:
                click.echo(json.dumps(labelled, ensure_ascii=False))
            else:
                click.echo(f"{reference} is not where it was filed, and is left out", err=True)
        return
    settings = settings_of(ctx, need_imap=False)
    zone = reader_now(settings).tzinfo
    with closing(open_store(settings)) as store:
        for each in corrected(store):
            was = each.status.result.was
            earlier = "unknown" if was in {None, Outcome.FORGOTTEN} else was
            click.echo(f"{moment(each.seen_at, zone)}  {each.reference}  was {earlier}")
