"""Turn what people corrected into labelled examples.

The state store keeps no content, so each message is read from where it was filed.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import quote
from hashlib import sha256
from heapq import nsmallest
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
from poller.workflow.corrections import correction_of
from poller.workflow.database import open_store
from poller.workflow.errors import MessageUnavailableError
from poller.workflow.status import received_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poller.config.settings import Settings
    from poller.model import Address, Request
    from poller.workflow.status import MessageRecord
    from poller.workflow.store import StateStore

WEEK = timedelta(days=7)
CONFIRMED = 300  # messages that stayed where they were filed, at most


def corrected(store: StateStore) -> list[MessageRecord]:
    """Return the last finished correction of each message that has one, the first seen message first."""
    ids = store.corrections()
    done = corrections.current(store.named({*ids, *map(corrections.message_of, ids)}))
    return [each for each in done if correction_of(each.reference) and each.status.outcome.is_dispatched]


def confirmed(store: StateStore, now: datetime, limit: int = CONFIRMED) -> list[MessageRecord]:
    """Return a fair sample of the messages that stayed for a week where they were filed.

    Who decided on a message plays no part in the choice, and neither does when: it goes by a hash of the reference.
    Answers are left out, as nobody classified them.
    """
    old = (each for each in store.current() if each.changed_at < now - WEEK)
    stayed = (
        each
        for each in old
        if each.status.outcome.is_dispatched
        and not correction_of(each.reference)
        and each.status.result.decided_by != "thread"
    )
    return nsmallest(limit, stayed, key=lambda each: sha256(each.reference.encode()).digest())


def examples(settings: Settings, *, and_confirmed: bool = False) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the reference of each corrected message, and the message with the category that a person gave it.

    With `and_confirmed` those of `confirmed` follow. None stands in place of a message that is no longer filed. The
    form is that of `evaluation.read`. The text is the part that was written for this mail.

    Raises:
        ConfigurationError: nothing has run yet, or settings that cannot work.
        TransientError: the mailbox or the state store is out of reach.
    """
    with (
        closing(open_store(settings)) as store,
        closing(Inbox(settings)) as inbox,
        tempfile.TemporaryDirectory() as directory,
    ):
        records = corrected(store)
        if and_confirmed:
            records += confirmed(store, datetime.now(UTC))
        for each in records:
            reference, outcome = corrections.message_of(each.reference), each.status.outcome
            message = LazyMessage(reference, inbox, Path(directory) / "mail.eml", settings.imap)
            try:
                message.filed(outcome, _received_at(store, each.reference))
                yield reference, example(message.request, outcome.category, _tags(each))
            except MessageGoneError:
                yield reference, None
            except MessageUnavailableError as error:
                raise error.cause from error
            finally:
                message.discard()


def _tags(record: MessageRecord) -> list[str]:
    """Return what is told of a record beside its category: what it had been taken for, if that is known."""
    if not correction_of(record.reference):
        return ["confirmed"]
    was = record.status.result.was or Outcome.FORGOTTEN
    return ["correction", *([f"was_{was}"] if was is not Outcome.FORGOTTEN else [])]


def _received_at(store: StateStore, reference: str) -> datetime:
    if (at := received_at(store.journal(reference))) is None:
        raise MessageGoneError(reference)  # purged while we read
    return at


def example(request: Request, label: Category, tags: Sequence[str]) -> dict[str, Any]:
    """Return a labelled request as plain data.

    `from` is the author, whose name
    ends what is read of the mail, and not the address to answer. The `kind` of an attachment is kept, since perhaps
    only its content told it.
    """
    attachments = [each for each in request.attachments if not (each.inline or each.incidental)]
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
        "tags": list(tags),
        "seed_rule_conflict": label is Category.SUPPORT and any(each.kind is Kind.MODEL for each in attachments),
        "ambiguous": False,
    }


def _from(author: Address) -> str:
    """Format the author as a From field that can be parsed again (RFC 5322 section 3.4), but for its encoding."""
    return f'"{quote(author.display_name)}" <{author.addr_spec}>' if author.display_name else author.addr_spec


@click.command(name="corrections")
@click.option("--jsonl", is_flag=True, help="As labelled examples, with what the mails say: personal data.")
@click.option("--confirmed", "and_confirmed", is_flag=True, help="With --jsonl: also mails that stayed for a week.")
@click.pass_context
def corrections_(ctx: click.Context, *, jsonl: bool, and_confirmed: bool) -> None:
    """List the mails that people have reclassified.

    A line each: when, the correction, and what the mail had been taken for. With --jsonl each mail is read from where
    it is filed, and the lines are what `poller classify --evaluate` takes. With --confirmed a sample follows of those
    that nobody moved for a week. Exit code 75 when the mailbox is out of reach.
    """
    if and_confirmed and not jsonl:
        raise click.UsageError("--confirmed needs --jsonl")
    if jsonl:
        for reference, labelled in examples(settings_of(ctx), and_confirmed=and_confirmed):
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
