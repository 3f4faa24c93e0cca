"""The optional fields of a subtask: how they are sent, and whether the workspace has what they name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any


@dataclass(frozen=True, slots=True)
class SubtaskFields:
    """What every subtask has beside its text."""

    assignees: tuple[int, ...] = ()  # ids of members of the workspace
    tags: tuple[str, ...] = ()  # names of tags of the space, as it has them
    priority: int | None = None  # 1 urgent, 2 high, 3 normal, 4 low

    def as_json(self, due: date | None) -> dict[str, Any]:
        """Return the fields of a task that is due on a day, without those that are empty."""
        fields: dict[str, Any] = {"assignees": list(self.assignees), "tags": list(self.tags), "priority": self.priority}
        if due:
            # At noon it is the same day from one end of the world to nearly the other, whatever zone ClickUp takes.
            noon = datetime.combine(due, time(12), UTC)
            fields |= {"due_date": int(noon.timestamp() * 1000), "due_date_time": False}
        return {name: value for name, value in fields.items() if value not in (None, [])}

    def missing_members(self, parent: dict[str, Any], teams: list[dict[str, Any]]) -> list[str]:
        """Return the assignees that are no members of the workspace of the parent task, given every workspace."""
        team_id = parent.get("team_id")
        own = [team for team in teams if not team_id or str(team.get("id")) == str(team_id)]
        members = {(member.get("user") or {}).get("id") for team in own for member in team.get("members") or ()}
        return [str(assignee) for assignee in self.assignees if assignee not in members]

    def missing_tags(self, tags: list[dict[str, Any]]) -> list[str]:
        """Return the tags that the space does not have, given its own."""
        names = {tag.get("name") for tag in tags}
        return [repr(tag) for tag in self.tags if tag not in names]
