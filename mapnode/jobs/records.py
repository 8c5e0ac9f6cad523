"""Records: what the node has to know after a crash, besides the jobs themselves.

Two tables in one SQLite file: which series wait for their last instance, and which rule decided what about which
series.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text, create_engine, delete, event, select
from sqlalchemy.dialects.sqlite import insert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

METADATA = MetaData()

PENDING_SERIES = Table(
    "pending_series",
    METADATA,
    Column("orthanc_id", String, primary_key=True),
    Column("last_arrival", Float, nullable=False),
)
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("study_instance_uid", String, nullable=False, index=True),
    Column("series_instance_uid", String, nullable=False, index=True),
    Column("rule", String, nullable=False),
    Column("app", String, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("clauses", Text, nullable=False),
    Column("job_id", String),
)


@dataclass(frozen=True)
class PendingSeries:
    """A series of which another instance may come.

    Attributes:
        orthanc_id: Orthanc's id of the series.
        last_arrival: When the last instance was seen, seconds since the epoch.
    """

    orthanc_id: str
    last_arrival: float


@dataclass(frozen=True)
class DecisionRecord:
    """What one rule said of one series.

    Attributes:
        at: Seconds since the epoch.
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E).
        rule: Name of the rule.
        app: App that it names.
        matched: Whether all clauses held.
        clauses: Each clause with its outcome, up to the one that decided.
        job_id: The job that it led to.
    """

    at: float
    study_instance_uid: str
    series_instance_uid: str
    rule: str
    app: str
    matched: bool
    clauses: Sequence[dict[str, Any]]
    job_id: str | None


class Records:
    """The tables."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Args:
            path: SQLite file.
        """
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _set_pragmas)
        METADATA.create_all(self._engine)

    def series_grew(self, orthanc_id: str, at: float) -> None:
        """An instance of a series was seen."""
        statement = insert(PENDING_SERIES).values(orthanc_id=orthanc_id, last_arrival=at)
        statement = statement.on_conflict_do_update(index_elements=["orthanc_id"], set_={"last_arrival": at})
        with self._engine.begin() as connection:
            connection.execute(statement)

    def pending_series(self) -> list[PendingSeries]:
        """Series that wait, the longest waiting first."""
        query = select(PENDING_SERIES).order_by(PENDING_SERIES.c.last_arrival)
        with self._engine.connect() as connection:
            return [PendingSeries(row.orthanc_id, row.last_arrival) for row in connection.execute(query)]

    def series_settled(self, pending: PendingSeries, decisions: Sequence[DecisionRecord]) -> None:
        """Store what was decided, and wait for the series no longer, unless it grew meanwhile."""
        rows = [
            {**vars(d), "matched": int(d.matched), "clauses": json.dumps(list(d.clauses), ensure_ascii=False)}
            for d in decisions
        ]
        with self._engine.begin() as connection:
            if rows:
                connection.execute(DECISIONS.insert(), rows)
            connection.execute(
                delete(PENDING_SERIES).where(
                    PENDING_SERIES.c.orthanc_id == pending.orthanc_id,
                    PENDING_SERIES.c.last_arrival == pending.last_arrival,
                )
            )

    def decisions(self, series_instance_uid: str | None = None) -> list[DecisionRecord]:
        """All decisions, the oldest first, or those about one series."""
        query = select(DECISIONS).order_by(DECISIONS.c.id)
        if series_instance_uid is not None:
            query = query.where(DECISIONS.c.series_instance_uid == series_instance_uid)
        with self._engine.connect() as connection:
            return [
                DecisionRecord(
                    row.at,
                    row.study_instance_uid,
                    row.series_instance_uid,
                    row.rule,
                    row.app,
                    bool(row.matched),
                    json.loads(row.clauses),
                    row.job_id,
                )
                for row in connection.execute(query)
            ]

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()


def _set_pragmas(connection: Any, _: Any) -> None:  # noqa: ANN401 - a DB-API connection
    """A write-ahead log lets commands read while the node writes; every commit is on disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=10000")
