"""Recognise the canary, the mail that the daemon sends itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.model import Request
    from poller.workflow.facts import Memory


HEADER = "X-Figurative-Canary"
REASON = "canary"  # why its mail is ignored
_TOKEN = re.compile(r"[0-9a-f]{32}")


def recognise(memory: Memory | None, request: Request, reference: str) -> str | None:
    """Why the mail is no work, if it is one of the canary's, whose arrival is noted; None for any other."""
    token = request.header(HEADER).strip()
    if memory is None or not _TOKEN.fullmatch(token) or not memory.recall([_key(token)]):
        return None
    memory.remember(_arrival(token), reference)
    return REASON


def _key(token: str) -> str:
    return f"canary-{token}"


def _arrival(token: str) -> str:
    return f"{_key(token)}-arrived"
