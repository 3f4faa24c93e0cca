"""The statements for an entry that are built once do what dbos' own do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from dbos import error as dbos_error
from dbos._error import DBOSStepNondeterminismError

from poller.workflow import dbos_runtime, dbos_tables
from poller.workflow.steps import StepName
from tests.workflow.test_engine import DONE, REFERENCE, running, stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbos._sys_db import SystemDatabase

    from poller.workflow.journal import Journal
    from poller.workflow.results import WorkResult

MOMENTS = {"started_at_epoch_ms", "completed_at_epoch_ms", "retention_timestamp"}


def during_work(path: Path, act: Callable[[SystemDatabase], object]) -> list[dict[str, Any]]:
    """Run a message on SQLite, call `act` within it, and return its rows but for the moments and random ids."""

    def work(journal: Journal) -> WorkResult:
        journal.introduced("a change")
        journal.step(StepName.CREATE_TICKET, lambda _: {"id": "1", "url": "https://t.example"})
        act(dbos_runtime.database())
        return DONE

    with running(f"sqlite:///{path}/state.sqlite", path, work) as engine:
        engine.submit(REFERENCE)
        stopped(engine)
        system = dbos_runtime.database()
        with system.engine.connect() as connection:
            rows = connection.execute(sa.select(system.tables.operation_outputs)).mappings()
            return [{name: row[name] for name in row if name not in MOMENTS | {"output"}} for row in rows]


def test_entries_are_as_dbos_itself_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ours = during_work(tmp_path, lambda _: None)
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(dbos_tables, "prepare_statements", lambda _: None)
    assert with_ours == during_work(tmp_path / "own", lambda _: None)
    assert len(with_ours) == 3


def result(function_id: int, completed_at_epoch_ms: int = 1) -> dict[str, Any]:
    """Return the arguments of `record_operation_result`."""
    names = ("output", "error", "serialization", "child_workflow_id")
    named = {"workflow_uuid": REFERENCE, "function_id": function_id, "function_name": "x", "started_at_epoch_ms": 1}
    return {"result": named | dict.fromkeys(names), "completed_at_epoch_ms": completed_at_epoch_ms}


def update(system: SystemDatabase, **values: str) -> None:
    """Change the row of the message, as another machine or a person does."""
    with system.engine.begin() as connection:
        connection.execute(sa.update(system.tables.workflow_status).values(values))


def entry_of_another_execution(system: SystemDatabase) -> None:
    """Write an entry under a number that is taken."""
    system.record_operation_result(**result(900))
    system.record_operation_result(**result(900))  # the same one again, as after a lost answer
    with pytest.raises(DBOSStepNondeterminismError):
        system.record_operation_result(**result(900, completed_at_epoch_ms=2))


def entry_of_another_name(system: SystemDatabase) -> None:
    """Look for an entry where there is one of another name."""
    system.record_operation_result(**result(901))
    assert system.check_operation_execution(REFERENCE, 901, "x") is not None
    assert system.check_operation_execution(REFERENCE, 902, "x") is None
    with pytest.raises(dbos_error.DBOSUnexpectedStepError):
        system.check_operation_execution(REFERENCE, 901, "y")


def cancelled(system: SystemDatabase) -> None:
    """Go on with a message that was cancelled."""
    update(system, status="CANCELLED")
    with pytest.raises(dbos_error.DBOSWorkflowCancelledError):
        system.check_operation_execution(REFERENCE, 903, "x")
    update(system, status="PENDING")


def lost(system: SystemDatabase) -> None:
    """Write an entry of a message that another machine has taken over."""
    with pytest.raises(dbos_error.DBOSWorkflowConflictIDError):
        system.record_operation_result(**result(904), owner_xid="another")
    assert system.check_operation_execution(REFERENCE, 904, "x") is None


@pytest.mark.parametrize("act", [entry_of_another_execution, entry_of_another_name, cancelled, lost])
def test_unusual_entry_is_left_to_dbos(tmp_path: Path, act: Callable[[SystemDatabase], None]) -> None:
    done = []

    def tried(system: SystemDatabase) -> None:
        act(system)
        done.append(act)

    during_work(tmp_path, tried)
    assert done
