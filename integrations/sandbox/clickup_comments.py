"""The comments on a ClickUp task (https://developer.clickup.com/docs/task-comments-pagination)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE_SIZE = 25
USER: dict[str, Any] = {  # the owner of the token
    "id": 147,
    "username": "Sandbox",
    "email": "sandbox@figurative.example",
    "color": "#827718",
    "profilePicture": "https://attachments.example/147.jpg",
    "initials": "S",
}


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a task."""

    id: int
    text: str
    created_at: float = field(default_factory=time.time)  # seconds since the epoch

    @property
    def date_ms(self) -> int:
        """The creation time in ClickUp's unit: milliseconds since the epoch."""
        return int(self.created_at * 1000)


def listed(comments: Sequence[Comment], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a page of comments, newest first, as ClickUp sends it.

    `start` and `start_id` together limit it to the comments older than that one.
    """
    found = sorted(comments, key=_age, reverse=True)
    if "start" in query and "start_id" in query:  # one alone does nothing
        start = int(query["start"][0]), int(query["start_id"][0])
        found = [comment for comment in found if _age(comment) < start]
    return {"comments": [_shown(comment) for comment in found[:PAGE_SIZE]]}


def _age(comment: Comment) -> tuple[int, int]:
    return comment.date_ms, comment.id


def _shown(comment: Comment) -> dict[str, Any]:
    return {
        "id": str(comment.id),
        "comment": [{"text": comment.text}],
        "comment_text": comment.text,
        "user": USER,
        "resolved": False,
        "assignee": None,
        "assigned_by": None,
        "reactions": [],
        "date": str(comment.date_ms),
        "reply_count": "0",
    }
