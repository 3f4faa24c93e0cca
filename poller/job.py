"""A message on its way through the steps, and what each step finds there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poller import confined

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poller.inbox import Source
    from poller.journal import Journal
    from poller.request import Request
    from poller.services import Services
    from poller.settings import Settings


class Message:
    """The message in hand: fetched and parsed when a step first needs it, forgotten when the work on it ends."""

    def __init__(self, reference: str, source: Source, path: Path) -> None:
        """`path` is where the spool file goes."""
        self._reference, self._source, self._path = reference, source, path
        self._request: Request | None = None

    def waits_behind(self, message_ids: Iterable[str]) -> bool:
        """Whether an older message that still waits is, or names, one of these."""
        return self._source.holds_older(self._reference, message_ids)

    @property
    def account(self) -> str:
        """Whose mailbox it is in."""
        return self._source.account

    @property
    def request(self) -> Request:
        """What the customer asked for; attachments are read from the spool file."""
        if self._request is None:
            received_at = self._source.fetch(self._reference, self._path)
            request = confined.parse(self._path, self._source.account, received_at)
            # A server may end a broken header elsewhere than the parser does; the message is known by what was first.
            self._request = replace(request, reference=self._reference)
        return self._request

    def discard(self) -> None:
        """Remove the spool file."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Job:
    """A message on its way through the steps."""

    journal: Journal
    message: Message
    services: Services
    settings: Settings
    files: tuple[int, ...] = ()  # numbers of the attachments that go to R2, counted from 0; known once it is received
