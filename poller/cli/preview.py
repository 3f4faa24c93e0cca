"""List what a run would do with the waiting messages, without doing any of it."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrations.errors import ConfigurationError
from poller.cli.options import settings_of
from poller.cli.terminal import painted
from poller.daemon.cutoff import FIRST_START
from poller.dispatch import conversation
from poller.dispatch.job import WITHHELD
from poller.errors import MessageGoneError, MessageWithheldError
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import ReclassifyMailboxes
from poller.mailbox.variants import Variants
from poller.model import Outcome
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from poller.triage import classification, form_mark, quotas, screening, sender
from poller.workflow.database import open_store
from poller.workflow.results import Participants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings
    from poller.model import Address, Request
    from poller.workflow.store import StateStore


def preview(settings: Settings, *, everything: bool = False) -> Iterator[dict[str, Any]]:
    """Yield reference, outcome and reason of each waiting message, from the rules and the state store.

    No service is asked. The messages of the inbox come first, then those in the reclassify mailboxes. `everything`
    includes messages that arrived before `imap.since` or the first start.
    """
    with ExitStack() as stack:
        inbox = stack.enter_context(closing(Inbox(settings)))
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "message.eml")
        store = _store(settings)
        if store:
            stack.enter_context(closing(store))
            inbox.variants = Variants(store)
        if not everything:
            inbox.since = settings.imap.since or _first_start(store)
        own, form_key = sender.own_domains(settings.imap), form_mark.key_of(settings.imap)
        for reference in inbox.scan():
            try:
                fetched = inbox.fetch(reference, path)
            except MessageGoneError:
                continue
            except MessageWithheldError:
                yield {"reference": reference, "outcome": Outcome.WAITING.value, "reason": WITHHELD}
                continue
            request = parser_process.parse(path, inbox.account, fetched.received_at, unreadable=UNREADABLE)
            request = sender.identify(request, own, settings.imap.authserv_id, form_key)
            ignored = screening.screen(request, own=own, junk=fetched.junk)
            outcome, reason = (Outcome.IGNORED, ignored) if ignored else _by_the_rules(request)
            # Same as in `receive.receive`: some screened-out messages are work if they answer a ticket.
            if not ignored or screening.screen(request, own=own, answer=True) is None:
                outcome, reason = _as_an_answer(settings, inbox, store, reference, request) or (outcome, reason)
                if store is None and conversation.parent_keys(inbox.account, request):
                    reason += "; may be an answer"
            yield {"reference": reference, "outcome": outcome, "reason": reason}
        dragged = stack.enter_context(closing(ReclassifyMailboxes(settings, inbox)))
        for reference, category in dragged.list_waiting():
            reason = f"a person has put it into {dragged.names[category]!r}"
            yield {"reference": reference, "outcome": category.lower(), "reason": reason}


def _by_the_rules(request: Request) -> tuple[str, str]:
    found = classification.classify_request(request, None)
    if found.needs_review:
        return "unsure", "the rules are unsure: Claude would be asked"
    return found.category.lower(), found.reason


def _as_an_answer(
    settings: Settings, inbox: Inbox, store: StateStore | None, reference: str, request: Request
) -> tuple[str, str] | None:
    """Return outcome and reason of a message that may answer a known request, or None if it names none."""
    keys = conversation.parent_keys(inbox.account, request) if store else []
    known = store.recall(keys) if store else {}
    roots = list(dict.fromkeys(known[key] for key in keys if key in known))
    named = {message.reference: message for message in store.named(roots)} if store else {}
    opened = {root: named[root].status.result for root in roots if root in named}

    def who(address: Address) -> str:
        return quotas.pseudonym(settings, address.addr_spec.casefold()) if address.addr_spec else ""

    people = Participants(who(request.sender), who(sender.writer(request, sender.own_domains(settings.imap))))
    for root, result in opened.items():
        if result.ticket and people.may_answer(result.people):
            outcome = result.category.outcome if result.category else result.outcome
            return outcome, f"an answer to {root}: a note on its ticket"
    if not opened:
        waits = inbox.older(reference, [*request.in_reply_to, *request.references])
        return ("unsure", "may be an answer: it names a message that still waits") if waits else None
    # Only HubSpot knows the contact, and a message that is still in progress may yet open a ticket.
    return "unsure", f"may be an answer to {next(iter(opened))}: it is if the contact of that ticket wrote it"


def _store(settings: Settings) -> StateStore | None:
    try:
        return open_store(settings)
    except ConfigurationError:
        return None


def _first_start(store: StateStore | None) -> date:
    first_start = store.recall([FIRST_START]).get(FIRST_START) if store else None
    return date.fromisoformat(first_start) if first_start else datetime.now(UTC).date()


def print_preview(ctx: click.Context, *, everything: bool, as_json: bool) -> None:
    """Print what a run would do with the waiting messages, a line each."""
    waiting = 0
    for message in preview(settings_of(ctx), everything=everything):
        waiting += 1
        outcome = f"{message['reference']}  {message['outcome'].upper()}  {message['reason']}"
        click.echo(json.dumps(message) if as_json else painted(outcome))
    if not waiting:
        click.echo("nothing to do", err=True)
