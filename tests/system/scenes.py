"""What a release must be able to leave behind: a scene for each state that `record_states` records.

A message waits for each service, failed at each step, or was in hand at each when the process was killed; a person
corrected it; it is finished; there are facts of every kind. Everything happens to the code itself, in front of the
stand-ins, and nothing is made up. A scene plays until the state is there, and says what must become of it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from integrations.errors import TransientError
from integrations.sandbox import Fault, Refusal, Sandbox
from poller.__main__ import main as poller_command
from poller.cli.samples import samples
from poller.daemon.daemon import Daemon
from poller.dispatch.clients import services
from poller.monitoring import digest
from poller.monitoring.alerts import Alerts
from poller.monitoring.canary import CanarySender
from poller.triage import quotas
from poller.workflow.retry import RetryPolicy
from tests.conftest import Office
from tests.dispatch import test_acknowledge
from tests.support.faulty_relay import Break, Relay
from tests.support.forked_cli import Forks
from tests.support.kill_points import ANSWERED, BEFORE, COMMITTED, Death, arm
from tests.system import test_crash_matrix, test_fault_matrix
from tests.system.recorded_states import CAUSE, ENVIRONMENT, HOST, PARIS, Act, decide, keep
from tests.system.test_crash_matrix import undecided
from tests.system.world import lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

Scene = Callable[[Office], list[Act]]

# A wait that is over when somebody replays it, and that the daemon which records it does not wait for.
RETRY_POLICY = RetryPolicy(delays_s=(5.0,), settle_s=0)
SHORT_HOUR = timedelta(seconds=20)  # likewise, for a sender who writes too often
SUPPORT = {"contacts": 1, "tickets": 1, "notifications": 1, "receipts": 1}
MODELISATION = SUPPORT | {"notes": 1, "subtasks": 1, "files": 2}
ANSWERED_TOO = MODELISATION | {"notes": 2, "files": 4, "comments": 1, "notifications": 2, "receipts": 2}
FAILED = {"notifications": 1, "receipts": 1}
TO_SUPPORT, TO_MODELISATION = "Reclasser/Support", "Reclasser/Modélisation"
ANSWER = b"In-Reply-To: <undecided@lambert.example>\n"
AGAIN = ["Échecs", "INBOX", "KEYWORD", "Figurative-Failed"]
AWAY = samples()["auto_reply"]
# Of each step that calls a service: what stands in the bytes of the call.
CALLS = {step: call for step, (call, _) in test_crash_matrix.CALLS.items()}

scenes: dict[str, tuple[str, str, Scene]] = {}  # by the name of the case: what it is, what Claude says, what happens


def scene(name: str, what: str, category: str = "MODELISATION") -> Callable[[Scene], Scene]:
    """Have a function called for a case; it returns what is done after the upgrade, and what must come of it."""

    def noted(act: Scene) -> Scene:
        scenes[name] = what, category, act
        return act

    return noted


def done(counts: dict[str, int], mailboxes: dict[str, int], *outcomes: str, drag: Iterable[str] = ()) -> Act:
    """What must be there after a run."""
    return Act(counts, mailboxes, sorted(outcomes), list(drag))


ONE_MODELISATION = done(MODELISATION, {"Modélisation": 2}, "modelisation")
ONE_SUPPORT = done(SUPPORT, {"Support": 2}, "support")
CORRECTED = done(MODELISATION | {"receipts": 2}, {"Modélisation": 3}, "modelisation", "support")


def work(office: Office, *mails: bytes, meanwhile: Callable[[], None] | None = None) -> None:
    """Deliver mails, one when the one before has stopped, and end the daemon when the last has, or waits.

    What happens `meanwhile` happens when all of them wait, and then the daemon goes on until none does.
    """
    daemon = Daemon(office.settings, retry_policy=RETRY_POLICY)
    try:
        daemon.start()
        for raw in mails or (b"",):
            if raw:
                office.sandbox.imap.deliver(raw)
            daemon.poll()
            while daemon.working:
                time.sleep(0.02)
                daemon.tick()
        if meanwhile:
            meanwhile()
            while daemon.working or daemon.waiting:
                time.sleep(0.02)
                daemon.tick()
    finally:
        daemon.stop()


def dies(office: Office, step: str, request: str, point: str, number: int = 1, **environment: str) -> None:
    """Let `poller once` run until it is killed in the middle of a step."""
    ended = office.begin("once", death=Death(step, request, point, number), **environment).end()
    if ended.returncode != -signal.SIGKILL:
        raise RuntimeError(f"it was not killed at {step}: {ended.stderr}")


def refuse(office: Office, step: str, status: int = 400) -> None:
    """Let the service of a step answer so for good."""
    service, method, path = test_fault_matrix.CALLS[step]
    office.fail(service, Fault("status", method, path, status=status, times=None))


@contextmanager
def relayed(office: Office, *breaks: Break) -> Iterator[None]:
    """Have the mailbox fail."""
    with Relay(office.sandbox.imap.port) as relay:
        relay.breaks += breaks
        port = office.environment["IMAP_PORT"]
        office.environment["IMAP_PORT"] = str(relay.port)
        yield
        office.environment["IMAP_PORT"] = port


def drag(office: Office, *where: str) -> None:
    """Move what a person moves: from, to, and what is searched for."""
    Act({}, {}, [], list(where)).happen(office)


# What waits.


def waits(service: str) -> Scene:
    """A service that is away."""

    def act(office: Office) -> list[Act]:
        test_fault_matrix.break_down(office, service)
        work(office, undecided())
        return [ONE_MODELISATION]

    return act


for name, service in (("claude", "anthropic"), ("r2", "s3"), ("hubspot", "hubspot"), ("clickup", "clickup")):
    scene(f"waiting-{name}", f"A message waits for {name}.")(waits(service))
scene("waiting-smtp", "A message waits for the mail server, with all else done.")(waits("smtp"))


def waits_for_mailbox(command: bytes, *, after: bool) -> Scene:
    """A mailbox that breaks off at a command, carried out or not."""

    def act(office: Office) -> list[Act]:
        with relayed(office, Break("close", command, after)):
            work(office, undecided())
        return [ONE_MODELISATION]

    return act


for name, command, after in (
    ("imap", b"BODY.PEEK[]<", False),
    ("label", b" UID MOVE ", False),
    ("label-filed", b" UID MOVE ", True),
    ("receipt", b" APPEND ", False),
    ("receipt-there", b" APPEND ", True),
):
    scene(f"waiting-{name}", f"The mailbox broke off at {command.decode().strip()}, carried out: {after}.")(
        waits_for_mailbox(command, after=after)
    )


def doubts(step: str) -> Scene:
    """A call that was carried out, and whose answer was lost."""

    def act(office: Office) -> list[Act]:
        service, method, path = test_fault_matrix.CALLS[step]
        office.fail(service, Fault("status_after_commit", method, path, status=504))
        work(office, undecided())
        return [ONE_MODELISATION]

    return act


for step in ("upload_files", "find_or_create_contact", "create_ticket", "create_note", "create_subtask"):
    scene(f"doubt-{step}", f"The answer to {step} was lost, and the message waits to look for what it made.")(
        doubts(step)
    )


@scene("doubt-add_comment", "The answer to add_comment was lost, and a customer's answer waits to look for it.")
def doubt_comment(office: Office) -> list[Act]:
    """A customer's answer that was put on the subtask."""
    work(office, undecided())
    office.fail("clickup", Fault("status_after_commit", "POST", re.compile("/comment$"), status=504))
    work(office, ANSWER + undecided("answer"))
    return [done(ANSWERED_TOO, {"Modélisation": 4}, "modelisation", "modelisation")]


