"""Make the tables of a new SQLite state from those of another one: dbos makes them in 118 statements."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from dbos._sys_db_sqlite import SQLiteSystemDatabase

if TYPE_CHECKING:
    import pytest


def copy_tables(patch: pytest.MonkeyPatch) -> None:
    """Have dbos run its migrations now, and in each new state the statements that make what they left."""
    migrate, made = SQLiteSystemDatabase.run_migrations, _statements()

    def run_migrations(system: SQLiteSystemDatabase) -> None:
        if sa.inspect(system.engine).has_table("dbos_migrations"):
            migrate(system)
            return
        with system.engine.begin() as connection:
            for statement in made:
                connection.exec_driver_sql(statement)

    patch.setattr(SQLiteSystemDatabase, "run_migrations", run_migrations)


def _statements() -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state.sqlite")
        system = SQLiteSystemDatabase.__new__(SQLiteSystemDatabase)  # all that migrations need is its engine
        system.engine = sa.create_engine(f"sqlite:///{path}")
        system.run_migrations()
        system.engine.dispose()
        with closing(sqlite3.connect(path)) as connection:
            return [each for each in connection.iterdump() if each not in {"BEGIN TRANSACTION;", "COMMIT;"}]
