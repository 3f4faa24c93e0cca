"""Recognise the report that our letter to a customer did not arrive (RFC 3464)."""

from __future__ import annotations

import re

from poller.own_mail import ACKNOWLEDGEMENT, OWN_DOMAIN

FACT = "bounced-"  # before the reference of the message whose letter came back
_FAILED = re.compile(rb"^Action:[ \t]*failed\b", re.IGNORECASE | re.MULTILINE)  # and not "delayed"
_LETTER = re.compile(rf"<([0-9a-f]{{16}})\.{ACKNOWLEDGEMENT}@{re.escape(OWN_DOMAIN)}>".encode())


def bounced(report: bytes) -> str:
    """Return the reference of the message whose letter did not arrive, "" if a delivery report tells of no such letter.

    `report` is the beginning of the raw message. A report quotes the header of what it is about.
    """
    found = _LETTER.search(report) if _FAILED.search(report) else None
    return found[1].decode() if found else ""
