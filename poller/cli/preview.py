"""What a run would do with the messages that wait, without doing any of it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError
from poller.daemon.cutoff import FIRST_START
from poller.dispatch import conversation
from poller.mailbox.inbox import Inbox
from poller.mailbox.reclassify_mailboxes import Trays
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from poller.triage import classification, quotas, screening, sender
from poller.workflow.store import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Settings
    from poller.model import Address, Request


def preview(settings: Settings, *, everything: bool = False) -> Iterator[dict[str, Any]]:
    """For each waiting message its reference and outcome, by the rules and the memory alone: no service is asked.

    Behind those in the inbox what a person has dragged away to be dispatched as something else.
    """
    with ExitStack() as stack:
        inbox = stack.enter_context(closing(Inbox(settings)))
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "message.eml")
        memory = _memory(settings)
        if memory:
            stack.enter_context(closing(memory))
        if not everything:
            inbox.since = settings.imap.since or _first_start(memory)
        own = sender.own_domains(settings.imap)
        for reference in inbox.scan():
            fetched = inbox.fetch(reference, path)
            request = parser_process.parse(path, inbox.account, fetched.received_at, unreadable=UNREADABLE)
            request = sender.identify(request, own, settings.imap.authserv_id)
            ignored = screening.screen(request, own=own, junk=fetched.junk)
            outcome, reason = ("ignored", ignored) if ignored else _by_the_rules(request)
            # As `steps.receive` has it: some of what is screened out is work if it answers a ticket.
            if not ignored or screening.screen(request, own=own, answer=True) is None:
                outcome, reason = _as_an_answer(settings, inbox, memory, reference, request) or (outcome, reason)
                if memory is None and conversation.forebears(inbox.account, request):
                    reason += "; may be an answer"
            yield {"reference": reference, "outcome": outcome, "reason": reason}
        dragged = stack.enter_context(closing(Trays(settings, inbox)))
        for reference, category in dragged.lying():
            reason = f"a person has put it into {dragged.names[category]!r}"
            yield {"reference": reference, "outcome": category.lower(), "reason": reason}


def _by_the_rules(request: Request) -> tuple[str, str]:
    found = classification.classify_request(request, None)
    if found.needs_review:
        return "unsure", "the rules are unsure: Claude would be asked"
    return found.category.lower(), found.reason


def _as_an_answer(
    settings: Settings, inbox: Inbox, memory: Memory | None, reference: str, request: Request
) -> tuple[str, str] | None:
    """Outcome and reason of what names a message of a request there is; None when it names none."""
    keys = conversation.forebears(inbox.account, request) if memory else []
    roots = dict.fromkeys(root for key in keys if memory and (root := memory.recall(key)))
    named = {message.reference: message for message in memory.named(roots)} if memory and roots else {}
    opened = {root: named[root].standing.result or {} for root in roots if root in named}

    def who(address: Address) -> str:
        return quotas.pseudonym(settings, address.addr_spec.casefold()) if address.addr_spec else ""

    people = conversation.People(who(request.sender), who(sender.writer(request, sender.own_domains(settings.imap))))
    for root, result in opened.items():
        if result.get("ticket") and people.may_answer(conversation.People(**result.get("people", {}))):
            return str(result.get("category", result["outcome"])), f"an answer to {root}: a note on its ticket"
    if not opened:
        waits = inbox.holds_older(reference, [*request.in_reply_to, *request.references])
        return ("unsure", "may be an answer: it names a message that still waits") if waits else None
    # Whose contact it is HubSpot knows; what is still at work may open a ticket yet.
    return "unsure", f"may be an answer to {next(iter(opened))}: it is if the contact of that ticket wrote it"


def _memory(settings: Settings) -> Memory | None:
    try:
        return Memory(settings)
    except ConfigurationError:
        return None


def _first_start(memory: Memory | None) -> date:
    first_start = memory.recall(FIRST_START) if memory else ""
    return date.fromisoformat(first_start) if first_start else datetime.now(UTC).date()