@scene("doubt-send_notification", "The mail server hung up behind a letter, which is to be sent once more.")
def doubt_letter(office: Office) -> list[Act]:
    """A letter of unknown fate."""
    office.sandbox.smtp.fail(Refusal("after_data"))
    work(office, undecided())
    return [replace(ONE_MODELISATION, counts=MODELISATION | {"notifications": 2})]


@scene("waiting-gate", "Two messages wait for HubSpot: one tried it, and the other was kept away from it.")
def waits_at_gate(office: Office) -> list[Act]:
    """A service that is known to be away."""
    test_fault_matrix.break_down(office, "hubspot")
    work(office, undecided(), undecided("second"))
    twice = {what: 2 * count for what, count in MODELISATION.items()} | {"contacts": 1}
    return [done(twice, {"Modélisation": 4}, "modelisation", "modelisation")]


@scene("waiting-root", "A customer's answer waits for the message that it answers, which waits for HubSpot.")
def waits_for_root(office: Office) -> list[Act]:
    """An answer that came too early."""
    test_fault_matrix.break_down(office, "hubspot")
    work(office, undecided(), ANSWER + undecided("answer"))
    return [done(ANSWERED_TOO, {"Modélisation": 4}, "modelisation", "modelisation")]


@scene("waiting-turn", "A sender wrote twice in an hour and may once: the second message waits, the admin was told.")
def waits_for_turn(office: Office) -> list[Act]:
    """A message over the cap."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
    with patch.object(quotas, "HOUR", SHORT_HOUR):
        work(office, undecided(), undecided("second"))
    twice = {what: 2 * count for what, count in MODELISATION.items()} | {"contacts": 1, "notifications": 3}
    return [done(twice, {"Modélisation": 4}, "modelisation", "modelisation")]


# What failed: it stays so, until a person drags it into the inbox.


def fails(step: str, counts: dict[str, int], *, number: int = 0) -> Scene:
    """A step that is refused, or with a `number` one that the process dies in three times."""

    def act(office: Office) -> list[Act]:
        if number:
            office.sandbox.imap.deliver(undecided())
            for _ in range(3):
                dies(office, step, CALLS[step], BEFORE, number)
            work(office)
        else:
            refuse(office, step)
            work(office, undecided())
        # Where the letter that tells of it is out already, it is not sent once more.
        letters = counts["notifications"] + (step != "label")
        again = MODELISATION | {"notifications": letters, "receipts": 1 + counts["receipts"]}
        return [
            done(counts, {"Échecs": 2}, "failed"),
            done(again, {"Modélisation": 3}, "modelisation", drag=AGAIN),
        ]

    return act


BEFORE_IT = {
    "upload_files": FAILED,
    "find_or_create_contact": FAILED | {"files": 2},
    "create_ticket": FAILED | {"files": 2, "contacts": 1},
    "create_note": FAILED | {"files": 2, "contacts": 1, "tickets": 1},
    "create_subtask": FAILED | {"files": 2, "contacts": 1, "tickets": 1, "notes": 1},
}
for step, counts in BEFORE_IT.items():
    scene(f"failed-{step}", f"A message failed at {step}: the service refuses it.")(fails(step, counts))
for step, counts in (("receive", FAILED), ("classify", FAILED), ("label", MODELISATION | {"notifications": 2})):
    scene(f"failed-{step}", f"A message failed at {step}: the process died there three times.")(
        fails(step, counts, number=1)
    )


@scene("failed-send_notification", "A message failed at its letter, whose text the mail server refused once.")
def fails_at_letter(office: Office) -> list[Act]:
    """Do all but the letter, which is refused once: the admin was told by the next one."""
    office.sandbox.smtp.fail(Refusal("data", "550 5.7.1 not accepted"))
    work(office, undecided())
    again = MODELISATION | {"notifications": 2, "receipts": 2}
    return [
        done(MODELISATION, {"Échecs": 2}, "failed"),
        done(again, {"Modélisation": 3}, "modelisation", drag=AGAIN),
    ]


@scene("failed-send_failure", "A message failed, and so did the letter that was to tell of it.")
def fails_untold(office: Office) -> list[Act]:
    """Nobody was told but by the receipt."""
    refuse(office, "create_ticket")
    office.sandbox.smtp.fail(Refusal("rcpt", "550 5.1.1 no such user"))
    work(office, undecided())
    counts = BEFORE_IT["create_ticket"] | {"notifications": 0}
    again = MODELISATION | {"receipts": 2}
    return [done(counts, {"Échecs": 2}, "failed"), done(again, {"Modélisation": 3}, "modelisation", drag=AGAIN)]


@scene("failed-add_comment", "A customer's answer failed at the comment on the subtask.")
def fails_at_comment(office: Office) -> list[Act]:
    """Its note is there."""
    work(office, undecided())
    office.fail("clickup", Fault("status", "POST", re.compile("/comment$"), status=400, times=None))
    work(office, ANSWER + undecided("answer"))
    mailboxes, again = {"Modélisation": 2, "Échecs": 2}, {"notifications": 3, "receipts": 3}
    return [
        done(ANSWERED_TOO | {"comments": 0}, mailboxes, "failed", "modelisation"),
        done(ANSWERED_TOO | again, {"Modélisation": 5}, "modelisation", "modelisation", drag=AGAIN),
    ]


@scene("failed-unfiled", "A message failed, and filing it under the failures failed as well: it is in the inbox.")
def fails_unfiled(office: Office) -> list[Act]:
    """The process died three times at each of two labels."""
    refuse(office, "create_ticket")
    office.sandbox.imap.deliver(undecided())
    for _ in range(3):
        dies(office, "label", CALLS["label"], BEFORE)
    work(office)
    again = MODELISATION | {"notifications": 2}
    return [done(again, {"Modélisation": 2}, "modelisation")]


# What was in hand when the process was killed.


def in_hand(
    step: str, point: str, number: int = 1, *, ends: Act = ONE_MODELISATION, request: str | None = None
) -> Scene:
    """A death in the middle of a step."""

    def act(office: Office) -> list[Act]:
        office.sandbox.imap.deliver(undecided())
        dies(office, step, CALLS.get(step, "") if request is None else request, point, number)
        return [ends]

    return act


TWICE_TOLD = replace(ONE_MODELISATION, counts=MODELISATION | {"notifications": 2})
for step in test_crash_matrix.MODELISATION:
    for point in (BEFORE, COMMITTED):
        ends = TWICE_TOLD if (step, point) == ("send_notification", COMMITTED) else ONE_MODELISATION
        scene(f"in-hand-{step}-{point}", f"The process was killed in {step}, its call {point}.")(
            in_hand(step, point, ends=ends)
        )
for point in (BEFORE, COMMITTED):
    scene(f"in-hand-upload_files-second-{point}", f"The process was killed at the second file, its call {point}.")(
        in_hand("upload_files", point, 2)
    )
    scene(f"in-hand-send_receipt-{point}", f"The process was killed at the receipt, its call {point}.")(
        in_hand("send_receipt", point, request=" APPEND ")
    )
scene("in-hand-prepare_notification", "The process was killed when the letter was ready.")(
    in_hand("prepare_notification", ANSWERED)
)


@scene("in-hand-send_acknowledgement", "The process was killed when the customer's letter was with the server.")
def in_hand_letter(office: Office) -> list[Act]:
    """It is in doubt, and not sent again."""
    office.environment |= test_acknowledge.ON
    office.sandbox.imap.deliver(test_acknowledge.mail())
    dies(office, "send_acknowledgement", CALLS["send_notification"], COMMITTED, 2)
    return [done(SUPPORT | {"notifications": 2}, {"Support": 2}, "support")]


@scene("in-hand-queued", "The process was killed in create_ticket of one message, and two more were queued.")
def in_hand_queued(office: Office) -> list[Act]:
    """One worker, and three mails at once."""
    for each in ("undecided", "second", "thirdly"):
        office.sandbox.imap.deliver(undecided(each))
    dies(office, "create_ticket", CALLS["create_ticket"], COMMITTED, STATE_WORKERS="1")
    thrice = {what: 3 * count for what, count in MODELISATION.items()} | {"contacts": 1}
    return [done(thrice, {"Modélisation": 6}, *["modelisation"] * 3)]


def in_hand_failing(step: str, point: str, request: str, letters: int = 1) -> Scene:
    """A death on the way to being filed as failed."""

    def act(office: Office) -> list[Act]:
        refuse(office, "create_ticket")
        office.sandbox.imap.deliver(undecided())
        dies(office, step, request, point)
        counts = BEFORE_IT["create_ticket"] | {"notifications": letters}
        again = MODELISATION | {"notifications": 1 + letters, "receipts": 2}
        return [
            done(counts, {"Échecs": 2}, "failed"),
            done(again, {"Modélisation": 3}, "modelisation", drag=AGAIN),
        ]

    return act


for step, point, request, letters in (
    ("prepare_failure", ANSWERED, "", 1),
    ("send_failure", BEFORE, CALLS["send_failure"], 1),
    ("send_failure", COMMITTED, CALLS["send_failure"], 2),
    ("label", BEFORE, CALLS["label"], 1),
    ("label", COMMITTED, CALLS["label"], 1),
    ("prepare_receipt", ANSWERED, "", 1),
    ("send_receipt", COMMITTED, " APPEND ", 1),
):
    scene(f"in-hand-failed-{step}-{point}", f"The process was killed in {step} of a message that had failed.")(
        in_hand_failing(step, point, request, letters)
    )


def in_hand_answer(step: str, point: str) -> Scene:
    """A death at a customer's answer."""

    def act(office: Office) -> list[Act]:
        work(office, undecided())
        office.sandbox.imap.deliver(ANSWER + undecided("answer"))
        dies(office, step, CALLS.get(step, ""), point)
        return [done(ANSWERED_TOO, {"Modélisation": 4}, "modelisation", "modelisation")]

    return act


