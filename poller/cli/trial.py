"""Try out one mail: classify it, or run all steps on it in the sandbox or live."""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError, ServiceError
from poller.cli import demo
from poller.dispatch.clients import services
from poller.dispatch.pipeline import Pipeline
from poller.mailbox.source import Fetched
from poller.model import Outcome
from poller.parsing import parser
from poller.triage import classification, form_mark, screening, sender
from poller.triage.advice import adviser
from poller.workflow.errors import StepDeferredError
from poller.workflow.facts import InMemoryFacts
from poller.workflow.journal import Journal
from poller.workflow.retry import RetryPolicy
from poller.workflow.shared_lock import SharedLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poller.config.settings import Settings
    from poller.model import Classification, Receipt


_HEADER_BYTES = 65_536  # within which one of the fields below is expected
_FIELD = re.compile(rb"(?im)^(from|to|date|subject|message-id|received|return-path|mime-version)[ \t]*:")


class FileSource:
    """A `MessageSource` that holds one mail from a file, and labels nothing."""

    account = "trial"

    def __init__(self, path: Path) -> None:
        """Keep the path. The file is only read."""
        self._path = path

    def fetch(self, reference: str, path: Path) -> Fetched:
        """Copy the mail to the path, as if it had just arrived."""
        del reference
        shutil.copyfile(self._path, path)
        return Fetched(datetime.now(UTC))

    def mark_seen(self, reference: str) -> None:
        """Do nothing: the mail is in no mailbox."""

    def label(self, reference: str, outcome: Outcome) -> None:
        """Do nothing: there is no mailbox to label it in."""

    def fetch_filed(self, reference: str, outcome: Outcome, received_at: datetime, path: Path) -> Fetched:
        """Fetch the mail again: it is in no other place."""
        del outcome, received_at
        return self.fetch(reference, path)

    def append(self, outcome: Outcome, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        """Do nothing: there is no mailbox for the receipt."""

    def was_sent(self, message_id: str) -> bool:
        """Return False: there is no mailbox."""
        del message_id
        return False

    def older(self, reference: str, message_ids: Iterable[str]) -> str:
        """Return "": there is no other message."""
        del reference, message_ids
        return ""


def is_mail(path: Path) -> bool:
    """Return True if the file begins with a header, as a message does (RFC 5322 section 2.2)."""
    with path.open("rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(_HEADER_BYTES), maxsplit=1)[0]
    return bool(_FIELD.search(header))


def classify(settings: Settings, mail: Path) -> dict[str, Any]:
    """Return the category of a mail, who decided and why. Nothing is created."""
    own = sender.own_domains(settings.imap)
    request = parser.parse(mail, FileSource.account, datetime.now(UTC))
    request = sender.identify(request, own, settings.imap.authserv_id, form_mark.key_of(settings.imap))
    if ignored := screening.screen(request, own=own):
        return {"category": "IGNORED", "reason": ignored}
    advised = adviser(settings)
    try:
        found = classification.classify_request(request, services(settings).claude, advised)
    except ServiceError as error:
        found = classification.classify_request(request, None, advised)
        return _verdict(found) | {"claude": str(error)}
    return _verdict(found)


def _verdict(found: Classification) -> dict[str, Any]:
    verdict = {
        "category": found.category,
        "confidence": found.confidence,
        "decided_by": found.decided_by,
        "reason": found.reason,
        "needs_review": found.needs_review,
    }
    if opinion := found.opinion:
        learned = {"learned": opinion.category, "learned_confidence": opinion.confidence, "learned_sure": opinion.sure}
        return verdict | learned
    return verdict


def live(settings: Settings, mail: Path) -> dict[str, Any]:
    """Run all steps on one mail with the configured services. Only the mailbox is left out, and so the receipt.

    The customer, who knows nothing of it, gets no letter.
    """
    off = {"enabled": False}
    receipts, letters = settings.receipts.model_copy(update=off), settings.acknowledgement.model_copy(update=off)
    settings = settings.model_copy(update={"receipts": receipts, "acknowledgement": letters})
    source = FileSource(mail)
    received_at = datetime.now(UTC)
    reference = parser.parse(mail, source.account, received_at).reference

    faults: list[ConfigurationError] = []
    with tempfile.TemporaryDirectory() as spool:
        pipeline = Pipeline(settings, services(settings), source, Path(spool))
        journal = Journal(
            reference,
            lambda _, make: make(),
            store=InMemoryFacts(),
            step_lock=SharedLock(),
            breakers={},
            retry_policy=RetryPolicy(),
            halt=lambda _, fault: faults.append(fault),
        )
        try:
            return {"reference": reference} | pipeline(journal).as_json()
        except StepDeferredError as wait:
            if faults:
                raise faults[0] from None
            return {"reference": reference, "outcome": Outcome.WAITING, "step": wait.step, "reason": wait.reason}


def sandbox(mail: Path, echo: Callable[[str], Any]) -> dict[str, Any]:
    """Run all steps on one mail from a mailbox of its own, with a stand-in for every service."""
    ended = demo.run(echo, {"mail": mail.read_bytes()}, texts=True)
    reference, status = next(iter(ended.items()))
    return {"reference": reference} | status.result.as_json()
