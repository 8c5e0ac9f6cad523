"""Database: one place that opens the node's databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine, Table


def open_database(url: str) -> Engine:
    """An engine for a database.

    Args:
        url: SQLAlchemy's form, `sqlite:///PATH` or `postgresql+psycopg://...`.
    """
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Insert a row, or update the one with these keys."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(table).values(**values)
    changed = {name: value for name, value in values.items() if name not in keys}
    if changed:
        connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(keys)))


def _set_pragmas(connection: Any, _: Any) -> None:  # noqa: ANN401 - a DB-API connection
    """A write-ahead log lets commands read while the node writes; every commit is on disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=10000")
