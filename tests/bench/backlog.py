"""How fast a mailbox that is full is drained, against how fast the services' own limits let anybody be.

The stand-ins count as HubSpot and ClickUp do, and refuse what is too much. The daemon is `poller run` as it is set up
by default.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from integrations.sandbox import Fault, RateLimit, Sandbox
from poller.config import loader
from poller.mailbox.inbox import Inbox
from tests.bench.books import balance, fewest_calls
from tests.bench.post import WORK_ALONE, mails
from tests.bench.process import Daemon, drain
from tests.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

BENCH = "backlog"
LIMIT_S = 1800.0  # of the whole run
HUBSPOT = 100, 10.0  # calls in so many seconds
CLICKUP = 100, 60.0
SLOWER = 1.25  # times what the limits allow, at most
REFUSED = 0.01  # of the calls, at most


class Limit(RateLimit):
    """Counts what it refuses."""

    refused = 0

    def admit(self) -> bool:
        """See `RateLimit`."""
        admitted = super().admit()
        self.refused += not admitted
        return admitted


def run(
    number: int,
    seed: int,
    tell: Callable[[str], object],
    *,
    latency_s: float = 0,
    slower: float = SLOWER,
    pictures: bool = True,
) -> list[Row]:
    """What was counted. The log and the state are kept where anything is wrong, and `tell` says where.

    `latency_s` is what each HTTP service takes for an answer; `slower`, how many times the limits' time it may take.
    `pictures` is whether 3D files are looked into, which takes time of its own.
    """
    directory = Path(tempfile.mkdtemp(prefix="backlog-"))
    with Sandbox() as box:
        limits = {"HubSpot": Limit(*HUBSPOT), "ClickUp": Limit(*CLICKUP)}
        box.hubspot.rate_limit, box.clickup.rate_limit = limits.values()
        environment = box.environment() | {
            "STATE_URL": f"sqlite:///{directory / 'poller.sqlite'}",
            "MODELS_ENABLED": str(pictures).lower(),
        }
        for service in (box.hubspot, box.clickup, box.s3, box.anthropic):
            if latency_s:
                service.fail(Fault("slow", times=None, seconds=latency_s))
        settings = loader.from_names(environment)
        post = mails(number, Inbox(settings).account, Random(seed), WORK_ALONE)  # noqa: S311  no secret
        with box.imap.session() as client:
            for mail in post:
                client.append("INBOX", mail.raw)
        tell(f"backlog: {number} mails are waiting")
        daemon = Daemon(environment, directory)
        began = time.monotonic()
        try:
            daemon.start()
            drained = drain(box, daemon, began + LIMIT_S, lambda line: tell(f"backlog: {line}"))
            took_s = time.monotonic() - began
            code = daemon.stop()
        finally:
            daemon.kill()
        least = fewest_calls(post)
        # A limit lets its first calls through at once, and then as many in each window.
        allowed = {name: (least[name] - 1) // limit.limit * limit.per_s for name, limit in limits.items()}
        made = {"HubSpot": len(box.hubspot.requests), "ClickUp": len(box.clickup.requests)}
        share = took_s / max(1.0, *allowed.values())
        kinds = Counter(mail.kind for mail in post)
        rows = [
            Row(BENCH, "mails", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))),
            Row(BENCH, "seconds that the limits take", ", ".join(f"{name} {s:.0f}" for name, s in allowed.items())),
            Row(
                BENCH,
                "seconds to the empty inbox",
                f"{took_s:.0f}, {share:.2f} times the limits'",
                f"at most {slower} times",
                good=drained and share <= slower,
            ),
            *(_refusals(name, limit.refused, made[name], least[name]) for name, limit in limits.items()),
            Row(
                BENCH, "daemon ended by itself", str(daemon.ended_by_itself or 0), "0", good=not daemon.ended_by_itself
            ),
            Row(BENCH, "exit code when asked to stop", str(code), "0", good=code == 0),
            *balance(BENCH, box, post, settings.labels, directory),
        ]
    if all(row.good for row in rows):
        shutil.rmtree(directory)
    else:
        tell(f"backlog: the log and the state are kept in {directory}")
    return rows


def _refusals(name: str, refused: int, calls: int, least: int) -> Row:
    share = refused / max(calls, 1)
    return Row(
        BENCH,
        f"answers 429 from {name}",
        f"{refused} of {calls} calls, {share:.2%} (at least {least} calls)",
        f"under {REFUSED:.0%}",
        good=share < REFUSED,
    )
