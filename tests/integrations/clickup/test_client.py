"""Tests of the ClickUp client: what it sends, and what is there afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.clickup.client import ClickUp, TaskGoneError
from integrations.clickup.fields import SubtaskFields
from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.sandbox.clickup import Task
from integrations.sandbox.clickup_comments import Comment
from integrations.sandbox.stand_in import Fault
from tests.support.clickup_client import LONG_AGO, REF, connect, move_parent

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


def test_create_subtask_sends_parent_and_markdown(sandbox: Sandbox) -> None:
    subtask = connect(sandbox).create_subtask("Écran noir", f"**Bonjour** [ref: {REF}]")
    (task,) = sandbox.clickup.subtasks
    assert (subtask.id, subtask.url) == (task.id, f"https://app.clickup.com/t/{task.id}")
    (post,) = sandbox.clickup.calls("POST")
    assert post.path == f"/api/v2/list/{sandbox.clickup.list_id}/task"
    assert post.headers["authorization"] == sandbox.clickup.token
    assert post.body == {
        "name": "Écran noir",
        "parent": sandbox.clickup.parent_id,
        "markdown_content": f"**Bonjour** [ref: {REF}]",
    }


def test_create_subtask_reads_parent_list_once(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    clickup.create_subtask("un", "un")
    clickup.create_subtask("deux", "deux")
    assert [each.method for each in sandbox.clickup.requests] == ["GET", "POST", "POST"]


def test_create_subtask_uses_new_list_after_parent_moved(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    clickup.create_subtask("un", f"[ref: {REF}]")
    move_parent(sandbox, "901200000002")
    clickup.create_subtask("deux", "deux")
    assert [task.list_id for task in sandbox.clickup.subtasks] == ["901200000002"] * 2
    move_parent(sandbox, "901200000003")
    assert clickup.find_subtask(REF, LONG_AGO) is not None


def test_create_subtask_reads_list_again_when_parent_not_in_it(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    moved = {"err": "Parent not child of list", "ECODE": "ITEM_137"}
    sandbox.clickup.fail(Fault("status", "POST", status=400, body=moved))
    clickup.create_subtask("un", "un")
    assert [each.method for each in sandbox.clickup.requests] == ["GET", "POST", "GET", "POST"]
    assert len(sandbox.clickup.subtasks) == 1
    sandbox.clickup.fail(Fault("status", "POST", status=400, body=moved, times=None))
    with pytest.raises(ConfigurationError, match="CLICKUP_PARENT_TASK_ID"):
        clickup.create_subtask("deux", "deux")


def test_find_subtask_finds_open_and_closed_on_any_page(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    sandbox.clickup.fail(Fault("cut_after_commit", "POST"))
    with pytest.raises(TransientError) as lost:
        clickup.create_subtask("Écran noir", f"\\[ref: {REF}\\]")
    assert lost.value.outcome_unknown
    (task,) = sandbox.clickup.subtasks
    task.closed = True
    server = sandbox.clickup
    for number in range(250):
        server.tasks[f"t{number}"] = Task(f"t{number}", server.list_id, "autre", parent=server.parent_id)
    found = clickup.find_subtask(REF, LONG_AGO)
    assert found is not None
    assert found.id == task.id
    assert len(server.calls("GET", f"/api/v2/list/{server.list_id}/task")) == 3


def test_find_subtask_reads_only_recent_subtasks_of_parent(sandbox: Sandbox) -> None:
    clickup, server = connect(sandbox), sandbox.clickup
    clickup.create_subtask("Écran noir", f"[ref: {REF}]")
    assert clickup.find_subtask("fedcba9876543210", LONG_AGO) is None
    assert clickup.find_subtask(REF, datetime.now(UTC) - timedelta(minutes=5)) is not None
    assert clickup.find_subtask(REF, datetime.now(UTC) + timedelta(minutes=5)) is None
    server.subtasks[0].parent = "86c0another"
    assert clickup.find_subtask(REF, LONG_AGO) is None


def test_find_subtasks_returns_each_once_by_reference(sandbox: Sandbox) -> None:
    """Whenever they were made, closed or not, each once though a page moves on while it is read."""
    clickup, server = connect(sandbox), sandbox.clickup
    first, other, second = (clickup.create_subtask("un", f"[ref: {ref}]") for ref in (REF, "0" * 16, REF))
    server.tasks[first.id].created_at = LONG_AGO.timestamp()
    server.tasks[second.id].closed = True
    clickup.create_subtask("sans", "référence")
    assert clickup.find_subtasks() == {"0" * 16: [other], REF: [second, first]}
    shown = {"id": "86a", "url": "https://app.clickup.com/t/86a", "parent": server.parent_id, "description": "[ref: a]"}
    path = f"/api/v2/list/{server.list_id}/task"
    for last in (False, True):
        server.fail(Fault("status", "GET", path, status=200, body={"tasks": [shown], "last_page": last}))
    assert [len(found) for found in clickup.find_subtasks().values()] == [1]


def test_add_comment_raises_task_gone_error_on_deleted_task(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    subtask = clickup.create_subtask("un", "un")
    id_ = clickup.add_comment(subtask.id, "Relance du client")
    (comment,) = sandbox.clickup.tasks[subtask.id].comments
    assert (id_, comment.text) == (str(comment.id), "Relance du client")
    assert sandbox.clickup.calls("POST")[-1].body == {"comment_text": "Relance du client", "notify_all": False}
    sandbox.clickup.fail(Fault("status", "POST", status=200, body={"id": 458, "hist_id": "1", "date": 1568036964079}))
    assert clickup.add_comment(subtask.id, "Relance") == "458"
    with pytest.raises(TaskGoneError):
        clickup.add_comment("86c/gone", "Relance")
    assert sandbox.clickup.calls("POST")[-1].path == "/api/v2/task/86c%2Fgone/comment"


def test_find_comment_reads_pages_until_marker(sandbox: Sandbox) -> None:
    """Page after page is asked for, newest first, until the marker comes."""
    clickup, server = connect(sandbox), sandbox.clickup
    subtask = clickup.create_subtask("un", "un")
    server.fail(Fault("cut_after_commit", "POST"))
    with pytest.raises(TransientError) as lost:
        clickup.add_comment(subtask.id, f"Relance [ref: {REF}]")
    assert lost.value.outcome_unknown
    comments = server.tasks[subtask.id].comments
    lost_id = str(comments[0].id)
    assert clickup.find_comment(subtask.id, REF) == lost_id
    # All in one millisecond: the id tells them apart.
    comments += [Comment(comments[0].id + number, "autre", comments[0].created_at) for number in range(1, 61)]
    asked_before = len(server.calls("GET"))
    assert clickup.find_comment(subtask.id, REF) == lost_id
    pages = server.calls("GET")[asked_before:]
    assert {each.path for each in pages} == {f"/api/v2/task/{subtask.id}/comment"}
    date = str(comments[0].date_ms)
    assert [each.query for each in pages] == [
        {},
        {"start": [date], "start_id": [str(comments[36].id)]},
        {"start": [date], "start_id": [str(comments[11].id)]},
    ]


@pytest.mark.parametrize("count", [0, 1, 25, 26, 50])
def test_find_comment_returns_none_without_its_marker(sandbox: Sandbox, count: int) -> None:
    """Another message's marker is not ours, and the search ends, whatever the number of comments."""
    clickup, server = connect(sandbox), sandbox.clickup
    subtask = clickup.create_subtask("un", "un")
    server.tasks[subtask.id].comments = [Comment(number, "[ref: fedcba9876543210]") for number in range(count)]
    assert clickup.find_comment(subtask.id, REF) is None


