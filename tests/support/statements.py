"""Compile each statement for the state once, whichever engine carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    import pytest


def share_statements(patch: pytest.MonkeyPatch) -> None:
    """Have all SQLite engines share what they compile: each test has engines of its own, of equal settings."""
    begin, compiled = Engine.__init__, LRUCache[Any, Any](1000)

    def begin_shared(engine: Engine, *args: Any, **given: Any) -> None:
        begin(engine, *args, **given)
        if isinstance(engine.dialect, SQLiteDialect_pysqlite):
            engine._compiled_cache = compiled

    patch.setattr(Engine, "__init__", begin_shared)
    # A compiled statement is kept by its dialect.
    patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda ours, other: type(ours) is type(other))
    patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda ours: hash(type(ours)))
