"""Limit what a sender may ask for in an hour and a day.

The counts are facts in the state store. They outlive the process, and machines that share a state store count together.
The key of a fact is a keyed hash of the sender, so the state does not reveal who wrote.

Who writes under another's address uses up nothing of theirs: what is verified, what only claims an address, and what
was filled into a form count apart. And as addresses cost nothing, new senders count together as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from poller.model import UploadDecision
from poller.triage import attachment_policy
from poller.triage import sender as triage_sender

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from poller.config.settings import Settings
    from poller.model import Request
    from poller.workflow.facts import FactStore

HOUR = timedelta(hours=1)
LOOKED_BACK = timedelta(hours=25)  # covers the total of one day, and the longest run of waiting messages
IMAGES = 20  # images of a mail that are looked up
_NEWCOMERS = "newcomers-"  # in place of a pseudonym
MAILS, ANSWERED_WITHIN = 50, timedelta(days=365)  # of a ticket, whose images an answer is compared with

# Held from the count to the reservation, so that two messages in progress in this process do not take the same slot.
# Two machines may: then each of them lets one message of a sender too many through.
_counting = threading.Lock()


class Proof(StrEnum):
    """What a sender's address rests on. Each kind has counts of its own."""

    VERIFIED = "verified"  # our server vouches for the sender, or for a colleague who names them
    CLAIMED = "claimed"  # nobody does
    FORM = "form"  # a visitor of our own forms wrote it


@dataclass(frozen=True, slots=True)
class Slot:
    """The time at which a message may go on."""

    at: datetime  # aware, UTC; in the past when it need not wait
    episode: str  # reference of the message with which a run of waiting ones began; "" when it does not wait
    crowd: bool = False  # True if the limit of all new senders makes it wait


@dataclass(frozen=True, slots=True)
class SenderAccount:
    """A sender's recent use of the service, as one of its messages finds it."""

    slots: tuple[datetime, ...]  # of its other messages, the latest reserved first; as many as may go on in an hour
    episode: str  # of the last one of them that had to wait, "" when none had
    waits_until: datetime | None  # its slot
    uploaded_bytes: int  # today, before this message

    def slot(self, reference: str, now: datetime, max_per_h: int, *, in_order: bool = True) -> Slot:
        """Return when the message may go on: an hour after the one that is `max_per_h` before it.

        With `in_order` it is not before the last one that had to wait. With `max_per_h` 0 there is no limit.
        """
        at = now
        # The slot of one that need not wait may lie ahead too: the two are received at once, or on two machines.
        if in_order and max_per_h and self.waits_until:
            at = max(now, self.waits_until)
        if 0 < max_per_h <= len(self.slots):
            at = max(at, self.slots[max_per_h - 1] + HOUR)
        return Slot(at, (self.episode or reference) if at > now else "")


def assign_slot(
    settings: Settings, store: FactStore, reference: str, request: Request, thread: str = ""
) -> tuple[tuple[UploadDecision, ...], Slot]:
    """Decide what becomes of each attachment, and when the message may go on, given its sender's recent use.

    `thread` is the reference of the message whose ticket this one may answer, "" if there is none.
    """
    imap, r2, now = settings.imap, settings.r2, datetime.now(UTC)
    caps = attachment_policy.Caps(r2.max_file_bytes, r2.max_mail_bytes)
    sender = pseudonym(settings, request.sender.addr_spec.casefold())
    # Of an oversize message only the beginning is here, and many images may begin with it.
    is_whole = not attachment_policy.oversize_bytes(request)
    images = attachment_policy.small_images(request) if is_whole else []
    pictures = attachment_policy.ticket_images(request) if is_whole else []
    known = attachment_policy.Known(
        of_sender=seen_before(store, settings, sender, reference, images),
        on_ticket=on_ticket(store, settings, thread or reference, reference, pictures),
    )
    # A form of ours may write for hundreds of customers, so it has no limit where it is verified as ours.
    ours = triage_sender.is_colleague(request, request.sender, triage_sender.own_domains(imap))
    max_per_h = 0 if ours else imap.max_per_sender_per_h
    proof = proof_of(request, triage_sender.own_domains(imap))
    counted = _counted(settings, request, proof)
    with _counting:
        had = account(store, counted, reference, now, max_per_h)
        if r2.max_sender_bytes_per_day:
            caps = replace(caps, left_bytes=max(0, r2.max_sender_bytes_per_day - had.uploaded_bytes))
        decided = attachment_policy.decide_uploads(request, caps, known, r2.file_types)
        sizes = (
            file.size_bytes
            for file, fate in zip(request.attachments, decided, strict=True)
            if fate is UploadDecision.FILE
        )
        slot = had.slot(reference, now, max_per_h)
        if not ours and not had.slots and is_new(store, counted, reference):
            slot = newcomer_slot(store, proof, reference, now, imap.max_new_senders_per_h)
        slot = reserve_slot(store, counted, reference, now, slot, had.uploaded_bytes + sum(sizes))
    return decided, slot


