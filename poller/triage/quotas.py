"""What one sender may ask of us in an hour and a day, and what a day of Claude may cost.

Counted by facts in the memory: they outlive the process, and machines that share a memory count together. A key there
is a keyed hash of the sender, so that nobody learns from the state who wrote.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from poller.model import Fate
from poller.triage import attachment_policy
from poller.triage import sender as triage_sender

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.config.settings import Settings
    from poller.model import Request
    from poller.workflow.facts import Memory

HOUR = timedelta(hours=1)
LOOKED_BACK = timedelta(hours=25)  # a running total is of one day, and a run of waiting messages ends in it
IMAGES = 20  # small images of a mail that are looked up

# Held from the count to the booking, so that two messages at work in this process do not take the same turn. Two
# machines may: a sender then gets one message through for each of them too many.
_counting = threading.Lock()


@dataclass(frozen=True, slots=True)
class Turn:
    """When a message may go on."""

    at: datetime  # aware, UTC; in the past when it need not wait
    episode: str  # reference of the message with which its sender's run of waiting ones began; "" when it does not wait


@dataclass(frozen=True, slots=True)
class Account:
    """What a sender has had of us lately, as one of its messages finds it."""

    turns: tuple[datetime, ...]  # of its other messages, the latest booked first; as many as may go on in an hour
    episode: str  # of the last one of them that had to wait, "" when none had
    uploaded_bytes: int  # today, before this message

    def turn(self, reference: str, now: datetime, max_per_h: int) -> Turn:
        """When the message may go on: an hour after the one that is `max_per_h` before it; 0 is no limit."""
        at = now
        if 0 < max_per_h <= len(self.turns):
            at = max(now, self.turns[max_per_h - 1] + HOUR)
        return Turn(at, (self.episode or reference) if at > now else "")


def allot(settings: Settings, memory: Memory | None, reference: str, request: Request) -> dict[str, Any]:
    """What becomes of each attachment, and when the message may go on, given what its sender has had of us lately.

    As JSON: the `fates`, `goes_on_at`, and the `episode` of the message's `Turn`. Without a memory nobody has had
    anything.
    """
    imap, r2, now = settings.imap, settings.r2, datetime.now(UTC)
    caps = attachment_policy.Caps(r2.max_file_bytes, r2.max_mail_bytes)
    if memory is None:
        return {"fates": list(attachment_policy.decide(request, caps)), "goes_on_at": now.isoformat(), "episode": ""}
    sender = pseudonym(settings, request.sender.addr_spec.casefold())
    # The beginning of an image may be the beginning of many.
    images = [] if attachment_policy.oversize_bytes(request) else attachment_policy.small_images(request)
    seen = seen_before(memory, settings, sender, reference, images)
    # A form of ours may write for hundreds of customers, if it is ours indeed.
    ours = bool(request.verified) and triage_sender.is_ours(request.sender.addr_spec, triage_sender.own_domains(imap))
    max_per_h = 0 if ours else imap.max_per_sender_per_h
    with _counting:
        had = account(memory, sender, reference, now, max_per_h)
        if r2.max_sender_bytes_per_day:
            caps = replace(caps, left_bytes=max(0, r2.max_sender_bytes_per_day - had.uploaded_bytes))
        decided = attachment_policy.decide(request, caps, seen)
        sizes = (file.size_bytes for file, fate in zip(request.attachments, decided, strict=True) if fate is Fate.FILE)
        turn = had.turn(reference, now, max_per_h)
        turn = book(memory, sender, reference, now, turn, had.uploaded_bytes + sum(sizes))
    return {"fates": list(decided), "goes_on_at": turn.at.isoformat(), "episode": turn.episode}


def pseudonym(settings: Settings, *words: str) -> str:
    """32 hex digits that stand for the words: HMAC-SHA-256 under a secret of ours, or the login where there is none."""
    secret = settings.r2.secret_access_key.get_secret_value() or settings.imap.username
    message = "\0".join(words).encode(errors="surrogatepass")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()[:32]


def account(memory: Memory, sender: str, reference: str, now: datetime, max_per_h: int) -> Account:
    """What the sender of this pseudonym has had, from one look at the memory."""
    latest = memory.latest(_prefix(sender), now - LOOKED_BACK, max(max_per_h, 1) + 1)
    # A try of this message that died may have booked for it.
    facts = [json.loads(value) for key, value in latest if key != _prefix(sender) + reference]
    episode = next((fact["episode"] for fact in facts if fact["episode"]), "")
    today = facts and facts[0]["day"] == day_of(now)
    return Account(
        tuple(datetime.fromisoformat(fact["at"]) for fact in facts), episode, facts[0]["bytes"] if today else 0
    )


def book(memory: Memory, sender: str, reference: str, now: datetime, turn: Turn, uploaded_bytes: int) -> Turn:
    """Write down a message's turn, and what its sender has uploaded today with it; returns the turn first written."""
    fact = {"at": turn.at.isoformat(), "episode": turn.episode, "day": day_of(now), "bytes": uploaded_bytes}
    kept: dict[str, Any] = json.loads(memory.remember(_prefix(sender) + reference, json.dumps(fact)))
    return Turn(datetime.fromisoformat(kept["at"]), kept["episode"])


def seen_before(memory: Memory, settings: Settings, sender: str, reference: str, images: Iterable[str]) -> set[str]:
    """Those of the fingerprints that a mail before this one brought from the sender; all of them are known from now on.

    At most IMAGES of them are looked up: whoever sends more small images sends no signature.
    """
    keys = {"image-" + pseudonym(settings, sender, image): image for image in list(images)[:IMAGES]}
    if not keys:
        return set()
    known = memory.recall(keys)
    return {image for key, image in keys.items() if (known.get(key) or memory.remember(key, reference)) != reference}


def _prefix(sender: str) -> str:
    return f"sender-{sender}-"


def day_of(now: datetime) -> str:
    """Return the day (UTC) of a moment, as ISO 8601 writes it."""
    return now.astimezone(UTC).date().isoformat()
