"""Every mail once, whatever dies and whatever fails: a real daemon, killed again and again, on services that falter.

The daemon is `poller run` with its usual patience. Mails come while it works, and customers' answers to them; SIGKILL
comes at random moments, at work and in the start-up; every so many calls a stand-in refuses, breaks, or loses its
answer, and every so many commands the connection to the mailbox does. In the end all is well again, the daemon drains
the mailbox, and what stands at the stand-ins is counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from integrations.sandbox import Sandbox
from poller.config import loader
from poller.mailbox.inbox import Inbox
from poller.workflow.database import open_store
from poller.workflow.history import deaths
from tests.bench.books import balance, calls
from tests.bench.faults import faults
from tests.bench.post import mails
from tests.bench.process import Daemon, drain
from tests.bench.table import Row
from tests.support.faulty_relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import Settings
    from tests.bench.post import Mail

BENCH = "soak"
DONE = {"support", "modelisation", "ignored"}
LIMIT_S = 900.0  # of the whole run
SHARE_IN_START_UP = 0.2  # of the kills
START_UP_S = 2.0
CALLS_PER_MAIL = 3.5  # about: so are the kills spread over the work
LONGEST_START_S = 60.0
LONGEST_CALM_S = 20.0  # before a kill comes though there was nothing to do
JITTER_S = 0.1  # else every kill would come right behind a call's arrival


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen; the same seed makes the same mails, faults and kills, at moments that the machine decides."""

    mails: int = 300
    kills: int = 30
    seed: int = 1

    def random(self, what: str) -> Random:
        """The dice for one thing, which no other thing's throws disturb."""
        return Random(f"{self.seed} {what}")  # noqa: S311  no secret


def run(plan: Plan, tell: Callable[[str], object]) -> list[Row]:
    """What was counted. The log and the state are kept where anything is wrong, and `tell` says where."""
    deadline = time.monotonic() + LIMIT_S
    directory = Path(tempfile.mkdtemp(prefix="soak-"))
    with Sandbox() as box, Relay(box.imap.port) as imap:
        # Its limits are another bench's business.
        box.hubspot.rate_limit = box.clickup.rate_limit = None
        environment = box.environment() | {
            "STATE_URL": f"sqlite:///{directory / 'poller.sqlite'}",
            "IMAP_PORT": str(imap.port),
            "IMAP_TIMEOUT_S": "5",  # of a connection that falls silent
            "IMAP_POLL_INTERVAL_S": "0.5",
            "HUBSPOT_CALLS_PER_10S": "100000",
            "CLICKUP_CALLS_PER_MIN": "100000",
        }
        settings = loader.from_names(environment)
        post = mails(plan.mails, Inbox(settings).account, plan.random("mails"))
        daemon = Daemon(environment, directory)
        began = time.monotonic()
        try:
            with faults(box, imap, plan.random("faults")) as struck:
                kills = torment(box, daemon, post, plan.random("kills"), plan.kills, deadline, tell)
            drained = drain(box, daemon, deadline, lambda line: tell(f"soak: {line}"))
            settle(settings, daemon, deadline)
            code = daemon.stop()
        finally:
            daemon.kill()
        rows = [
            Row(
                BENCH,
                "mails, kills, seed",
                f"{plan.mails}, {kills}, {plan.seed}",
                f"{plan.mails}, {plan.kills}, {plan.seed}",
                good=kills == plan.kills,
            ),
            Row(BENCH, "seconds", f"{time.monotonic() - began:.0f}", f"at most {LIMIT_S:.0f}", good=drained),
            Row(BENCH, "faults that struck", ", ".join(f"{name} {number}" for name, number in sorted(struck.items()))),
            *remembered(settings, tell),
            Row(
                BENCH, "daemon ended by itself", str(daemon.ended_by_itself or 0), "0", good=not daemon.ended_by_itself
            ),
            Row(BENCH, "exit code when asked to stop", str(code), "0", good=code == 0),
            *balance(BENCH, box, post, settings.labels, directory),
            *calls(BENCH, box, post),
            audited(environment, directory, tell),  # after the calls have been counted
        ]
    if all(row.good for row in rows):
        shutil.rmtree(directory)
    else:
        tell(f"soak: the log and the state are kept in {directory}")
    return rows


