"""Identify the messages of one conversation (RFC 5322 section 3.6.4), and the people who may continue it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.model import Request

LOOKED_UP = 50  # at most so many Message-IDs; the RFC sets no limit to References


@dataclass(frozen=True, slots=True)
class Participants:
    """The people behind a message, each as a keyed hash: the state store holds no address."""

    customer: str = ""  # the person to answer, whose contact has the ticket; "" if unknown
    writer: str = ""  # the author, see `sender.writer`; "" if unknown
    colleague: bool = field(default=False, compare=False)  # True if the writer is one of ours

    def may_answer(self, opened: Participants) -> bool:
        """Return True if an answer from these people belongs to the ticket that a message from `opened` created.

        The answer's writer must be one of these:

        - the ticket's customer,
        - the writer of the first message, for the same customer,
        - a colleague, for that customer or for no other person.

        A Reply-To alone does not count, because it may name any address.
        """
        if self.colleague and self.customer in {self.writer, opened.customer}:
            return True
        return bool(self.writer) and (self.writer == opened.customer or self == opened)


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
