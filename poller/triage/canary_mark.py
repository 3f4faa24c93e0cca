"""Recognise the canary, the mail that the daemon sends itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.model import Request
    from poller.workflow.facts import FactStore


HEADER = "X-Figurative-Canary"
REASON = "canary"  # reason for which its mail is ignored
_TOKEN = re.compile(r"[0-9a-f]{32}")


def recognise(store: FactStore, request: Request, reference: str) -> str | None:
    """Record the arrival of a canary's mail, and return the reason to ignore it. None for any other mail."""
    token = request.header(HEADER).strip()
    if not _TOKEN.fullmatch(token) or not store.recall([fact_key(token)]):
        return None
    store.remember(arrival_key(token), reference)
    return REASON


def fact_key(token: str) -> str:
    """Return the key under which the sending of a canary is remembered."""
    return f"canary-{token}"


def arrival_key(token: str) -> str:
    """Return the key under which the arrival of a canary is remembered."""
    return f"{fact_key(token)}-arrived"