def torment(
    box: Sandbox,
    daemon: Daemon,
    post: list[Mail],
    random: Random,
    kills: int,
    deadline: float,
    tell: Callable[[str], object],
) -> int:
    """Deliver all mails and kill the daemon so often while it works on them; how often it was killed."""
    rounds, number_of_mails = kills + 1, len(post)
    most_calls = max(2, int(2 * CALLS_PER_MAIL * number_of_mails / rounds))
    for number in range(rounds):
        daemon.start()
        with box.imap.session() as client:
            # In order: an answer comes after what it answers.
            for mail in post[number * number_of_mails // rounds : (number + 1) * number_of_mails // rounds]:
                client.append("INBOX", mail.raw)
        if number == kills or time.monotonic() > deadline:
            return number
        if random.random() < SHARE_IN_START_UP:
            time.sleep(random.uniform(0, START_UP_S))
        else:
            _wait_for_calls(box, daemon, random.randint(1, most_calls))
            time.sleep(random.uniform(0, JITTER_S))
        daemon.kill()
        tell(f"soak: killed {number + 1} of {kills}")
    return kills


def _wait_for_calls(box: Sandbox, daemon: Daemon, number: int) -> None:
    """Wait until so many calls have come in: a slow machine is killed at work, too."""

    def made() -> int:
        services = (box.hubspot, box.clickup, box.anthropic, box.s3)
        return sum(len(service.requests) for service in services) + len(box.smtp.messages)

    enough, slow_until = made() + number, time.monotonic() + LONGEST_START_S
    while not daemon.up and time.monotonic() < slow_until:
        time.sleep(0.05)
    calm_until = time.monotonic() + LONGEST_CALM_S
    while made() < enough and time.monotonic() < calm_until:
        time.sleep(0.005)


def settle(settings: Settings, daemon: Daemon, deadline: float) -> None:
    """Wait until the daemon knows what it has done: the answer to its last word to the mailbox may have been lost."""
    with closing(open_store(settings)) as store:
        while time.monotonic() < deadline and any(each.status.outcome not in DONE for each in store.messages()):
            daemon.look()
            time.sleep(0.5)


def remembered(settings: Settings, tell: Callable[[str], object]) -> list[Row]:
    """What the daemon's own memory says: that the kills came at work, and that nothing is left to do."""
    with closing(open_store(settings)) as store:
        messages = list(store.messages())
        deaths = sum(deaths([entry.content for entry in store.journal(each.reference)]) for each in messages)
    unfinished = [each for each in messages if each.status.outcome not in DONE]
    for each in unfinished:
        tell(f"soak: {each.reference} {each.status.outcome}: {each.status.result}")
    return [
        Row(BENCH, "steps that a kill broke off", str(deaths)),
        Row(BENCH, "messages not done, says the memory", str(len(unfinished)), "0", good=not unfinished),
    ]


def audited(environment: dict[str, str], directory: Path, tell: Callable[[str], object]) -> Row:
    """The project's own audit, beside ours: both must find the same."""
    command = [sys.executable, "-m", "poller", "audit", "--remote"]
    ended = subprocess.run(
        command, env=os.environ | environment, cwd=directory, capture_output=True, text=True, check=False
    )
    for line in [*ended.stdout.splitlines(), *(ended.stderr.splitlines() if ended.returncode > 1 else ())]:
        tell(f"soak: audit: {line}")
    findings = str(len(ended.stdout.splitlines()))
    counted = findings if ended.returncode <= 1 else f"{findings}, and exit code {ended.returncode}"
    return Row(BENCH, "findings of poller audit --remote", counted, "0", good=not ended.returncode)