for step, point in (
    ("find_thread", ANSWERED),
    ("create_note", COMMITTED),
    ("add_comment", BEFORE),
    ("add_comment", COMMITTED),
):
    scene(f"in-hand-answer-{step}-{point}", f"The process was killed in {step} of a customer's answer.")(
        in_hand_answer(step, point)
    )


def in_hand_alert(step: str, point: str, request: str, letters: int = 3) -> Scene:
    """A death at the letter that tells of a sender who writes too often."""

    def act(office: Office) -> list[Act]:
        office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
        work(office, undecided())
        office.sandbox.imap.deliver(undecided("second"))
        command = f"from tests.system.scenes import once; once({step!r}, {request!r}, {point!r})"
        ended = subprocess.run([sys.executable, "-c", command], env=os.environ | office.environment, check=False)
        if ended.returncode != -signal.SIGKILL:
            raise RuntimeError(f"it was not killed at {step}")
        twice = {what: 2 * count for what, count in MODELISATION.items()} | {"contacts": 1, "notifications": letters}
        return [done(twice, {"Modélisation": 4}, "modelisation", "modelisation")]

    return act


def once(step: str, request: str, point: str) -> None:
    """As `poller once`, in this process, with a short hour and a death."""
    arm(Death(step, request, point))
    sys.argv = ["poller", "once"]
    with patch.object(quotas, "HOUR", SHORT_HOUR):
        poller_command()


