"""Name the header fields and Message-IDs by which our own mail is known."""

from __future__ import annotations

FORM_HEADER = "X-Figurative-Form"  # names the site's form that the message came from
FORM_MARK_HEADER = "X-Figurative-Form-Mark"  # proves it, see `triage.form_mark`
HEADER = "X-Figurative-Poller"  # screening recognises our own mail by it
ACKNOWLEDGEMENT = "acknowledgement"  # the kind of a letter to a customer, in its Message-ID
OWN_DOMAIN = "figurative-poller.invalid"  # right-hand side of our own Message-IDs


def notification_id(reference: str, what: str) -> str:
    """Return the Message-ID of a mail of ours. It is the same each time, so that a second copy is recognised as one."""
    return f"<{reference}.{what}@{OWN_DOMAIN}>"
