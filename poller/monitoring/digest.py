"""Send the weekly digest when it is due."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.mailbox.download import account_of
from poller.model import Outcome
from poller.rendering.digest import WEEK, Week, WeeklyMessage, letter
from poller.triage import canary_mark
from poller.workflow import store
from poller.workflow.corrections import correction_of, current, message_of

if TYPE_CHECKING:
    from datetime import date

    from integrations.smtp import Smtp
    from poller.config.settings import DigestSettings, Settings
    from poller.workflow.facts import FactStore
    from poller.workflow.status import Entry, MessageRecord, MessageStatus


log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

HOUR = timedelta(hours=1)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def tell(settings: Settings, facts: FactStore, smtp: Smtp | None, first_start: date, now: datetime) -> None:
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
        with closing(store.open_store(settings)) as remembered:
            week = look_back(remembered, due.replace(hour=0))
        account = account_of(settings.imap)
        smtp.send(letter(week, account=account, sender=settings.sender, recipient=recipient, now=now))
    except (ServiceError, ConfigurationError) as error:
        log.warning("digest_not_sent", week=key, reason=str(error))
        return
    facts.remember(key, claim)
    log.info("digest_sent", week=key, messages=len(week.messages))


def last_due(digest: DigestSettings, now: datetime) -> datetime:
    """Return the last moment at which a digest was due, in the time zone of the setting."""
    local = now.astimezone(ZoneInfo(digest.timezone))
    day = local.date() - timedelta(days=(local.weekday() - _WEEKDAYS.index(digest.weekday)) % 7)
    due = datetime.combine(day, time(digest.hour), local.tzinfo)
    return due if due <= local else due - WEEK


def look_back(remembered: store.StateStore, ends: datetime) -> Week:
    """Return the week before that midnight: the messages first seen in it, as they stand by now."""
    begins = ends - WEEK
    found = [each for each in remembered.messages(begins.astimezone(UTC)) if each.seen_at < ends]
    messages = [each for each in found if not _is_correction(each) and not _is_ours(each)]
    # A corrected message counts under its present category.
    now = {message_of(each.reference): each.status for each in current(found)}
    done = tuple(_done(each, now[each.reference], remembered) for each in messages)
    corrected = [each for each in found if _is_correction(each) and each.status.outcome.is_dispatched]
    return Week(begins, ends, done, len(corrected))


def _is_correction(message: MessageRecord) -> bool:
    """Return whether the record is a person's correction, and no message."""
    return correction_of(message.reference) is not None


def _is_ours(message: MessageRecord) -> bool:
    return message.status.result.reason == canary_mark.REASON


def _done(message: MessageRecord, now: MessageStatus, remembered: store.StateStore) -> WeeklyMessage:
    result, outcome = now.result, now.result.final_outcome
    is_answer = result.decided_by == "thread"
    # Journals are long, and most mails open no ticket: read only those of mails that did.
    opened = result.ticket and not is_answer
    after_s = _ticket_after_s(remembered.journal(message.reference)) if opened else None
    return WeeklyMessage(
        message.reference,
        message.seen_at,
        outcome,
        is_answer=is_answer,
        needs_review=result.needs_review,
        failure=(result.step, result.reason) if outcome is Outcome.FAILED else ("", ""),
        ticket_after_s=after_s,
    )


def _ticket_after_s(journal: list[Entry]) -> float | None:
    """Return the seconds from delivery to ticket.

    None where another message opened the ticket, or where an earlier release did not record the delivery.
    """
    done = {entry.step: entry for entry in journal if entry.content.get("ok")}
    came = done["receive"].content["ok"].get("received_at") if "receive" in done else None
    if "create_ticket" not in done or came is None:
        return None
    return max(0.0, (done["create_ticket"].at - datetime.fromisoformat(came)).total_seconds())
