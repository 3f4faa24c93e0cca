"""The calls to ClickUp, held against its API's document."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from integrations.clickup import SubtaskFields, TaskGoneError
from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.sandbox.clickup import Task
from integrations.sandbox.clickup_comments import Comment
from integrations.sandbox.stand_in import RateLimit
from tests.contract.exchanges import breaches, recorded
from tests.support.clickup_client import LONG_AGO, REF, connect, move_parent

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


def subtasks(sandbox: Sandbox) -> None:
    """Create subtasks of each kind, where the parent was moved and for a member who left too, and look for them."""
    server = sandbox.clickup
    fields = SubtaskFields((147,), ("3d",), 2)
    clickup = connect(sandbox, fields=fields)
    clickup.create_subtask("Écran noir", f"**Bonjour** [ref: {REF}]", date(2026, 12, 29))
    move_parent(sandbox, "901200000002")
    clickup.create_subtask("Deux", f"[ref: {REF}]")
    with pytest.raises(ConfigurationError):
        connect(sandbox, fields=SubtaskFields((9,))).create_subtask("Trois", "")
    with pytest.raises(PermanentError):
        connect(sandbox).create_subtask(" ", "")
    server.tasks |= {f"t{number}": Task(f"t{number}", server.list_id, "autre") for number in range(100)}
    assert clickup.find_subtask("0" * 16, LONG_AGO) is None
    assert len(clickup.find_subtasks()[REF]) == 2
    clickup.check()


def comments(sandbox: Sandbox) -> None:
    """Comment on a subtask and on one that is gone, and look for the comment among many."""
    clickup = connect(sandbox)
    subtask = clickup.create_subtask("un", "un")
    clickup.add_comment(subtask.id, f"Relance [ref: {REF}]")
    sandbox.clickup.tasks[subtask.id].comments += [Comment(2**47 + number, "autre") for number in range(60)]
    assert clickup.find_comments(subtask.id, REF)
    for lost in (lambda: clickup.find_comment("gone", REF), lambda: clickup.add_comment("gone", "Relance")):
        with pytest.raises(TaskGoneError):
            lost()


def refusals(sandbox: Sandbox) -> None:
    """Ask with a wrong token, for a task that is not there, and too often."""
    with pytest.raises(ConfigurationError):
        connect(sandbox, token="pk_wrong").check()
    with pytest.raises(ConfigurationError, match="CLICKUP_PARENT_TASK_ID"):
        connect(sandbox, parent="gone").check()
    sandbox.clickup.rate_limit = RateLimit(0, 60.0)
    with pytest.raises(TransientError):
        connect(sandbox).check()


def test_clickup_calls_and_answers_are_as_documented(sandbox: Sandbox) -> None:
    """All branches of the client, and nothing in the document that we do not use."""
    with recorded(sandbox.clickup) as exchanges:
        for calls in (subtasks, comments, refusals):
            sandbox.clickup.reset()
            calls(sandbox)
    assert breaches("clickup", exchanges) == []
