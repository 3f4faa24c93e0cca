"""Decide a request's category."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from poller.dispatch.corrected_mails import examples_for
from poller.model import Category, Classification, DispatchResult
from poller.triage import classification, claude_budget
from poller.workflow.results import opinion_of
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from datetime import datetime

    from poller.dispatch.job import StepContext
    from poller.workflow.journal import Journal
    from poller.workflow.retry import Attempt


def initial_result(job: StepContext, found: Classification) -> DispatchResult:
    """Return the initial result of a request, before its steps."""
    r2 = job.settings.r2
    return DispatchResult(
        found, upload_decisions=job.upload_decisions, max_file_bytes=r2.max_file_bytes, max_mail_bytes=r2.max_mail_bytes
    )


class _PatientClassifier:
    """Claude, for a request that waits for it until `latest`."""

    def __init__(self, claude: classification.Classifier, journal: Journal, latest: datetime) -> None:
        self._claude, self._journal, self._latest = claude, journal, latest

    def ask(self, system: str, content: str, schema: dict[str, Any]) -> classification.ClassifierAnswer:
        """Ask Claude in turn. See `integrations.claude.Claude.ask`.

        Raises:
            UnansweredError: the wait is over, and Claude does not answer.
            ServiceHeldBackError: another request tries first whether Claude answers.
        """
        ask = partial(self._claude.ask, system, content, schema)
        answer = self._journal.call_service(StepName.CLASSIFY, ask, self._latest)
        if answer is None:
            raise classification.UnansweredError("waited for in vain: see ANTHROPIC_WAIT_S")
        return answer


def classify(job: StepContext) -> Classification:
    """Return the team that must act. The first answer is kept, because a model asked twice may answer differently.

    A request that the rules are sure about needs no answer of Claude, and does not wait for one.
    """
    reasons: list[str] = []
    settings = job.settings.anthropic

    def act(attempt: Attempt) -> dict[str, Any]:
        claude: classification.Classifier | None = job.services.claude
        if claude and (most := settings.max_calls_per_day):
            claude = claude_budget.DailyBudget(claude, job.journal.store, most)
        if claude:
            claude = _PatientClassifier(claude, job.journal, attempt.since + timedelta(seconds=settings.wait_s))
        lessons = partial(examples_for, job.corrected_mails, job.journal.store)
        found = classification.classify_request(job.message.request, claude, job.adviser, lessons)
        reasons.append(found.reason)
        return _as_json(found)

    found = _from_json(job.journal.step(StepName.CLASSIFY, act, gated=False))
    return replace(found, reason=reasons[0]) if reasons else found


def _as_json(found: Classification) -> dict[str, Any]:
    """Return the recorded form."""
    recorded = asdict(found)
    if found.opinion is None:
        del recorded["opinion"]
    # A model's own words may quote the mail, and the state store keeps none of its content.
    return recorded | ({"reason": ""} if found.decided_by == "claude" else {})


def _from_json(recorded: dict[str, Any]) -> Classification:
    """Read the recorded form, of this release or an earlier one."""
    opinion = recorded.get("opinion")
    return Classification(
        **recorded | {"category": Category(recorded["category"]), "opinion": opinion_of(opinion) if opinion else None}
    )