for step, point, request, letters in (
    ("prepare_alert", ANSWERED, "", 3),
    ("send_alert", BEFORE, CALLS["send_notification"], 3),
    ("send_alert", COMMITTED, CALLS["send_notification"], 4),
):
    scene(
        f"in-hand-{step}-{point}", f"The process was killed in {step}, which tells of a sender who writes too often."
    )(in_hand_alert(step, point, request, letters))


# What a person corrected.


def corrected(step: str, point: str, request: str, *, ends: Act = CORRECTED) -> Scene:
    """A death at the correction of a support question that is a modelling request."""

    def act(office: Office) -> list[Act]:
        work(office, undecided())
        drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
        dies(office, step, request, point)
        return [ends]

    return act


for step, point, request in (
    ("find_original", ANSWERED, ""),
    ("upload_files", COMMITTED, CALLS["upload_files"]),
    ("update_ticket", BEFORE, "PATCH /crm/objects/2026-09/tickets/"),
    ("update_ticket", COMMITTED, "PATCH /crm/objects/2026-09/tickets/"),
    ("create_note", COMMITTED, CALLS["create_note"]),
    ("create_subtask", COMMITTED, CALLS["create_subtask"]),
    ("label", BEFORE, CALLS["label"]),
    ("label", COMMITTED, CALLS["label"]),
    ("send_receipt", COMMITTED, " APPEND "),
):
    scene(f"corrected-in-hand-{step}-{point}", f"The process was killed in {step} of a correction.", "SUPPORT")(
        corrected(step, point, request)
    )


