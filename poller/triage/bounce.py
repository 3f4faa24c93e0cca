"""Recognise the report that our letter to a customer did not arrive (RFC 3464)."""

from __future__ import annotations

import re

from poller.mime.headers import END_OF_HEADER
from poller.own_mail import ACKNOWLEDGEMENT, OWN_DOMAIN

FACT = "bounced-"  # before the reference of the message whose letter came back
_FAILED = re.compile(rb"^Action:[ \t]*failed\b", re.IGNORECASE | re.MULTILINE)  # and not "delayed"
_LETTER = rf":\s{{0,9}}<([0-9a-f]{{16}})\.{ACKNOWLEDGEMENT}@{re.escape(OWN_DOMAIN)}>"
_RETURNED = re.compile(rf"^Message-ID{_LETTER}".encode(), re.IGNORECASE | re.MULTILINE)
_ANSWERED = re.compile(rf"^In-Reply-To{_LETTER}".encode(), re.IGNORECASE | re.MULTILINE)


def bounced(report: bytes) -> str:
    """Return the reference of the message whose letter did not arrive, "" if a delivery report tells of no such letter.

    `report` is the beginning of the raw message. A report returns the header of what it is about, or names it as what
    it answers. A mail that refers to our letter is another one.
    """
    if not _FAILED.search(report):
        return ""
    end = END_OF_HEADER.search(report)
    found = _RETURNED.search(report) or _ANSWERED.search(report, 0, end.start() if end else len(report))
    return found[1].decode() if found else ""
