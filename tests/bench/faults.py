"""Services that falter: every so many calls one is refused, broken off, or carried out without an answer; IMAP too."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from integrations.sandbox import Fault, Refusal
from tests.support.faulty_relay import Break

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from integrations.sandbox import Sandbox
    from integrations.sandbox.stand_in import StandIn
    from tests.support.faulty_relay import Relay

SHARE = 0.05  # of the calls
IMAP_SHARE = 0.01  # of the commands: a mail takes a dozen, and every look at the mailbox some
FAULTS = (
    Fault("status", status=503),
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("status_after_commit", status=504),
    Fault("reset"),
    Fault("cut_after_commit"),
)
REFUSALS = (
    Refusal("mail", "421 4.3.2 shutting down"),
    Refusal("rcpt", "452 4.2.2 try later"),
    Refusal("data", "451 4.3.0 try later"),
    Refusal("data"),
    Refusal("after_data"),
)
BREAKS = (
    Break("close", b"", after=False),
    Break("reset", b"", after=True),
    Break("silence", b"", after=False),
    Break("garbage", b"", after=False),
    # The label: carried out, and nobody is told.
    Break("reset", b" UID MOVE ", after=True),
)


@contextmanager
def faults(box: Sandbox, imap: Relay, random: Random) -> Iterator[Counter[str]]:
    """Let a share of the calls go wrong for as long as this lasts; how many did, by service, is there in the end."""
    services: dict[str, StandIn] = {
        "HubSpot": box.hubspot,
        "ClickUp": box.clickup,
        "Anthropic": box.anthropic,
        "R2": box.s3,
    }
    armed: Counter[str] = Counter()
    over = threading.Event()

    def arm() -> None:
        seen: Counter[str] = Counter()
        while not over.wait(0.01):
            for name, service in services.items():
                calls = len(service.requests)
                for fault in _some(FAULTS, calls - seen[name], random):
                    service.fail(fault)
                    armed[name] += 1
                seen[name] = calls
            heard = imap.heard
            broken = _some(BREAKS, heard - seen["IMAP"], random, IMAP_SHARE)
            imap.breaks += broken
            armed["IMAP"] += len(broken)
            seen["IMAP"] = heard
            letters = len(box.smtp.messages)
            for refusal in _some(REFUSALS, letters - seen["SMTP"], random):
                box.smtp.fail(refusal)
                armed["SMTP"] += 1
            seen["SMTP"] = letters

    thread = threading.Thread(target=arm, daemon=True)
    thread.start()
    try:
        yield armed
    finally:
        over.set()
        thread.join()
        for name, service in services.items():
            armed[name] -= len(service._faults)
            service.heal()
        armed["IMAP"] -= len(imap.breaks)
        imap.breaks.clear()
        armed["SMTP"] -= len(box.smtp._refusals)
        box.smtp.heal()


def _some(kinds: tuple[Any, ...], calls: int, random: Random, share: float = SHARE) -> list[Any]:
    """Some of these, for a share of so many calls."""
    return [random.choice(kinds) for _ in range(calls) if random.random() < share]
