"""Send the weekly digest: how many messages of each kind, how fast, what failed, what people corrected."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.model import Outcome
from poller.rendering.mail_page import FAILED, Chart, Page, mail
from poller.rendering.phrases import NBSP, step_title

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import EmailMessage


WEEK = timedelta(days=7)
FAILURES = 20  # that are named
_JOURS = ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim.")
_SHOWN = (Outcome.SUPPORT, Outcome.MODELISATION)  # by the parts of a bar
_PARTS = (("Support", "#3b82f6"), ("Modélisation", "#d97706"))


@dataclass(frozen=True, slots=True)
class WeeklyMessage:
    """One message of the week, without its content."""

    reference: str
    seen_at: datetime  # when it was first taken up; aware
    outcome: Outcome  # the final one
    is_answer: bool = False
    needs_review: bool = False
    failure: tuple[str, str] = ("", "")  # step and reason, fit for a log
    ticket_after_s: float | None = None  # from delivery to ticket; None where it opened none


@dataclass(frozen=True, slots=True)
class Week:
    """The messages of seven whole days."""

    begins: datetime  # midnight, aware, in the time zone of the setting
    ends: datetime  # likewise, seven days later
    messages: tuple[WeeklyMessage, ...]
    corrections: int  # messages that a person has put under another category


def letter(week: Week, *, account: str, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Compose the mail with the week on one page. `account` is the mailbox that it is about."""
    outcomes = Counter(each.outcome for each in week.messages)
    failed = [each for each in week.messages if each.outcome is Outcome.FAILED]
    late = outcomes[Outcome.WAITING] + outcomes[Outcome.WORKING]
    checks = []
    if failed:
        checks.append(f"{_count(len(failed), 'message')} en échec, à reprendre dans la boîte des échecs.")
    if late:
        checks.append(f"{_count(late, 'message')} en attente dans la boîte de réception.")
    review = sum(each.needs_review for each in week.messages)
    facts = [
        ("Support", _kind(week, Outcome.SUPPORT)),
        ("Modélisation", _kind(week, Outcome.MODELISATION)),
        ("Ignorés (réponses automatiques, listes, indésirables)", str(outcomes[Outcome.IGNORED])),
        ("De l’arrivée au ticket", _speed(each.ticket_after_s for each in week.messages)),
        ("Classement incertain", str(review)),
        ("Classement corrigé", str(week.corrections)),
        ("Échecs", str(len(failed))),
    ]
    if outcomes[Outcome.GONE]:
        facts.append(("Retirés de la boîte avant la fin du traitement", str(outcomes[Outcome.GONE])))
    title = f"{_count(len(week.messages), 'message')} en une semaine"
    lines = [(FAILED, _failure(each), "") for each in failed[:FAILURES]]
    page = Page(
        kicker=f"Du {week.begins:%d/%m/%Y} au {week.ends - timedelta(days=1):%d/%m/%Y}",
        title=title,
        box=("À regarder", checks),
        facts=facts,
        buttons=(),
        files=(),
        # Two mailboxes have two digests, even where both go to the same admin.
        reference=f"{week.ends:%Y%m%d}.{hashlib.sha256(account.encode()).hexdigest()[:8]}",
        lists=[("Ce qui a échoué", lines)] if lines else (),
        chart=_chart(week),
    )
    subject = f"[Semaine] {title}" + (f", {_count(len(failed), 'échec')}" if failed else "")
    return mail(page, subject, "digest", sender=sender, recipient=recipient, now=now)


def _kind(week: Week, outcome: Outcome) -> str:
    """Format the number of requests, and of the answers among them."""
    found = [each for each in week.messages if each.outcome is outcome]
    answers = sum(each.is_answer for each in found)
    return f"{len(found)}, dont {_count(answers, 'réponse')}" if answers else str(len(found))


def _speed(delays_s: Iterable[float | None]) -> str:
    known = [delay_s for delay_s in delays_s if delay_s is not None]
    return f"médiane {_duration(median(known))}, au pire {_duration(max(known))}" if known else "aucun ticket"


def _duration(seconds: float) -> str:
    """Format a duration in French: « 40 s », « 12 min », « 3 h 05 », « 2 j 4 h »."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004  a minute and a half is better said in seconds
        return f"{seconds:.0f}{NBSP}s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}{NBSP}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60:02}"
    return f"{minutes // 1440}{NBSP}j{NBSP}{minutes % 1440 // 60}{NBSP}h"


def _failure(message: WeeklyMessage) -> str:
    step, reason = message.failure
    return f"{step_title(step)}{NBSP}: {one_line(reason)} [ref: {message.reference}]"


def _chart(week: Week) -> Chart:
    """Build the chart of messages of each kind a day, the same messages that the facts count."""
    days = [(week.begins + timedelta(days=number)).date() for number in range(WEEK.days)]
    counts = Counter((each.seen_at.astimezone(week.ends.tzinfo).date(), each.outcome) for each in week.messages)
    bars = [(f"{_JOURS[day.weekday()]} {day:%d/%m}", [counts[day, outcome] for outcome in _SHOWN]) for day in days]
    return Chart("Messages traités par jour", _PARTS, bars)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
