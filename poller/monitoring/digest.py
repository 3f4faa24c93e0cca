"""Send the weekly digest when it is due."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.mailbox.account import account_of
from poller.model import Outcome
from poller.monitoring import unanswered
from poller.rendering.digest import letter
from poller.rendering.week import WEEK, Failure, Unanswered, Week, WeeklyMessage
from poller.triage import canary_mark
from poller.workflow.corrections import correction_of, current, message_of
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from datetime import date

    from integrations.hubspot import HubSpot
    from integrations.smtp import Smtp
    from poller.config.settings import DigestSettings, Settings
    from poller.workflow.facts import FactStore
    from poller.workflow.status import Entry, MessageRecord, MessageStatus
    from poller.workflow.store import StateStore


log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

HOUR = timedelta(hours=1)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def tell(
    settings: Settings,
    facts: FactStore,
    smtp: Smtp | None,
    first_start: date,
    now: datetime,
    hubspot: HubSpot | None = None,
) -> None:
    """Send the digest of the last week if it is due, once across restarts and machines. `now` is aware.

    A digest that could not be sent is tried again in the next hour, by the machine that is first to try. None is sent
    for a week that ended before the day after the first start.
    """
    recipient = settings.notification.email
    if settings.digest.weekday == "never" or smtp is None or recipient is None:
        return
    due = last_due(settings.digest, now)
    key, claim = f"digest-{due.date()}", uuid4().hex
    if first_start >= due.date() or facts.recall([key]):
        return
    if facts.remember(f"{key}-{(now - due) // HOUR}", claim) != claim:
        return
    try:
        with closing(open_store(settings)) as remembered:
            ends = due.replace(hour=0)
            week = look_back(remembered, ends, settings.hubspot.hub_id)
            # A week that the service saw in part would make the next look better or worse than it was.
            whole = first_start <= (ends - 2 * WEEK).date()
            before = look_back(remembered, ends - WEEK) if whole else None
            week = replace(week, unanswered=_unanswered(settings, remembered, hubspot, now))
        account = account_of(settings.imap)
        message = letter(week, account=account, sender=settings.sender, recipient=recipient, now=now, before=before)
        smtp.send(message)
    except (ServiceError, ConfigurationError) as error:
        log.warning("digest_not_sent", week=key, reason=str(error))
        return
    facts.remember(key, claim)
    log.info("digest_sent", week=key, messages=len(week.messages))


def _unanswered(settings: Settings, store: StateStore, hubspot: HubSpot | None, now: datetime) -> Unanswered:
    """Return the tickets that nobody has answered, none where HubSpot does not tell: the digest goes without them."""
    try:
        return unanswered.find(settings, store, hubspot, now)
    except (ServiceError, ConfigurationError) as error:
        log.warning("unanswered_tickets_unknown", reason=str(error))
        return Unanswered()


def last_due(digest: DigestSettings, now: datetime) -> datetime:
    """Return the last moment at which a digest was due, in the time zone of the setting."""
    local = now.astimezone(ZoneInfo(digest.timezone))
    day = local.date() - timedelta(days=(local.weekday() - _WEEKDAYS.index(digest.weekday)) % 7)
    due = datetime.combine(day, time(digest.hour), local.tzinfo)
    return due if due <= local else due - WEEK


def look_back(remembered: StateStore, ends: datetime, hub_id: str = "") -> Week:
    """Return the week before that midnight: the messages first seen in it, as they stand by now.

    `hub_id` is the HubSpot account, whose contacts a failure links to, "" for no links.
    """
    begins = ends - WEEK
    found = [each for each in remembered.messages(begins.astimezone(UTC)) if each.seen_at < ends]
    messages = [each for each in found if not _is_correction(each) and not _is_ours(each)]
    # A corrected message counts under its present category.
    now = {message_of(each.reference): each.status for each in current(found)}
    done = tuple(_done(each, now[each.reference], remembered, hub_id) for each in messages)
    corrected = [each for each in found if _is_correction(each) and each.status.outcome.is_dispatched]
    return Week(begins, ends, done, len(corrected))


def _is_correction(message: MessageRecord) -> bool:
    """Return whether the record is a person's correction, and no message."""
    return correction_of(message.reference) is not None


def _is_ours(message: MessageRecord) -> bool:
    return message.status.result.reason == canary_mark.REASON


def _done(message: MessageRecord, now: MessageStatus, remembered: StateStore, hub_id: str) -> WeeklyMessage:
    result, outcome = now.result, now.result.final_outcome
    is_answer = result.decided_by == "thread"
    is_failed = outcome is Outcome.FAILED
    # Journals are long, and most mails open no ticket: read only those of mails that did, or that failed.
    opened = bool(result.ticket) and not is_answer
    journal = remembered.journal(message.reference) if opened or is_failed else []
    return WeeklyMessage(
        message.reference,
        message.seen_at,
        outcome,
        is_answer=is_answer,
        needs_review=result.needs_review,
        failure=Failure(result.step, _kind(journal, result.step), result.reason) if is_failed else None,
        ticket_after_s=_ticket_after_s(journal) if opened else None,
        ticket=result.ticket,
        subtask=result.subtask,
        contact_url=_contact_url(hub_id, result.contact_id),
        portraits=tuple(each for each in result.previews if each.facts and each.url),
        decided_by=message.status.result.decided_by,
        opinion=message.status.result.opinion,  # a correction has none
        was=message.status.outcome if now is not message.status else None,
    )


def _kind(journal: list[Entry], step: str) -> str:
    """Return the kind of the step's last failure, "" if none is recorded."""
    kinds = [entry.content.get("kind", "") for entry in journal if entry.step == step and "fatal" in entry.content]
    return str(kinds[-1]) if kinds else ""


def _contact_url(hub_id: str, contact_id: str) -> str:
    return f"https://app.hubspot.com/contacts/{hub_id}/record/0-1/{contact_id}" if hub_id and contact_id else ""


def _ticket_after_s(journal: list[Entry]) -> float | None:
    """Return the seconds from delivery to ticket.

    None where another message opened the ticket, or where an earlier release did not record the delivery.
    """
    done = {entry.step: entry for entry in journal if entry.content.get("ok")}
    came = done["receive"].content["ok"].get("received_at") if "receive" in done else None
    if "create_ticket" not in done or came is None:
        return None
    return max(0.0, (done["create_ticket"].at - datetime.fromisoformat(came)).total_seconds())