@scene("corrected-in-hand-add_comment", "The process was killed when it told the 3D team of a correction.")
def corrected_at_comment(office: Office) -> list[Act]:
    """A modelling request that is a support question."""
    work(office, undecided())
    drag(office, "Modélisation", TO_SUPPORT, "KEYWORD", "Figurative-Modelisation")
    dies(office, "add_comment", CALLS["add_comment"], COMMITTED)
    counts = MODELISATION | {"comments": 1, "receipts": 2}
    return [done(counts, {"Support": 3}, "modelisation", "support")]


@scene("corrected-in-hand-find_ticket", "The process was killed in the correction of a message that was ignored.")
def corrected_ignored(office: Office) -> list[Act]:
    """A message that has no ticket yet."""
    work(office, AWAY)
    drag(office, "Ignorés", TO_SUPPORT, "ALL")
    dies(office, "find_ticket", "", ANSWERED)
    return [done(SUPPORT | {"notifications": 0}, {"Support": 2}, "ignored", "support")]


def corrected_waits(step: str) -> Scene:
    """A correction that waits for a service."""

    def act(office: Office) -> list[Act]:
        work(office, undecided())
        drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
        refuse(office, step, 503)
        work(office)
        return [CORRECTED]

    return act


for step in ("upload_files", "create_note", "create_subtask"):
    scene(f"corrected-waiting-{step}", f"A correction waits at {step}.", "SUPPORT")(corrected_waits(step))


