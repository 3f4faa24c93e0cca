"""Errors that more than one package raises and catches."""

from __future__ import annotations


class MessageGoneError(Exception):
    """The message is no longer in the mailbox: a person took it, which is their right."""
