"""A stand-in for the part of ClickUp's API v2 that we use: tasks, subtasks and comments of one list."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integrations.sandbox import clickup_comments
from integrations.sandbox.clickup_comments import USER, Comment
from integrations.sandbox.loopback_server import Answer
from integrations.sandbox.stand_in import RateLimit, RejectedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations.sandbox.loopback_server import Recorded

PAGE_SIZE = 100
_TEAM_ID, _SPACE_ID = "90120000001", "90120000002"
_PRIORITIES = {1: "urgent", 2: "high", 3: "normal", 4: "low"}
_CLOSED = {"complete", "closed"}
_COLOURS = {"to do": "#87909e", "complete": "#008844", "closed": "#008844"}
_WRITABLE = (
    *("name", "description", "markdown_content", "parent", "status", "archived"),
    *("assignees", "tags", "priority", "due_date", "due_date_time"),
)


@dataclass(slots=True)
class Task:
    """A task, or a subtask when it has a parent."""

    id: str
    list_id: str
    name: str
    markdown: str = ""  # what was sent as `markdown_content`, or as `description`
    parent: str | None = None  # the id of a task
    priority: int | None = None  # 1 urgent to 4 low
    status: str = "to do"
    closed: bool = False
    archived: bool = False
    tags: list[str] = field(default_factory=list)
    assignees: list[int] = field(default_factory=list)  # ids of members
    due_date: int | None = None  # milliseconds since the epoch
    due_date_time: bool = False  # whether the time of `due_date` is shown
    comments: list[Comment] = field(default_factory=list)  # oldest first
    created_at: float = field(default_factory=time.time)  # seconds since the epoch

    @property
    def text(self) -> str:
        r"""The description as in `text_content`: the markdown as plain text, `\[ref: x\]` as `[ref: x]`."""
        linked = re.sub(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\((?:\\.|[^)\\])*\)", r"\1", self.markdown)
        bare = re.sub(r"(?m)^(?:#{1,6}|>|[-*+]) +|(?<!\\)(?:\*\*|__|`)", "", linked)
        return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", bare)


class ClickUp(StandIn):
    """A workspace with one list, which holds the parent task of the subtasks.

    A test may set `rate_limit` (None for none) and `list_lag_s`: the task lists omit tasks younger than that. `members`
    and `space_tags` are the people of the workspace and the tags of the space.
    """

    def __init__(self, token: str = "pk_147_SANDBOX") -> None:  # noqa: S107  a stand-in's
        super().__init__()
        self.token = token
        self.parent_id = "86c0parent"
        self._forget()

    def _forget(self) -> None:
        self.list_id = "901200000001"
        self.rate_limit: RateLimit | None = RateLimit(100, 60.0)
        self.list_lag_s = 0.0
        self.members = {USER["id"]: USER}
        self.space_tags = {"3d"}
        self.tasks = {self.parent_id: Task(self.parent_id, self.list_id, "Modélisations 3D", created_at=0.0)}
        self._ids = itertools.count(1)
        self._comment_ids = itertools.count(90_150_000_000_001)  # too large for 32 bits, as the real ones are

    def reset(self) -> None:
        """Forget everything but the parent task."""
        super().reset()
        with self._lock:
            self._forget()

    @property
    def subtasks(self) -> list[Task]:
        """Every task that has a parent, oldest first."""
        return [each for each in self.tasks.values() if each.parent is not None]

    @property
    def base_url(self) -> str:
        """The URL that the paths of the API are appended to."""
        return f"{self.url}/api/v2"

    def error(self, status: int) -> object:
        """Return ClickUp's error body for a status."""
        known = {401: ("Team not authorized", "OAUTH_027"), 429: ("Rate limit reached", "APP_002")}
        text, code = known.get(status, (f"Status {status}", f"ITEM_{status}"))
        return {"err": text, "ECODE": code}

    def answer(self, request: Recorded) -> Answer:
        """Authenticate the request, apply the rate limit, and carry it out."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise _refused(401, "Authorization header required", "OAUTH_017")
        if authorization != self.token:  # "Bearer pk_..." too: personal tokens are sent bare
            raise _refused(401, "Oauth token not found", "OAUTH_019")
        admitted = self.rate_limit is None or self.rate_limit.admit()
        headers = self._rate_headers()
        if not admitted:
            raise RejectedError(429, self.error(429), headers)
        return Answer(200, self._routed(request), headers)

    def _rate_headers(self) -> dict[str, str]:
        if self.rate_limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.rate_limit.limit),
            "X-RateLimit-Remaining": str(self.rate_limit.remaining),
            "X-RateLimit-Reset": str(int(time.time() + self.rate_limit.reset_in_s) + 1),
        }

    def _routed(self, request: Recorded) -> dict[str, Any]:
        match request.method, request.segments[2:]:
            case "GET", ("user" | "team" | "space", *_):
                return self._workspace(request.segments[2:])
            case "GET", ("task", id_):
                return self._shown_with_subtasks(self._found(id_), request.query)
            case "PUT", ("task", id_):
                return self._shown(self._changed(self._found(id_), _mapping(request.body)))
            case "GET" | "POST", ("task", id_, "comment"):
                return self._comments(self._found(id_), request)
            case "POST", ("list", self.list_id, "task"):
                return self._shown(self._created(_mapping(request.body)))
            case "GET", ("list", self.list_id, "task"):
                return self._listed(request.query)
            case _, ("list", *_):
                # ClickUp treats a list that does not exist like one that the token may not see.
                raise RejectedError(401, self.error(401))
        raise _refused(404, "Route not found", "APP_001")

    def _workspace(self, path: tuple[str, ...]) -> dict[str, Any]:
        match path:
            case ("user",):
                return {"user": USER}
            case ("team",):
                members = [{"user": member} for member in self.members.values()]
                team = {"id": _TEAM_ID, "name": "Figurative", "color": "#40bc86", "members": members}
                return {"teams": [team | {"avatar": "https://attachments.example/figurative.jpg"}]}
            case ("space", id_, "tag") if id_ == _SPACE_ID:
                return {"tags": [_tag(name) for name in sorted(self.space_tags)]}
        raise RejectedError(401, self.error(401))

    def _found(self, id_: str) -> Task:
        if id_ not in self.tasks:
            # ClickUp answers 401 for any unknown id, even when the token is valid.
            raise RejectedError(401, self.error(401))
        return self.tasks[id_]

    def _created(self, body: Mapping[str, Any]) -> Task:
        task = Task(f"86c{next(self._ids):06d}", self.list_id, "")
        self._changed(task, {"name": None, **body})
        self.tasks[task.id] = task
        return task

    def _changed(self, task: Task, body: Mapping[str, Any]) -> Task:
        given = {name: body[name] for name in _WRITABLE if name in body}
        if "name" in given and not str(given["name"] or "").strip():
            raise _refused(400, "Task name invalid", "INPUT_005")
        parent = given.get("parent")
        if parent is not None and (parent not in self.tasks or self.tasks[parent].list_id != task.list_id):
            raise _refused(400, "Parent not child of list", "ITEM_137")
        if given.get("priority") not in {None, *_PRIORITIES}:
            raise _refused(400, "Priority invalid", "INPUT_006")
        if unknown := set(given.get("assignees", [])) - self.members.keys():
            raise _refused(400, f"Assignees not found: {sorted(unknown)}", "ITEM_018")
        if "custom_item_id" in body and not isinstance(body["custom_item_id"], int):
            raise _refused(400, "custom_item_id must be a number", "INPUT_008")
        task.markdown = str(given.pop("markdown_content", given.pop("description", task.markdown)) or "")
        given.pop("description", None)  # markdown_content wins
        if "tags" in given:
            given["tags"] = [str(tag).lower() for tag in given["tags"]]
        for name, value in given.items():
            setattr(task, name, value)
        task.closed = task.status in _CLOSED
        return task

    def _comments(self, task: Task, request: Recorded) -> dict[str, Any]:
        if request.method == "GET":
            return clickup_comments.listed(task.comments, request.query)
        text = _mapping(request.body).get("comment_text")
        if not isinstance(text, str) or not text.strip():
            raise RejectedError(400, self.error(400))
        comment = Comment(next(self._comment_ids), text)
        task.comments.append(comment)
        return {"id": str(comment.id), "hist_id": f"{comment.id}-1", "date": comment.date_ms}

    def _listed(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        def asked(name: str, default: str = "false") -> str:
            return query.get(name, [default])[0]

        until = time.time() - self.list_lag_s
        found = [
            task
            for task in self.tasks.values()
            if task.created_at <= until
            and (task.parent is None or asked("subtasks") == "true")
            and (not task.closed or asked("include_closed") == "true")
            and task.archived == (asked("archived") == "true")
            and float(asked("date_created_gt", "-1")) < task.created_at * 1000 < float(asked("date_created_lt", "inf"))
            and set(task.tags) >= set(query.get("tags[]", []))
        ]
        found.sort(key=lambda task: task.created_at, reverse=asked("reverse") != "true")
        start = int(asked("page", "0")) * PAGE_SIZE
        page = found[start : start + PAGE_SIZE]
        with_markdown = asked("include_markdown_description") == "true"
        shown = [self._shown(task, with_markdown=with_markdown) for task in page]
        return {"tasks": shown, "last_page": start + PAGE_SIZE >= len(found)}

    def _shown_with_subtasks(self, task: Task, query: Mapping[str, list[str]]) -> dict[str, Any]:
        shown = self._shown(task, with_markdown=query.get("include_markdown_description") == ["true"])
        if query.get("include_subtasks") == ["true"]:
            shown["subtasks"] = [self._shown(each) for each in self.tasks.values() if each.parent == task.id]
        return shown

    def _shown(self, task: Task, *, with_markdown: bool = False) -> dict[str, Any]:
        shown = {
            "id": task.id,
            "custom_id": None,
            "custom_item_id": 0,
            "name": task.name,
            "text_content": task.text,
            "description": task.text,
            "status": {
                "status": task.status,
                "color": _COLOURS.get(task.status, "#87909e"),
                "type": "closed" if task.closed else "open",
                "orderindex": 0,
            },
            "date_created": _ms(task.created_at),
            "archived": task.archived,
            "assignees": [self.members[id_] for id_ in task.assignees],
            "parent": task.parent,
            "priority": task.priority and _priority(task.priority),
            "due_date": None if task.due_date is None else str(task.due_date),
            "tags": [_tag(tag) for tag in task.tags],
            "list": {"id": task.list_id, "name": "Production", "access": True},
            "space": {"id": _SPACE_ID},
            "team_id": _TEAM_ID,
            "url": f"https://app.clickup.com/t/{task.id}",
        }
        return shown | {"markdown_description": task.markdown} if with_markdown else shown


def _priority(number: int) -> dict[str, Any]:
    return {"id": str(number), "priority": _PRIORITIES[number], "color": "#6fddff", "orderindex": str(number)}


def _tag(name: str) -> dict[str, Any]:
    return {"name": name, "tag_fg": "#ffffff", "tag_bg": "#800000"}


def _mapping(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise _refused(400, "Unexpected token in JSON", "JSON_001")
    return body


def _refused(status: int, text: str, code: str) -> RejectedError:
    return RejectedError(status, {"err": text, "ECODE": code})


def _ms(at: float) -> str:
    return str(int(at * 1000))
