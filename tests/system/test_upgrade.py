"""An upgrade loses nothing: the new code goes on with what an earlier release left, to exactly one of everything."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from datetime import date, datetime
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest

from poller.daemon import cutoff
from poller.daemon.daemon import Daemon
from poller.dispatch.upload import FILE_FACT
from poller.monitoring import digest
from poller.monitoring.alerts import CALM, Alerts
from poller.monitoring.canary import CanarySender
from poller.triage import claude_budget, quotas
from poller.workflow.database import open_store
from tests.support import stored_files
from tests.system.recorded_states import CAUSE, ENVIRONMENT, HOST, PARIS, facts, load, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import EmailMessage
    from pathlib import Path

    from tests.conftest import Office
    from tests.system.recorded_states import Case

EVERYTHING = ("contacts", "tickets", "notes", "subtasks", "comments", "files", "notifications", "receipts")
KINDS = {
    *("first-start", "since", "file-secret", "thread", "thread-subtask", "failed", "sender", "image"),
    *("claude", "alert", "canary", "canary-verdict", "digest"),
}
MARKER = re.compile(r"ref: ?([0-9a-f]{16}(?:/[a-z]+/[0-9]+)?)")


@pytest.mark.parametrize("folder", recorded(), ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_state_of_an_earlier_release_comes_to_one_of_everything(office: Office, folder: Path) -> None:
    """Nothing is lost or doubled, whatever was in hand, waited, had failed, or was done."""
    case = load(folder, office)
    for act in case.acts:
        act.happen(office)
        office.once()
        assert made(office) == dict.fromkeys(EVERYTHING, 0) | act.counts
        assert office.mailboxes() == act.mailboxes
        assert outcomes(office) == act.outcomes
        assert doubled(office) == []
        if not {"failed", "gone"} & set(act.outcomes):
            assert unlinked(office) == []
        assert list(office.settings.directory.glob("spool/*")) == []
    kept = facts(office)
    assert {key: kept.get(key) for key in case.facts} == case.facts


@pytest.mark.parametrize(
    "folder", [each for each in recorded() if each.name == "facts"], ids=lambda folder: folder.parent.name
)
def test_facts_of_an_earlier_release_mean_what_they_meant(office: Office, folder: Path) -> None:
    """Each kind is asked for by what it is for, at the time of the recording."""
    case = load(folder, office)
    assert {_kind(key) for key in case.facts} >= KINDS
    office.once()
    arrived = [key.removesuffix("-arrived") for key in facts(office) if key.endswith("-arrived")]
    assert len(arrived) == 1
    assert arrived[0] in case.facts, "the canary that lay in the inbox was known for what it is"
    now = datetime.fromisoformat(case.recorded_at)
    told = len(office.sandbox.smtp.messages)
    sent: list[EmailMessage] = []
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    try:
        daemon.start()
        store = daemon.store
        assert daemon.first_start.isoformat() == case.facts[cutoff.FIRST_START]
        assert f"{cutoff.SINCE}{cutoff.earliest_cutoff(store)}" in case.facts
        assert store.remember(FILE_FACT, "another") == case.facts[FILE_FACT]
        sender = quotas.pseudonym(office.settings, "hugues@lambert.example")
        slots = [key for key in case.facts if key.startswith(f"sender-{sender}-")]
        assert len(quotas.account(store, sender, "", now, 5).slots) == len(slots) > 0
        claude = claude_budget.DailyBudget(daemon.claude, store, _count(case, "claude"), now=lambda: now)  # type: ignore[arg-type]
        with pytest.raises(claude_budget.OverBudgetError):
            claude.ask("", "", {})
        canary = CanarySender(office.settings, store, sent.append)
        canary.run(now, deaf=True)
        assert canary.missing_since is not None
        assert canary.missing_since.isoformat() == _last(case, "canary-verdict")
        digest.tell(office.settings, store, daemon.smtp, date.min, now)
        assert len(office.sandbox.smtp.messages) == told, "its week was told of before"
        who = {"sender": "poller@figurative.example", "recipient": "admin@figurative.example"}
        alerts = Alerts(store, sent.append, host=HOST, zone=PARIS, **who)
        alerts.tell([CAUSE], now)
        assert sent == [], "it was told before"
        alerts.tell([], now + CALM)
        assert [str(letter["Subject"]) for letter in sent] == [
            "[Fin d’alerte] HubSpot accepte de nouveau nos identifiants"
        ]
    finally:
        daemon.stop()


def made(office: Office) -> dict[str, int]:
    """How many of everything there is; a letter that was sent twice counts twice."""
    comments = [comment for subtask in office.sandbox.clickup.subtasks for comment in subtask.comments]
    return office.counts() | {"comments": len(comments), "receipts": len(receipts(office))}


def outcomes(office: Office) -> list[str]:
    """What all messages and corrections have come to."""
    with closing(open_store(office.settings)) as store:
        return sorted(message.status.outcome for message in store.messages())


def receipts(office: Office) -> list[str]:
    """The Message-ID of every receipt in every mailbox."""
    box = office.sandbox.imap
    mails = [message_from_bytes(each.raw) for held in box.all_messages().values() for each in held]
    return [each["Message-ID"] for each in mails if each["X-Figurative-Poller"] == "receipt"]


def doubled(office: Office) -> list[str]:
    """What there is two of for one message: tickets, notes, subtasks, comments, receipts."""
    box = office.sandbox
    comments = [comment.text for subtask in box.clickup.subtasks for comment in subtask.comments]
    return [
        *_twice(receipts(office)),
        *_twice(_marks(ticket.properties["content"] for ticket in box.hubspot.tickets)),
        *_twice(_marks(note.properties["hs_note_body"] for note in box.hubspot.notes)),
        *_twice(_marks(subtask.text for subtask in box.clickup.subtasks)),
        *_twice(_marks(comments)),
    ]


def unlinked(office: Office) -> list[str]:
    """The files, and the notes, that no ticket leads to."""
    hubspot = office.sandbox.hubspot
    texts = [ticket.properties["content"] for ticket in hubspot.tickets]
    texts += [note.properties["hs_note_body"] for note in hubspot.notes]
    files = [each.path for each in stored_files.sent(office.sandbox)]
    notes = [note.id for note in hubspot.notes if not hubspot.associated("notes", note.id, "tickets")]
    return notes + [key for key in files if not any(f"{ENVIRONMENT['R2_PUBLIC_URL']}/{key}" in text for text in texts)]


def _marks(texts: Iterable[str]) -> list[str]:
    return [mark for text in texts for mark in set(MARKER.findall(text))]


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _kind(key: str) -> str:
    """What a fact is of, by the beginning of its key."""
    return next((kind for kind in sorted(KINDS, key=len, reverse=True) if re.match(rf"{kind}\b", key)), key)


def _count(case: Case, kind: str) -> int:
    return sum(_kind(key) == kind for key in case.facts)


def _last(case: Case, kind: str) -> str:
    return max((key, value) for key, value in case.facts.items() if _kind(key) == kind)[1]
