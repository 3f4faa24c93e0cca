"""The pipeline without a mailbox, a database or a daemon: the work on a mail, in a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from poller.config import loader
from poller.dispatch.clients import services
from poller.dispatch.job import LazyMessage, StepContext
from poller.dispatch.pipeline import Pipeline
from poller.errors import MessageGoneError
from poller.mailbox.source import Fetched
from poller.model import Category, Classification, DispatchResult, Link, Outcome
from poller.workflow.journal import Journal
from poller.workflow.results import WorkResult
from poller.workflow.retry import RetryPolicy
from poller.workflow.shared_lock import SharedLock
from tests.support.journal_record import JournalRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.config.settings import Settings
    from poller.dispatch.clients import Services
    from poller.model import Receipt


class Desk:
    """The work on one mail after the other, with every service behind it: mailbox and state store in a few lines."""

    account = "desk"

    def __init__(self, sandbox: Sandbox, spool: Path) -> None:
        self.sandbox, self.spool = sandbox, spool
        self.environment = sandbox.environment() | {"MODELS_ENABLED": "false", "LEARNING_MODE": "off"}  # see `Office`
        self.mails: dict[str, bytes] = {}
        self.received_at = datetime(2026, 11, 22, 10, tzinfo=UTC)  # of each mail
        self.facts: dict[str, str] = {}
        self.results: dict[str, WorkResult] = {}
        self.receipts: list[Receipt] = []
        self.seen: list[str] = []  # the references of the mails that were marked as read
        self.sent: set[str] = set()  # the Message-IDs in the account's mailbox of sent mail
        self.taken = ""  # the reference of a mail that a person takes away when it is to be labelled

    @cached_property
    def settings(self) -> Settings:
        return loader.from_names({name: value for name, value in self.environment.items() if value})

    @cached_property
    def services(self) -> Services:
        return services(self.settings)

    def fetch(self, reference: str, path: Path) -> Fetched:
        path.write_bytes(self.mails[reference])
        return Fetched(self.received_at)

    def mark_seen(self, reference: str) -> None:
        self.seen.append(reference)

    def label(self, reference: str, outcome: str) -> None:
        if reference == self.taken:
            raise MessageGoneError(outcome)

    def fetch_filed(self, reference: str, outcome: str, received_at: datetime, path: Path) -> Fetched:
        del outcome, received_at
        return self.fetch(reference, path)

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        del outcome, look, supersedes
        self.receipts.append(receipt)

    def was_sent(self, message_id: str) -> bool:
        return message_id in self.sent

    def older(self, reference: str, message_ids: Iterable[str]) -> str:
        del reference, message_ids
        return ""

    def remember(self, key: str, value: str) -> str:
        return self.facts.setdefault(key, value)

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.facts[key] for key in keys if key in self.facts}

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        del since
        return [item for item in reversed(self.facts.items()) if item[0].startswith(prefix)][:limit]

    def result(self, reference: str, before: str = "") -> WorkResult:
        del before
        return self.results.get(reference, WorkResult(Outcome.WORKING))

    def journal(self, reference: str, record: Callable[..., Any] = lambda _, make: make()) -> Journal:
        return Journal(
            reference,
            record,
            step_lock=SharedLock(),
            breakers={},
            retry_policy=RetryPolicy(),
            halt=lambda *_: None,
            store=self,
        )

    def gets(self, raw: bytes) -> WorkResult:
        """Deliver a mail, and return the result of the work on it."""
        reference = f"{len(self.mails):016x}"
        self.mails[reference] = raw
        return self.works_on(reference)

    def works_on(self, reference: str) -> WorkResult:
        """Work on a mail that was delivered, or on its correction of this id, and return the result."""
        pipeline = Pipeline(self.settings, self.services, self, self.spool)
        self.results[reference] = pipeline(self.journal(reference))
        return self.results[reference]

    def made(self) -> tuple[int, int, int]:
        """Return the numbers of tickets, notes and comments."""
        box = self.sandbox
        return (
            len(box.hubspot.tickets),
            len(box.hubspot.notes),
            sum(len(subtask.comments) for subtask in box.clickup.subtasks),
        )


REFERENCE = "0123456789abcdef"  # of the mail of a `StepHarness`


class StepHarness(Desk):
    """The steps of one mail, each run alone, by a process that may be frozen while it fetches the mail."""

    def __init__(self, sandbox: Sandbox, spool: Path, raw: bytes) -> None:
        super().__init__(sandbox, spool)
        self.mails[REFERENCE] = raw
        self.record = JournalRecord()
        self.freezes = False
        self.fault: Exception | None = None  # of the mailbox
        self.fetches = 0
        found = Classification(Category.MODELISATION, 1.0, "rules", "", needs_review=False)
        self.done = DispatchResult(found)  # before the next step

    def open_ticket(self) -> None:
        """Give the mail a contact and a subtask, so that every later step has something to create."""
        assert self.services.hubspot
        assert self.services.clickup
        contact_id = self.services.hubspot.find_or_create_contact("ana@ruiz.example", "", "")
        subtask = self.services.clickup.create_subtask("Fauteuil", "Une demande")
        self.done = replace(self.done, contact_id=contact_id, subtask=Link(subtask.id, subtask.url))
        self.sandbox.hubspot.requests.clear()
        self.sandbox.clickup.requests.clear()

    @property
    def created(self) -> int:
        """Return the number of calls that asked a service to create something."""
        return len([*self.sandbox.hubspot.calls("POST"), *self.sandbox.clickup.calls("POST")])

    def fetch(self, reference: str, path: Path) -> Fetched:
        self.fetches += 1
        self.record.lease_epoch += self.freezes
        if self.fault:
            raise self.fault
        return super().fetch(reference, path)

    def message(self) -> LazyMessage:
        """Begin with the mail, unfetched."""
        return LazyMessage(REFERENCE, self, self.spool / "mail.eml", self.settings.imap)

    def context(self, **given: Any) -> StepContext:
        """Make the context of a new execution."""
        return StepContext(self.record.execution(), self.message(), self, self.services, self.settings, **given)

    def takes(self, step: Callable[[StepContext, DispatchResult], DispatchResult], **given: Any) -> DispatchResult:
        """Run a step in a new execution, and return its result."""
        return step(self.context(**given), self.done)