def proof_of(request: Request, own: Collection[str]) -> Proof:
    """Return what the sender's address rests on. A Reply-To is a claim, whoever signs the mail."""
    if triage_sender.from_our_form(request, own):
        return Proof.FORM
    same = request.sender.addr_spec.casefold() == request.author.addr_spec.casefold()
    vouched = request.verified and (same or triage_sender.is_colleague(request, request.author, own))
    return Proof.VERIFIED if vouched else Proof.CLAIMED


def newcomer_slot(store: FactStore, proof: Proof, reference: str, now: datetime, max_per_h: int) -> Slot:
    """Reserve and return the slot of a sender who has not written before, among all such senders.

    With `max_per_h` 0 there is no limit.
    """
    everyone = f"{_NEWCOMERS}{proof}"
    all_had = account(store, everyone, reference, now, max_per_h)
    # Strangers need no order, and a limit that was raised ends the wait behind a crowd.
    slot = all_had.slot(reference, now, max_per_h, in_order=False)
    return replace(reserve_slot(store, everyone, reference, now, slot, 0), crowd=slot.at > now)


def is_new(store: FactStore, sender: str, reference: str) -> bool:
    """Return whether a message is the first of the sender of this pseudonym that is remembered, and remember it."""
    return store.remember(_prefix(sender).rstrip("-"), reference) == reference


def _counted(settings: Settings, request: Request, proof: Proof) -> str:
    """Return the pseudonym under which a sender's messages count. A claimed address has that of earlier releases."""
    address = request.sender.addr_spec.casefold()
    return pseudonym(settings, address) if proof is Proof.CLAIMED else pseudonym(settings, address, proof)


def pseudonym(settings: Settings, *words: str) -> str:
    """Return 32 hex digits that stand for the words.

    They are an HMAC-SHA-256 under the secret key of R2, or under the IMAP login where there is none.
    """
    secret = settings.r2.secret_access_key.get_secret_value() or settings.imap.username
    message = "\0".join(words).encode(errors="surrogatepass")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()[:32]


def account(store: FactStore, sender: str, reference: str, now: datetime, max_per_h: int) -> SenderAccount:
    """Return the recent use by the sender of this pseudonym, from one read of the state store."""
    latest = store.latest(_prefix(sender), now - LOOKED_BACK, max(max_per_h, 1) + 1)
    # An earlier try of this message that died may have reserved its slot.
    facts = [json.loads(value) for key, value in latest if key != _prefix(sender) + reference]
    waiting = next((fact for fact in facts if fact["episode"]), None)
    today = facts and facts[0]["day"] == day_of(now)
    return SenderAccount(
        slots=tuple(datetime.fromisoformat(fact["at"]) for fact in facts),
        episode=waiting["episode"] if waiting else "",
        waits_until=datetime.fromisoformat(waiting["at"]) if waiting else None,
        uploaded_bytes=facts[0]["bytes"] if today else 0,
    )


def reserve_slot(store: FactStore, sender: str, reference: str, now: datetime, slot: Slot, uploaded_bytes: int) -> Slot:
    """Record a message's slot, and what its sender has uploaded today with it. Return the slot recorded first."""
    fact = {"at": slot.at.isoformat(), "episode": slot.episode, "day": day_of(now), "bytes": uploaded_bytes}
    fact |= {"crowd": True} if slot.crowd else {}
    kept: dict[str, Any] = json.loads(store.remember(_prefix(sender) + reference, json.dumps(fact)))
    return Slot(datetime.fromisoformat(kept["at"]), kept["episode"], kept.get("crowd", False))


def seen_before(store: FactStore, settings: Settings, sender: str, reference: str, images: Iterable[str]) -> set[str]:
    """Return the fingerprints that an earlier mail of the sender had, and record all that are looked up.

    At most IMAGES of them are looked up: a sender with more small images than that sends no signature.
    """
    keys = {"image-" + pseudonym(settings, sender, image): image for image in list(images)[:IMAGES]}
    if not keys:
        return set()
    known = store.recall(keys)
    return {image for key, image in keys.items() if (known.get(key) or store.remember(key, reference)) != reference}


def on_ticket(store: FactStore, settings: Settings, thread: str, reference: str, images: Iterable[str]) -> set[str]:
    """Return the fingerprints that another mail of the ticket had, and record those of this mail, IMAGES at most.

    `thread` is the reference of the message that opened the ticket.
    """
    mine = {pseudonym(settings, thread, image)[:16]: image for image in list(images)[:IMAGES]}
    if not mine:
        return set()
    prefix = f"image-{pseudonym(settings, 'ticket', thread)}-"
    store.remember(prefix + reference, " ".join(mine))
    if thread == reference:
        return set()
    latest = store.latest(prefix, datetime.now(UTC) - ANSWERED_WITHIN, MAILS)
    there = {digest for key, value in latest if key != prefix + reference for digest in value.split()}
    return {image for digest, image in mine.items() if digest in there}


def _prefix(sender: str) -> str:
    return f"sender-{sender}-"


def day_of(now: datetime) -> str:
    """Return the day (UTC) of a moment, as ISO 8601 writes it."""
    return now.astimezone(UTC).date().isoformat()
