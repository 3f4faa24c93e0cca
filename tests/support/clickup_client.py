"""Make a ClickUp client on the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from integrations.clickup.client import ClickUp
from integrations.clickup.fields import SubtaskFields

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

REF = "0123456789abcdef"
SECRET = "Chaise-longue de Mme Durand"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def connect(
    sandbox: Sandbox,
    *,
    token: str = "",
    parent: str = "",
    read_timeout_s: float = 5.0,
    fields: SubtaskFields = SubtaskFields(),  # noqa: B008  frozen
) -> ClickUp:
    """Return a client that gives up soon."""
    server = sandbox.clickup
    return ClickUp(
        token or server.token,
        parent or server.parent_id,
        server.base_url,
        fields=fields,
        connect_timeout_s=2.0,
        read_timeout_s=read_timeout_s,
    )


def move_parent(sandbox: Sandbox, list_id: str) -> None:
    """Move the parent task and all that is below it into another list."""
    sandbox.clickup.list_id = list_id
    for task in sandbox.clickup.tasks.values():
        task.list_id = list_id
