"""The process is killed at every step of the way: after a restart there is one of everything.

On SQLite the daemon itself comes back, after every death there is. On PostgreSQL the machine that died does not, and
another takes its message over: how it does so is the same for all points of a step, so each step dies there at the one
that leaves a thing of which nobody knows, and only the ticket and the label at all three.
"""

from __future__ import annotations

import signal
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import picture
from poller.workflow.cluster import ClusterMembership
from tests.dispatch import test_acknowledge
from tests.support import stored_files
from tests.support.kill_points import ANSWERED, BEFORE, COMMITTED, POINTS, Death

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Office

# Of each step: what stands in the bytes of the call that has its effect, and how much of that effect there is.
CALLS: dict[str, tuple[str, Callable[[Office], int]]] = {
    "receive": ("BODY.PEEK[]<", lambda _: 0),
    "classify": ("POST /v1/messages", lambda office: len(office.sandbox.anthropic.calls("POST"))),
    "upload_files": ("PUT /", lambda office: office.counts()["files"]),
    "archive_files": ("fichiers.zip HTTP/1.1", lambda office: len(stored_files.zips(office.sandbox))),
    "find_or_create_contact": ("POST /crm/objects/2026-09/contacts ", lambda office: office.counts()["contacts"]),
    "create_ticket": ("POST /crm/objects/2026-09/tickets ", lambda office: office.counts()["tickets"]),
    "create_note": ("POST /crm/objects/2026-09/notes ", lambda office: office.counts()["notes"]),
    "create_subtask": ("POST /api/v2/list/", lambda office: office.counts()["subtasks"]),
    "add_comment": ("POST /api/v2/task/", lambda office: len(office.sandbox.clickup.subtasks[0].comments)),
    "send_notification": ("\r\n.\r\n", lambda office: office.counts()["notifications"]),
    "send_failure": ("\r\n.\r\n", lambda office: office.counts()["notifications"]),
    "label": (" UID MOVE ", lambda office: 1 - office.mailboxes().get("INBOX", 0)),
}
SUPPORT = ("receive", "classify", "find_or_create_contact", "create_ticket", "send_notification", "label")
MODELISATION = (
    *("receive", "classify", "upload_files", "archive_files", "find_or_create_contact", "create_ticket"),
    *("create_note", "create_subtask", "send_notification", "label"),
)
COUNTS = {
    "SUPPORT": {"contacts": 1, "tickets": 1, "notes": 0, "subtasks": 0, "files": 0},
    "MODELISATION": {"contacts": 1, "tickets": 1, "notes": 1, "subtasks": 1, "files": 2},
    "FAILED": {"contacts": 1, "tickets": 0, "notes": 0, "subtasks": 0, "files": 0},
}
MAILBOXES = {"SUPPORT": "Support", "MODELISATION": "Modélisation", "FAILED": "Échecs"}
# A machine that a slow computer holds up for a third of the first must not lose its transaction; the second one is how
# long the one that comes after it waits.
TAKEOVER_S, HASTE_S = 4.5, 1.5


def undecided(name: str = "undecided") -> bytes:
    """A mail that the rules are unsure about, with two files of its own."""
    message = EmailMessage()
    message["From"], message["To"] = "Hugues Lambert <hugues@lambert.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Suite de notre échange", f"<{name}@lambert.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content("Bonjour,\n\nComme convenu au téléphone, voici ce que je vous avais promis pour la suite.\n")
    for width in (6, 8):
        image = picture(width, len(name))
        message.add_attachment(image, maintype="image", subtype="png", filename=f"{width}.png")
    message.set_boundary("=" * 15 + name)  # The same mail each time that it comes.
    return message.as_bytes()


OTHERS = (BEFORE, ANSWERED)
DEATHS = [  # outcome, step, and which of its calls
    *(("SUPPORT", step, 1) for step in SUPPORT),
    *(("MODELISATION", step, 1) for step in MODELISATION),
    ("MODELISATION", "upload_files", 2),
    ("FAILED", "send_failure", 1),
    ("FAILED", "label", 1),
]
WORST = [*(("MODELISATION", step, 1) for step in MODELISATION), ("FAILED", "send_failure", 1)]


