"""Identify the messages of one conversation (RFC 5322 section 3.6.4), and the people who may continue it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.model import Request

LOOKED_UP = 50  # at most so many Message-IDs; the RFC sets no limit to References


def key(account: str, message_id: str) -> str:
    """Return the key that a message's reference is stored under.

    It is a hash, because the Message-ID itself is the sender's and not stored.
    """
    return "thread-" + hashlib.sha256(f"{account}\0{message_id}".encode()).hexdigest()[:32]


def subtask_key(reference: str) -> str:
    """Return the key of the answer that brought a subtask to the thread. `reference` is the first message's."""
    return f"thread-subtask-{reference}"


def parent_keys(account: str, request: Request) -> list[str]:
    """Return the keys of the messages that this one answers, the nearest first, at most LOOKED_UP."""
    nearest_first = dict.fromkeys([*request.in_reply_to, *reversed(request.references)])
    return [key(account, message_id) for message_id in list(nearest_first)[:LOOKED_UP]]
