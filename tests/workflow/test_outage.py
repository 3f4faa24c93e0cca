"""Outages of the state's database: which errors are one, and who waits for its end."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from poller.workflow.errors import StateUnavailableError
from poller.workflow.outage import StateOutage, disk_fault

if TYPE_CHECKING:
    from pathlib import Path


def full(path: Path) -> sa.Engine:
    """Make a database that may not grow."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE rows (content)"))
        connection.execute(sa.text("PRAGMA max_page_count = 2"))
    return engine


def grow(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO rows VALUES (zeroblob(65536))"))


def test_full_database_is_an_outage_that_is_recorded(tmp_path: Path) -> None:
    """It has a reason and a beginning, and no further error changes them."""
    engine, outage = full(tmp_path / "rows.sqlite"), StateOutage()
    for _ in range(2):
        with pytest.raises(StateUnavailableError, match="the disk is full"), outage.recorded():
            grow(engine)
        begun = outage.current
        assert begun
    with pytest.raises(StateUnavailableError), outage.recorded():
        raise OperationalError("", {}, Exception("server closed the connection"))
    assert (outage.current, begun.reason) == (begun, "the disk is full")
    outage.end()
    assert outage.current is None
    engine.dispose()


def test_error_of_the_disk_is_told_from_others(tmp_path: Path) -> None:
    """By SQLite's own code, and by the system's."""
    with pytest.raises(sqlite3.OperationalError) as cannot_open:
        sqlite3.connect(f"file:{tmp_path / 'none'}?mode=ro", uri=True)
    assert disk_fault(cannot_open.value) == "the disk cannot be written to"
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
        assert disk_fault(OSError(number, "")).startswith("the disk")
    for other in (OSError(errno.EACCES, ""), OSError(), sqlite3.OperationalError("no such table"), ValueError()):
        assert disk_fault(other) == ""


def test_only_a_thread_that_may_wait_waits_for_the_end() -> None:
    """The jobs of the daemon report the outage meanwhile, and a process that stops waits for nothing."""
    outage = StateOutage()
    assert outage.is_waited_out()
    with outage.failing_fast():
        with outage.failing_fast():
            assert not outage.is_waited_out()
        assert not outage.is_waited_out()
    assert outage.is_waited_out()
    outage.give_up()
    assert not outage.is_waited_out()
