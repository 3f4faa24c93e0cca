"""Which messages are one conversation (RFC 5322 section 3.6.4), and who may go on with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.model import Request

LOOKED_UP = 50  # message ids; the RFC sets no limit to References


@dataclass(frozen=True, slots=True)
class People:
    """Who is behind a message, each as a keyed hash: the memory holds no address."""

    customer: str = ""  # who is to be answered: the ticket is on this contact; "" when nobody knows
    writer: str = ""  # who wrote it, see `senders.writer`; likewise
    colleague: bool = field(default=False, compare=False)  # whether the writer is one of ours

    def may_answer(self, opened: People) -> bool:
        """Whether an answer from these people belongs to the ticket that the message of the others opened.

        The customer wrote it, or whoever wrote that one for the same customer, or one of ours, for that customer or
        for nobody else. A Reply-To alone may name anybody.
        """
        if self.colleague and self.customer in {self.writer, opened.customer}:
            return True
        return bool(self.writer) and (self.writer == opened.customer or self == opened)


def key(account: str, message_id: str) -> str:
    """Under which the reference of a message is remembered; the Message-ID itself is the sender's, and not kept."""
    return "thread-" + hashlib.sha256(f"{account}\0{message_id}".encode()).hexdigest()[:32]


def subtask_key(reference: str) -> str:
    """Under which the answer is remembered that brought a subtask to the thread of this first message."""
    return f"thread-subtask-{reference}"


def forebears(account: str, request: Request) -> list[str]:
    """The keys of the messages that this one answers, the nearest first."""
    nearest_first = dict.fromkeys([*request.in_reply_to, *reversed(request.references)])
    return [key(account, message_id) for message_id in list(nearest_first)[:LOOKED_UP]]
