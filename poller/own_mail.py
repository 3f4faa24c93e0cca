"""Name the header fields and Message-IDs by which our own mail is known."""

from __future__ import annotations

FORM_HEADER = "X-Figurative-Form"  # names the form of the site that a message was filled in at


HEADER = "X-Figurative-Poller"  # screening knows our own mail by it


def notification_id(reference: str, what: str) -> str:
    """The Message-ID of a mail of ours: the same each time, so that a second copy is known for one."""
    return f"<{reference}.{what}@figurative-poller.invalid>"


OWN_HEADER = "X-Figurative-Poller"
OWN_DOMAIN = "figurative-poller.invalid"  # right-hand side of the Message-IDs that we make
