"""Under which key a message is remembered, and under which the messages that it answers (RFC 5322 section 3.6.4)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.request import Request

LOOKED_UP = 50  # message ids; the RFC sets no limit to References


def key(account: str, message_id: str) -> str:
    """Under which the reference of a message is remembered; the Message-ID itself is the sender's, and not kept."""
    return "thread-" + hashlib.sha256(f"{account}\0{message_id}".encode()).hexdigest()[:32]


def forebears(account: str, request: Request) -> list[str]:
    """The keys of the messages that this one answers, the nearest first."""
    nearest_first = dict.fromkeys([*request.in_reply_to, *reversed(request.references)])
    return [key(account, message_id) for message_id in list(nearest_first)[:LOOKED_UP]]
