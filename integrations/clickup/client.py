"""ClickUp: subtasks of one parent task (API v2, https://developer.clickup.com/reference)."""

from __future__ import annotations

import re
import weakref
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2 as httpx

from integrations.clickup.fields import SubtaskFields
from integrations.clickup.request import PARENT_NOT_IN_LIST, ask, refusal
from integrations.errors import ConfigurationError, PermanentError
from integrations.net.deadline import CALL_S, http_events
from integrations.net.edge import blocks_told_apart
from integrations.net.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

_PAGE_ROWS = 100
_REFERENCE = re.compile(r"\[ref: ([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Subtask:
    """A subtask that exists."""

    id: str  # letters and digits
    url: str  # https, its page in ClickUp


class TaskGoneError(PermanentError):
    """The task was deleted, or hidden from the token."""


class ClickUp:
    """One task of a ClickUp workspace, through a personal token. Safe to share between threads."""

    def __init__(
        self,
        api_key: str,
        parent_task_id: str,
        base_url: str | None = None,
        *,
        fields: SubtaskFields = SubtaskFields(),  # noqa: B008  frozen
        calls_per_min: int = 100,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        deadline_s: float = CALL_S,
    ) -> None:
        self._parent_task_id, self._fields = parent_task_id, fields
        self._list_id = ""  # of the parent task; "" until it is known
        http = httpx.Client(
            # With a slash at the end, or httpx would replace the last part of the path.
            base_url=(base_url or "https://api.clickup.com/api/v2").rstrip("/") + "/",
            headers={"Authorization": api_key},  # as it is: "Bearer" is for OAuth tokens
            timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s),
            transport=httpx.HTTPTransport(retries=0),
            event_hooks=http_events(),
        )
        # Without this, a discarded client leaves its connections open.
        weakref.finalize(self, http.close)
        self._ask_once = partial(ask, http, RateLimiter(calls_per_min, 60.0), deadline_s)

    def _ask(self, *arguments: Any, **options: Any) -> tuple[int, dict[str, Any]]:
        """Make a call. See `request.ask`."""
        with blocks_told_apart(self._check_token):
            return self._ask_once(*arguments, **options)

    def create_subtask(self, name: str, markdown: str, due: date | None = None) -> Subtask:
        """Create a subtask of the parent task, in the parent's list.

        Not idempotent: the caller guards it with `find_subtask`, which needs `[ref: {reference}]` in the markdown.

        Raises:
            ConfigurationError: also when the token cannot see the parent task, or the workspace lacks an assignee.
        """
        task = {"name": name, "parent": self._parent_task_id, "markdown_content": markdown} | self._fields.as_json(due)
        status, answer = self._try_create(self._list_id or self._find_list_id(), task)
        if status != HTTPStatus.OK and (status != HTTPStatus.BAD_REQUEST or answer.get("ECODE") == PARENT_NOT_IN_LIST):
            # Nothing was created. The cached list id may be outdated, so it is read again for one more try.
            status, answer = self._try_create(self._find_list_id(), task)
        if status == HTTPStatus.BAD_REQUEST:
            # A member who left is no fault of the mail's. A tag that is gone is refused to no task.
            self._check_members(self._read_parent())
        if status != HTTPStatus.OK:
            raise refusal("create subtask", status, {}, answer)
        return _subtask(answer)

    def _try_create(self, list_id: str, task: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self._ask("create subtask", "POST", f"list/{list_id}/task", json=task, expect=(400, 401, 404))

    def find_subtask(self, reference: str, since: datetime) -> Subtask | None:
        """Return the parent's subtask, open or closed, that contains `[ref: {reference}]`, or None.

        Reads only subtasks created after `since`, an aware datetime. Leave some minutes for clock skew.
        """
        return next((subtask for subtask, marks in self._marked_subtasks(since) if reference in marks), None)

    def find_subtasks(self) -> dict[str, list[Subtask]]:
        """Return the parent's subtasks, open or closed, by each reference in their text. One call reads 100 tasks."""
        found: dict[str, list[Subtask]] = {}
        for subtask, references in self._marked_subtasks(None):
            for reference in references:
                marked = found.setdefault(reference, [])
                # A task created meanwhile shifts all others, so the last one of a page appears again on the next page.
                if subtask not in marked:
                    marked.append(subtask)
        return found

    def _marked_subtasks(self, since: datetime | None) -> Iterator[tuple[Subtask, set[str]]]:
        """Yield the parent's subtasks created after `since`, each with its references. None: all of them.

        Pages are read lazily.
        """
        list_id = self._find_list_id()  # read again: a parent that was moved has taken its subtasks along
        query = {
            "subtasks": "true",
            "include_closed": "true",
            "include_markdown_description": "true",
            "order_by": "created",
        }
        if since:
            query["date_created_gt"] = str(int(since.timestamp() * 1000))
        page = 0
        while True:
            _, answer = self._ask(
                "list subtasks", "GET", f"list/{list_id}/task", params={**query, "page": str(page)}, yields="tasks"
            )
            for task in answer["tasks"]:
                texts = (task.get(field) or "" for field in ("text_content", "markdown_description", "description"))
                if task.get("parent") == self._parent_task_id:
                    yield _subtask(task), {reference for text in texts for reference in _REFERENCE.findall(text)}
            if answer.get("last_page", len(answer["tasks"]) < _PAGE_ROWS):
                return
            page += 1

    def add_comment(self, task_id: str, text: str) -> str:
        """Add a plain-text comment to a task and return its id. Only the task's watchers are notified.

        Not idempotent: the caller guards it with `find_comment`, which needs `[ref: {reference}]` in the text.

        Raises:
            TaskGoneError: the task is not there any more.
        """
        comment = {"comment_text": text, "notify_all": False}
        return str(self._ask_comments("add comment", "POST", task_id, json=comment)["id"])

    def find_comment(self, task_id: str, reference: str) -> str | None:
        """Return the id of the task's newest comment that contains `[ref: {reference}]`, or None.

        https://developer.clickup.com/docs/task-comments-pagination

        Raises:
            TaskGoneError: the task is not there any more.
        """
        return next(self._marked_comments(task_id, reference), None)

    def find_comments(self, task_id: str, reference: str) -> list[str]:
        """Return the ids of all comments that `find_comment` might return, newest first.

        There is at most one, unless something went wrong.

        Raises:
            TaskGoneError: the task is not there any more.
        """
        return list(self._marked_comments(task_id, reference))

    def _marked_comments(self, task_id: str, reference: str) -> Iterator[str]:
        marker = f"[ref: {reference}]"
        query: dict[str, str] = {}
        while True:
            comments = self._ask_comments("list comments", "GET", task_id, params=query, yields="comments")["comments"]
            for comment in comments:
                if marker in (comment.get("comment_text") or ""):
                    yield str(comment["id"])
            # A page does not say whether another follows. The end is reached when no older comment comes.
            if not comments or str(comments[-1]["id"]) == query.get("start_id"):
                return
            query = {"start": str(comments[-1]["date"]), "start_id": str(comments[-1]["id"])}

    def check(self) -> str:
        """Read the token's user, the parent task and what its subtasks' fields name. Return a one-line summary.

        Raises:
            ConfigurationError: the token is invalid, or cannot see CLICKUP_PARENT_TASK_ID, or the workspace lacks an
                assignee or a tag.
        """
        self._check_token()
        parent = self._read_parent()
        self._check_members(parent)
        self._check_tags(parent)
        return f"ClickUp task {self._parent_task_id}, in list {parent['list']['id']}"

    def _check_members(self, parent: dict[str, Any]) -> None:
        if self._fields.assignees:
            _, answer = self._ask("read members", "GET", "team", yields="teams")
            if missing := self._fields.missing_members(parent, answer["teams"]):
                raise ConfigurationError(
                    f"ClickUp: the workspace has no member {', '.join(missing)}, look at CLICKUP_ASSIGNEES"
                )

    def _check_tags(self, parent: dict[str, Any]) -> None:
        if self._fields.tags:
            space = quote(str(parent["space"]["id"]), safe="")
            _, answer = self._ask("read tags", "GET", f"space/{space}/tag", yields="tags")
            if missing := self._fields.missing_tags(answer["tags"]):
                raise ConfigurationError(f"ClickUp: the space has no tag {', '.join(missing)}, look at CLICKUP_TAGS")

    def _find_list_id(self) -> str:
        """Return the id of the list that holds the parent task now. A subtask can be created in no other list."""
        self._list_id = str(self._read_parent()["list"]["id"])
        return self._list_id

    def _read_parent(self) -> dict[str, Any]:
        status, task = self._ask(
            "read parent task",
            "GET",
            f"task/{quote(self._parent_task_id, safe='')}",
            expect=(401, 404),
            yields="list",
        )
        if status != HTTPStatus.OK:
            # A task that is deleted, or hidden from the token, is a 401 as well.
            self._check_token()
            raise ConfigurationError(
                f"ClickUp read parent task: HTTP {status} {task.get('ECODE', '')}: "
                "the token works but sees no such task, look at CLICKUP_PARENT_TASK_ID"
            )
        return task

    def _ask_comments(self, call: str, method: str, task_id: str, **request: Any) -> dict[str, Any]:
        """Call the comments endpoint of a task and return its answer."""
        path = f"task/{quote(task_id, safe='')}/comment"
        status, answer = self._ask(call, method, path, expect=(401, 404), **request)
        if status != HTTPStatus.OK:
            # A task that is deleted, or hidden from the token, is a 401 as well.
            self._check_token()
            raise TaskGoneError(f"ClickUp {call}: HTTP {status} {answer.get('ECODE', '')}: the task is gone")
        return answer

    def _check_token(self) -> None:
        self._ask_once("read user", "GET", "user", yields="user")


def _subtask(task: dict[str, Any]) -> Subtask:
    return Subtask(str(task["id"]), task.get("url") or f"https://app.clickup.com/t/{task['id']}")
