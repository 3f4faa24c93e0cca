"""Run the steps that find out what a message is and when it may go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from poller.dispatch import conversation
from poller.triage import attachment_policy, bounce, canary_mark, quotas, screening, sender
from poller.workflow.errors import StepDeferredError
from poller.workflow.results import Participants, Received
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from poller.dispatch.job import StepContext
    from poller.model import Address
    from poller.workflow.retry import Attempt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RATE_LIMITS = TOO_OFTEN, CROWD = "its sender writes too often", "too many new senders write"  # why a message waits


def receive(job: StepContext, *, asked: bool = False) -> Received:
    """Fetch and parse the message, screen it, decide about its attachments, and reserve its slot.

    `asked`: a person asks for the work, so only our own mail is ignored.
    """

    def act(_: Attempt) -> Received:
        request = job.message.request
        own, junk = sender.own_domains(job.settings.imap), job.message.junk
        writer = sender.writer(request, own)
        ignored = canary_mark.recognise(job.journal.store, request, request.reference)
        ignored = ignored or screening.screen(request, own=own, junk=junk)
        if asked and ignored not in {canary_mark.REASON, screening.OWN}:
            ignored = None
        parent_keys = conversation.parent_keys(job.source.account, request)
        unless_answer = bool(ignored and parent_keys and screening.screen(request, own=own, answer=True) is None)
        received = Received(
            ignored=ignored,
            received_at=request.received_at,
            thread_key=conversation.key(job.source.account, request.message_id),
            parent_keys=tuple(parent_keys),
            people=Participants(
                _who(job, request.sender), _who(job, writer), colleague=sender.is_colleague(request, writer, own)
            ),
            unless_answer=unless_answer,
            bounced=bounce.bounced(job.message.beginning) if ignored == screening.DELIVERY_REPORT and not asked else "",
            digest=job.message.digest,
        )
        if ignored and not unless_answer:
            return received
        known = job.journal.store.recall(parent_keys)
        thread = next((known[each] for each in parent_keys if each in known), "")
        decisions, slot = quotas.assign_slot(job.settings, job.journal.store, request.reference, request, thread)
        narrow = attachment_policy.without_consent(request, decisions)
        return replace(
            received,
            support_decisions=narrow if narrow != decisions else (),
            upload_decisions=decisions,
            goes_on_at=slot.at,
            episode=slot.episode,
            crowd=slot.crowd,
            support_files=job.settings.support.files,
            acknowledge=job.settings.acknowledgement.enabled and not asked,
        )

    return job.journal.step(StepName.RECEIVE, act, returns=Received)


def _who(job: StepContext, address: Address) -> str:
    """Return the pseudonym of a person in the state store, "" for an empty address."""
    return quotas.pseudonym(job.settings, address.addr_spec.casefold()) if address.addr_spec else ""


def wait_turn(job: StepContext, received: Received) -> None:
    """Return if the message may go on now.

    Raises:
        StepDeferredError: the rate limit of its sender, or of all new ones, is reached. The wait is not held against
            the message.
        MessageGoneError: a person removed it while it waited, perhaps to reclassify it.
    """
    if received.goes_on_at and received.episode and received.goes_on_at > datetime.now(UTC):
        job.message.look()
        log.warning("message_rate_limited", ref=job.journal.reference, until=received.goes_on_at.isoformat())
        raise StepDeferredError(StepName.RECEIVE, CROWD if received.crowd else TOO_OFTEN, received.goes_on_at)