@scene("corrected-waiting-receipt", "A correction is done, and waits for its receipt.", "SUPPORT")
def corrected_waits_for_receipt(office: Office) -> list[Act]:
    """Nothing but the receipt is left to do."""
    work(office, undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    with relayed(office, Break("close", b" APPEND ", after=False)):
        work(office)
    return [CORRECTED]


@scene(
    "corrected-asked", "A person has put a finished message under another category, and nobody has seen it.", "SUPPORT"
)
def corrected_asked(office: Office) -> list[Act]:
    """The next look finds it there."""
    work(office, undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    return [CORRECTED]


@scene("corrected-asked-waiting", "A person has put a waiting message under another category, and nobody has seen it.")
def corrected_asked_waiting(office: Office) -> list[Act]:
    """What waits comes to its end first."""
    test_fault_matrix.break_down(office, "hubspot")
    work(office, undecided())
    drag(office, "INBOX", TO_SUPPORT, "ALL")
    return [done(SUPPORT | {"files": 2, "notifications": 0}, {"Support": 2}, "gone", "support")]


@scene("corrected-failed", "A correction failed; later a person drags the message into the inbox.", "SUPPORT")
def corrected_failed(office: Office) -> list[Act]:
    """It is tried again as a correction."""
    work(office, undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    refuse(office, "create_note")
    work(office)
    counts = SUPPORT | {"files": 2, "notifications": 2, "receipts": 2}
    again = MODELISATION | {"notifications": 2, "receipts": 3}
    return [
        done(counts, {"Échecs": 3}, "failed", "support"),
        done(again, {"Modélisation": 4}, "failed", "modelisation", "support", drag=AGAIN),
    ]


# What is finished: nothing more becomes of it, and the world may go on from there.


@scene("finished-corrected", "A correction is done; later a person takes it back.", "SUPPORT")
def finished_corrected(office: Office) -> list[Act]:
    """The 3D team is told."""
    work(office, undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    work(office)
    back = ["Modélisation", TO_SUPPORT, "KEYWORD", "Figurative-Modelisation"]
    counts = MODELISATION | {"comments": 1, "receipts": 3}
    return [CORRECTED, done(counts, {"Support": 4}, "modelisation", "support", "support", drag=back)]


@scene("finished-support", "A support question is done; later its mail comes once more.", "SUPPORT")
def finished_support(office: Office) -> list[Act]:
    """The second copy goes where the first went."""
    work(office, undecided())
    return [ONE_SUPPORT, replace(ONE_SUPPORT, mailboxes={"Support": 3}, deliver=lines(undecided()))]


@scene("finished-modelisation", "A modelling request is done; later the customer answers.")
def finished_modelisation(office: Office) -> list[Act]:
    """The answer goes to the ticket there is."""
    work(office, undecided())
    answer = done(ANSWERED_TOO, {"Modélisation": 4}, "modelisation", "modelisation")
    return [ONE_MODELISATION, replace(answer, deliver=lines(ANSWER + undecided("answer")))]


@scene("finished-letter", "A modelling request is done; later one of ours answers the letter about it.")
def finished_letter(office: Office) -> list[Act]:
    """The admin's letter leads to the ticket as well."""
    work(office, undecided())
    letter = office.sandbox.smtp.messages[0].message["Message-ID"]
    answer = done(ANSWERED_TOO, {"Modélisation": 4}, "modelisation", "modelisation")
    raw = b"In-Reply-To: %b\n" % letter.encode() + undecided("answer")
    return [ONE_MODELISATION, replace(answer, deliver=lines(raw))]


@scene("finished-ignored", "A notice of absence was ignored.")
def finished_ignored(office: Office) -> list[Act]:
    """Nothing was made of it."""
    work(office, AWAY)
    return [done({}, {"Ignorés": 1}, "ignored")]


@scene("finished-gone", "A message was deleted while it waited; later a person puts it back.")
def finished_gone(office: Office) -> list[Act]:
    """Back in the inbox, it is taken up again."""
    refuse(office, "create_subtask", 503)
    with office.sandbox.imap.session() as client:
        client.create_folder("Trash")
    work(office, undecided(), meanwhile=lambda: drag(office, "INBOX", "Trash", "ALL"))
    return [
        done(MODELISATION | {"subtasks": 0, "notifications": 0, "receipts": 0}, {"Trash": 1}, "gone"),
        replace(ONE_MODELISATION, drag=["Trash", "INBOX", "ALL"]),
    ]


@scene("old-message", "A message that came before the first start lies in the inbox, and is left alone.")
def old_message(office: Office) -> list[Act]:
    """The day of the first start is remembered."""
    work(office)
    with office.sandbox.imap.session() as client:
        client.append("INBOX", undecided(), (), datetime.now(UTC) - timedelta(days=2))
    return [done({}, {"INBOX": 1})]


@scene("facts", "Facts of every kind; later the customer answers, with pictures that came before.", "SUPPORT")
def facts_of_every_kind(office: Office) -> list[Act]:
    """A thread to which an answer brought a subtask, a correction that failed and was tried again, and what we sent."""
    work(office, undecided(), ANSWER + undecided("answer"))
    refuse(office, "create_subtask")
    drag(office, "Support", TO_MODELISATION, "HEADER", "Message-ID", "answer@", "KEYWORD", "Figurative-Support")
    work(office)
    office.sandbox.clickup.heal()
    drag(office, *AGAIN)
    office.once()
    tell(office)
    outcomes = ("failed", "ignored", "modelisation", "support", "support")
    # The canary arrives; of notifications one is the digest, and one tells of the failure.
    counts = SUPPORT | {"notes": 1, "subtasks": 1, "files": 2, "notifications": 4, "receipts": 4}
    again = {"notes": 2, "comments": 1, "notifications": 5, "receipts": 5}
    mailboxes = {"Support": 2, "Modélisation": 4, "Ignorés": 1}
    answer = done(counts | again, mailboxes | {"Support": 4}, *outcomes, "support")
    return [done(counts, mailboxes, *outcomes), replace(answer, deliver=lines(ANSWER + undecided("second")))]


def tell(office: Office) -> None:
    """Have an alert, a canary and a digest sent, each by what sends it."""
    now, settings = datetime.now(UTC), office.settings
    smtp = services(settings).smtp
    daemon = Daemon(settings, retry_policy=RETRY_POLICY)
    try:
        daemon.start()
        who = {"sender": settings.sender, "recipient": "admin@figurative.example"}
        Alerts(daemon.store, lambda _: None, host=HOST, zone=PARIS, **who).tell([CAUSE], now)
        CanarySender(settings, daemon.store, lambda letter: office.sandbox.imap.deliver(letter.as_bytes())).run(now)
        CanarySender(settings, daemon.store, _lost).run(now)
        digest.tell(settings, daemon.store, smtp, date.min, now)
    finally:
        daemon.stop()


def _lost(_: EmailMessage) -> None:
    raise TransientError("SMTP send: no answer in time")


def record(folder: Path, beginnings: tuple[str, ...]) -> None:
    """Play the scenes whose names begin so, and keep the state that each leaves in a folder of its name."""
    with Sandbox() as box:
        forks = Forks(box.environment())
        for name, (what, category, act) in scenes.items():
            if not name.startswith(beginnings):
                continue
            box.reset()
            shutil.rmtree(folder / name, ignore_errors=True)
            with tempfile.TemporaryDirectory() as state:
                office = Office(box, Path(state), forks)
                office.environment |= ENVIRONMENT
                decide(office, category)
                keep(folder / name, office, what, category, act(office))
            print(f"recorded {name}")  # noqa: T201
        forks.close()
