"""What the state of the fixture `store` remembers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from poller.model import Category, Link, Outcome
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName

NAMES = ("support", "ignored", "failed", "waiting", "corrected", "again", "broken", "working", "receipt")
IDS = {name: f"{number:016x}" for number, name in enumerate(NAMES)}
AT_FOUR = datetime(2026, 11, 22, 14, tzinfo=UTC)
WAITS = WorkResult(Outcome.WAITING, step=StepName.LABEL, reason="IMAP", until=AT_FOUR)
TICKET, SUBTASK = Link("29000000001", "https://app.hubspot.com/1"), Link("86c000001", "https://app.clickup.com/1")
RETURNED = {
    IDS["support"]: WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, ticket=TICKET),
    IDS["ignored"]: WorkResult(Outcome.IGNORED),
    IDS["failed"]: WorkResult(Outcome.FAILED, reason='it says "outcome":"waiting"'),
    IDS["waiting"]: WAITS,
    IDS["receipt"]: replace(WAITS, filed=Outcome.SUPPORT),
    IDS["corrected"]: WorkResult(Outcome.FAILED),
    f"{IDS['corrected']}/support/1": WorkResult(Outcome.SUPPORT),
    IDS["again"]: WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, ticket=TICKET, subtask=SUBTASK),
    f"{IDS['again']}/modelisation/1": WorkResult(Outcome.MODELISATION),
    f"{IDS['again']}/support/2": WorkResult(Outcome.FAILED),
}
