"""Find the tickets that nobody has answered or moved on, and remind people of them once a working day."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.config.settings import office_hours
from poller.mailbox.account import account_of
from poller.rendering.unanswered import MOST, letter
from poller.rendering.week import Unanswered, UnansweredTicket
from poller.workflow.corrections import correction_of, message_of
from poller.workflow.database import open_store

if TYPE_CHECKING:
    from datetime import datetime

    from integrations.hubspot import HubSpot
    from integrations.smtp import Smtp
    from poller.config.settings import Settings
    from poller.workflow.facts import FactStore
    from poller.workflow.store import StateStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOKED_BACK = timedelta(days=30)


def find(settings: Settings, store: StateStore, hubspot: HubSpot | None, now: datetime) -> Unanswered:
    """Return the tickets of the last month that nobody has answered or moved on in time.

    None are returned where that is turned off. HubSpot is asked about the latest, `MOST` of them: the others have been
    listed before. `now` is aware.

    Raises:
        ServiceError, ConfigurationError: HubSpot does not tell.
    """
    limit_h, office = settings.alerts.unanswered_after_h, office_hours(settings)
    if not limit_h or hubspot is None:
        return Unanswered()
    found: dict[str, UnansweredTicket] = {}
    for message in store.current((now - LOOKED_BACK).astimezone(UTC)):
        ticket = message.status.result.ticket
        # An answer has the ticket of the message that it answers, which was first.
        if not ticket or ticket.id in found:
            continue
        # What is current may be a correction. The customer has waited since the mail.
        first = store.named([message_of(message.reference)]) if correction_of(message.reference) else []
        waits_h = office.between(first[0].seen_at if first else message.seen_at, now)
        if waits_h >= limit_h:
            found[ticket.id] = UnansweredTicket(ticket, waits_h)
    asked = list(found)[-MOST:]
    untouched = hubspot.untouched(asked)
    tickets = sorted((each for id_, each in found.items() if id_ in untouched), key=lambda each: -each.waits_h)
    return Unanswered(tuple(tickets), len(found) - len(asked))


def tell(settings: Settings, facts: FactStore, smtp: Smtp | None, hubspot: HubSpot | None, now: datetime) -> None:
    """Send the reminder, once on each working day that there is something to tell, across restarts and machines.

    One that could not be sent is tried again in the next hour. `now` is aware.
    """
    recipient, office = settings.notification.email, office_hours(settings)
    wanted = settings.alerts.unanswered_letter and settings.alerts.unanswered_after_h
    if not wanted or smtp is None or hubspot is None or recipient is None or not office.is_open(now):
        return
    local = now.astimezone(office.zone)
    key, claim = f"unanswered-{local.date()}", uuid4().hex
    if facts.recall([key]) or facts.remember(f"{key}-{local.hour}", claim) != claim:
        return
    try:
        with closing(open_store(settings)) as store:
            found = find(settings, store, hubspot, now)
        if found.tickets:
            account = account_of(settings.imap)
            smtp.send(letter(found, account=account, sender=settings.sender, recipient=recipient, now=local))
    except (ServiceError, ConfigurationError) as error:
        log.warning("reminder_not_sent", reason=str(error))
        return
    facts.remember(key, claim)
    log.info("reminder_done", tickets=len(found.tickets), unchecked=found.unchecked)
