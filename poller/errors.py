"""Errors that more than one package raises and catches."""

from __future__ import annotations

from integrations.errors import TransientError


class MessageGoneError(Exception):
    """The message is no longer in the mailbox: a person took it, which is their right."""


class MessageWithheldError(TransientError):
    """The message is in the mailbox, and the server does not give it: it alone waits, and no other message with it."""

    def __init__(self) -> None:
        """Nothing was done: the call only reads."""
        super().__init__("IMAP FETCH: the server lists the message and does not give it", outcome_unknown=False)
