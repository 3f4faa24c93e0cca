"""Decide a request's category."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from poller.model import Category, Classification, DispatchResult
from poller.triage import classification, claude_budget
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from poller.dispatch.job import StepContext
    from poller.workflow.retry import Attempt


CLAUDE_TRIES = 3  # before the rules go on alone


def initial_result(job: StepContext, found: Classification) -> DispatchResult:
    """Return the initial result of a request, before its steps."""
    r2 = job.settings.r2
    return DispatchResult(
        found, upload_decisions=job.upload_decisions, max_file_bytes=r2.max_file_bytes, max_mail_bytes=r2.max_mail_bytes
    )


def classify(job: StepContext) -> Classification:
    """Return the team that must act. The first answer is kept, because a model asked twice may answer differently."""
    reasons: list[str] = []

    def act(attempt: Attempt) -> dict[str, Any]:
        claude: classification.Classifier | None = job.services.claude if attempt.failures < CLAUDE_TRIES else None
        if claude and (most := job.settings.anthropic.max_calls_per_day):
            claude = claude_budget.DailyBudget(claude, job.journal.store, most)
        found = classification.classify_request(job.message.request, claude)
        reasons.append(found.reason)
        # A model's own words may quote the mail, and the state store keeps none of its content.
        return asdict(found) | {"reason": "" if found.decided_by == "claude" else found.reason}

    value = job.journal.step(StepName.CLASSIFY, act, gated=False)
    found = Classification(**value | {"category": Category(value["category"])})
    return replace(found, reason=reasons[0]) if reasons else found