def test_find_comment_returns_newest_of_two(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    subtask = clickup.create_subtask("un", "un")
    first, second = (clickup.add_comment(subtask.id, f"[ref: {REF}]") for _ in range(2))
    assert clickup.find_comments(subtask.id, REF) == [second, first]
    assert clickup.find_comment(subtask.id, REF) == second != first


def test_find_comment_ends_when_a_page_repeats(sandbox: Sandbox) -> None:
    """A proxy that drops the query would send the first page for ever."""
    clickup, server = connect(sandbox), sandbox.clickup
    subtask = clickup.create_subtask("un", "un")
    page = {"comments": [{"id": str(number), "comment_text": None, "date": "1"} for number in range(25)]}
    server.fail(Fault("status", "GET", status=200, body=page, times=3))
    asked_before = len(server.calls("GET"))
    assert clickup.find_comment(subtask.id, REF) is None
    assert len(server.calls("GET")) == asked_before + 2


def test_comment_calls_tell_deleted_task_from_invalid_token(sandbox: Sandbox) -> None:
    with pytest.raises(TaskGoneError, match="list comments: HTTP 401 OAUTH_027: the task is gone"):
        connect(sandbox).find_comment("86c/gone", REF)
    assert sandbox.clickup.calls("GET")[0].path == "/api/v2/task/86c%2Fgone/comment"
    with pytest.raises(ConfigurationError, match="CLICKUP_API_KEY"):
        connect(sandbox, token="pk_dead").find_comment("86c/gone", REF)


def test_failed_find_comment_has_known_outcome(sandbox: Sandbox) -> None:
    sandbox.clickup.fail(Fault("status", "GET", status=503))
    with pytest.raises(TransientError) as failed:
        connect(sandbox).find_comment(sandbox.clickup.parent_id, REF)
    assert not failed.value.outcome_unknown


def test_check_names_task_and_list(sandbox: Sandbox) -> None:
    assert connect(sandbox).check() == "ClickUp task 86c0parent, in list 901200000001"
    assert {each.method for each in sandbox.clickup.requests} == {"GET"}


def test_check_tells_invalid_token_from_invisible_task(sandbox: Sandbox) -> None:
    for ask in (ClickUp.check, lambda clickup: clickup.create_subtask("un", "un")):
        with pytest.raises(ConfigurationError, match="CLICKUP_API_KEY") as dead:
            ask(connect(sandbox, token="pk_dead"))
        assert "pk_dead" not in str(dead.value)
        with pytest.raises(ConfigurationError, match="CLICKUP_PARENT_TASK_ID"):
            ask(connect(sandbox, parent="86c0gone"))


def test_create_subtask_names_deleted_parent(sandbox: Sandbox) -> None:
    clickup = connect(sandbox)
    clickup.create_subtask("un", "un")
    del sandbox.clickup.tasks[sandbox.clickup.parent_id]
    with pytest.raises(ConfigurationError, match="CLICKUP_PARENT_TASK_ID"):
        clickup.create_subtask("deux", "deux")


def test_subtask_fields_are_sent_at_its_creation(sandbox: Sandbox) -> None:
    """A day without a time; what is empty is left out."""
    fields = SubtaskFields((147,), ("3d",), 2)
    subtask = connect(sandbox, fields=fields).create_subtask("un", "un", date(2026, 12, 29))
    task = sandbox.clickup.tasks[subtask.id]
    assert (task.assignees, task.tags, task.priority, task.due_date_time) == ([147], ["3d"], 2, False)
    assert datetime.fromtimestamp((task.due_date or 0) / 1000, UTC) == datetime(2026, 12, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        (SubtaskFields(assignees=(147, 148)), "no member 148, look at CLICKUP_ASSIGNEES"),
        (SubtaskFields(tags=("3d", "rendu")), "no tag 'rendu', look at CLICKUP_TAGS"),
    ],
)
def test_check_names_what_the_workspace_lacks(sandbox: Sandbox, fields: SubtaskFields, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        connect(sandbox, fields=fields).check()
    sandbox.clickup.members[148] = {"id": 148}
    sandbox.clickup.space_tags.add("rendu")
    assert connect(sandbox, fields=fields).check().endswith(f"in list {sandbox.clickup.list_id}")


def test_subtask_for_a_member_who_left_is_a_wrong_setting(sandbox: Sandbox) -> None:
    """So mail waits, and is not filed as failed. Any other refusal is the mail's own."""
    clickup = connect(sandbox, fields=SubtaskFields(assignees=(148,)))
    with pytest.raises(ConfigurationError, match="CLICKUP_ASSIGNEES"):
        clickup.create_subtask("un", "un")
    sandbox.clickup.members[148] = {"id": 148}
    with pytest.raises(PermanentError, match="INPUT_005"):
        clickup.create_subtask(" ", "un")
    assert not sandbox.clickup.subtasks


def test_refusal_of_a_mail_is_no_matter_of_a_tag_that_is_gone(sandbox: Sandbox) -> None:
    """Other mails pass with it, so it is no reason to hold all of them back."""
    clickup = connect(sandbox, fields=SubtaskFields(tags=("parti",)))
    with pytest.raises(PermanentError, match="INPUT_005"):
        clickup.create_subtask(" ", "un")
