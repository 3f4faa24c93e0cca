"""Run the steps that find out what a message is and when it may go on."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from poller.dispatch import conversation
from poller.triage import canary_mark, quotas, screening, sender
from poller.workflow.errors import StepDeferredError

if TYPE_CHECKING:
    from poller.dispatch.job import StepContext
    from poller.model import Address
    from poller.workflow.retry import Attempt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TOO_OFTEN = "its sender writes too often"  # the reason why a rate-limited message waits


def receive(job: StepContext, *, asked: bool = False) -> dict[str, Any]:
    """Fetch and parse the message, screen it, decide about its attachments, and reserve its slot.

    The result, as JSON:

    - `ignored`: why it is no work, None if it is work.
    - `unless_answer`: a message that is screened out is work all the same if it answers a ticket.
    - `received_at`, `key` (its thread key), `forebears` (the keys of the messages that it answers) and `people`.
    - the upload decisions, and the time when it may go on, unless it is ignored for good: see `quotas.assign_slot`.

    `asked`: a person asks for the work, so only our own mail is ignored.
    """

    def act(_: Attempt) -> dict[str, Any]:
        request = job.message.request
        own, junk = sender.own_domains(job.settings.imap), job.message.junk
        writer = sender.writer(request, own)
        people = conversation.Participants(
            _who(job, request.sender), _who(job, writer), colleague=sender.is_ours(writer.addr_spec, own)
        )
        ignored = canary_mark.recognise(job.journal.store, request, request.reference)
        ignored = ignored or screening.screen(request, own=own, junk=junk)
        if asked and ignored not in {canary_mark.REASON, screening.OWN}:
            ignored = None
        found = {
            "ignored": ignored,
            "received_at": request.received_at.isoformat(),
            "key": conversation.key(job.source.account, request.message_id),
            "forebears": conversation.parent_keys(job.source.account, request),
            "people": asdict(people),
        }
        if ignored:
            unless_answer = bool(found["forebears"]) and screening.screen(request, own=own, answer=True) is None
            return (
                found
                | {"unless_answer": unless_answer}
                | (
                    quotas.assign_slot(job.settings, job.journal.store, request.reference, request)
                    if unless_answer
                    else {}
                )
            )
        return found | quotas.assign_slot(job.settings, job.journal.store, request.reference, request)

    received: dict[str, Any] = job.journal.step("receive", act, "imap")
    return received


def _who(job: StepContext, address: Address) -> str:
    """Return the pseudonym of a person in the state store, "" for an empty address."""
    return quotas.pseudonym(job.settings, address.addr_spec.casefold()) if address.addr_spec else ""


def wait_turn(job: StepContext, received: dict[str, Any]) -> None:
    """Return if the message may go on now.

    Raises:
        MustWaitError: its sender's rate limit is reached. The wait is not held against the message.
        MessageGoneError: a person removed it while it waited, perhaps to reclassify it.
    """
    goes_on_at = datetime.fromisoformat(received["goes_on_at"])
    if received["episode"] and goes_on_at > datetime.now(UTC):
        job.message.look()
        log.warning("message_rate_limited", ref=job.journal.reference, until=received["goes_on_at"])
        raise StepDeferredError("receive", TOO_OFTEN, goes_on_at)