class Victim:
    """A daemon that is killed, in an office that goes on."""

    def __init__(self, office: Office, **environment: str) -> None:
        """`environment` is its own, and not that of the one that comes after it."""
        self.office, self._environment = office, environment

    def receives(self, outcome: str) -> None:
        """Deliver a mail that ends like this."""
        if outcome == "FAILED":
            self.office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))
        category = "MODELISATION" if outcome == "MODELISATION" else "SUPPORT"
        answer = {"category": category, "confidence": 0.9, "reason": "Une phrase."}
        self.office.sandbox.anthropic.decide = lambda _: answer
        self.office.sandbox.imap.deliver(undecided())

    def dies(self, step: str, point: str, number: int = 1) -> None:
        """Run `poller once` until it is killed there; ending in any other way fails the test."""
        ended = self.office.begin("once", death=Death(step, CALLS[step][0], point, number), **self._environment).end()
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    def leaves_one_of_everything(self, outcome: str, *, letters: int = 1) -> None:
        """Run the daemon again, this time to the end."""
        self.office.once()
        assert self.office.counts() == COUNTS[outcome] | {"notifications": letters}
        assert len({letter.message["Message-ID"] for letter in self.office.sandbox.smtp.messages}) == 1
        assert self.office.mailboxes() == {MAILBOXES[outcome]: 1}
        assert list(self.office.settings.directory.glob("spool/*")) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def victim(request: pytest.FixtureRequest, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Victim:
    """A daemon on either database."""
    if request.param == "sqlite":
        return Victim(office)
    return Victim(office, **shared_by_two(office, request.getfixturevalue("database"), tmp_path, monkeypatch))


def shared_by_two(office: Office, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Have the office's memory on PostgreSQL: the environment of another machine than the one in this process."""
    office.environment |= {"STATE_URL": database, "STATE_TAKEOVER_S": str(TAKEOVER_S)}
    monkeypatch.setattr(
        "poller.workflow.engine.ClusterMembership", lambda url, _, **given: ClusterMembership(url, HASTE_S, **given)
    )
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    return {"XDG_STATE_HOME": str(tmp_path / "one")}


@pytest.mark.parametrize(
    ("victim", "outcome", "step", "number", "point"),
    [
        *(("sqlite", *death, point) for death in DEATHS for point in POINTS),
        *(("postgresql", *death, COMMITTED) for death in WORST),
        *(("postgresql", "MODELISATION", step, 1, point) for step in ("create_ticket", "label") for point in OTHERS),
    ],
    indirect=["victim"],
)
def test_kill_at_any_step_makes_no_duplicates(victim: Victim, outcome: str, step: str, number: int, point: str) -> None:
    """Only a letter whose fate is unknown is sent once more, under the same Message-ID."""
    victim.receives(outcome)
    victim.dies(step, point, number)
    if step != "receive":  # which leaves nothing behind
        assert CALLS[step][1](victim.office) == number - (point == BEFORE), "it died elsewhere"
    notifies = step.startswith("send_")
    victim.leaves_one_of_everything(outcome, letters=2 if notifies and point != BEFORE else 1)


@pytest.mark.parametrize(
    ("victim", "point"),
    [*(("sqlite", point) for point in POINTS), ("postgresql", COMMITTED)],
    indirect=["victim"],
)
def test_kill_at_reply_comment_makes_one_comment(victim: Victim, point: str) -> None:
    """The customer writes again: a second note, a comment on the subtask, and nothing new but the files."""
    office = victim.office
    victim.receives("MODELISATION")
    office.once()
    office.sandbox.imap.deliver(b"In-Reply-To: <undecided@lambert.example>\n" + undecided("answer"))
    victim.dies("add_comment", point)
    assert CALLS["add_comment"][1](office) == (point != BEFORE), "it died elsewhere"
    office.once()
    assert office.counts() == COUNTS["MODELISATION"] | {"notes": 2, "files": 4, "notifications": 2}
    assert CALLS["add_comment"][1](office) == 1
    assert office.mailboxes() == {"Modélisation": 2}


@pytest.mark.parametrize(
    ("victim", "step"),
    [
        *(("sqlite", step) for step in ("create_ticket", "create_note", "create_subtask")),
        ("postgresql", "create_subtask"),
    ],
    indirect=["victim"],
)
def test_second_kill_during_check_makes_no_duplicate(victim: Victim, step: str) -> None:
    """The first death leaves a thing that nobody knows of, the second one comes when it has been found."""
    victim.receives("MODELISATION")
    victim.dies(step, COMMITTED)
    victim.dies(step, ANSWERED)
    victim.leaves_one_of_everything("MODELISATION")


def test_notification_of_unknown_outcome_is_sent_at_most_twice(victim: Victim) -> None:
    """A letter whose fate is unknown for the second time is taken for sent."""
    victim.receives("SUPPORT")
    victim.dies("send_notification", COMMITTED)
    victim.dies("send_notification", COMMITTED)
    victim.leaves_one_of_everything("SUPPORT", letters=2)


def test_kill_at_the_letter_to_a_customer_sends_it_once(office: Office) -> None:
    """After the notification: what is in doubt is not sent again. `tests/dispatch` has every other moment."""
    office.environment |= test_acknowledge.ON
    office.sandbox.imap.deliver(test_acknowledge.mail())
    death = Death("send_acknowledgement", CALLS["send_notification"][0], COMMITTED, 2)
    assert office.begin("once", death=death).end().returncode == -signal.SIGKILL
    office.once()
    assert office.counts()["tickets"] == 1
    assert len(test_acknowledge.letters(office.sandbox)) == 1
    assert office.mailboxes() == {"Support": 1}
