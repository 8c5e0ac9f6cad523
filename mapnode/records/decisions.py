"""Decisions: what each rule said of each series or study, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mapnode.records.tables import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine, Select


@dataclass(frozen=True)
class DecisionRecord:
    """What one rule said of one series.

    Attributes:
        at: Seconds since the epoch.
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E); of a study rule, of the series that grew last.
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


class Decisions:
    """All decisions."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def add(self, decisions: Sequence[DecisionRecord]) -> None:
        """Keep decisions."""
        rows = [
            {**vars(d), "matched": int(d.matched), "clauses": json.dumps(list(d.clauses), ensure_ascii=False)}
            for d in decisions
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(DECISIONS.insert(), rows)

    def all(self, series_instance_uid: str | None = None) -> list[DecisionRecord]:
        """All decisions, the oldest first, or those about one series."""
        query = select(DECISIONS).order_by(DECISIONS.c.id)
        if series_instance_uid is not None:
            query = query.where(DECISIONS.c.series_instance_uid == series_instance_uid)
        return self._read(query)

    def newest(self, limit: int, uid: str | None = None) -> list[DecisionRecord]:
        """Decisions, the newest first, or those about one study or series."""
        query = select(DECISIONS).order_by(DECISIONS.c.id.desc()).limit(limit)
        if uid is not None:
            query = query.where((DECISIONS.c.study_instance_uid == uid) | (DECISIONS.c.series_instance_uid == uid))
        return self._read(query)

    def _read(self, query: Select[Any]) -> list[DecisionRecord]:
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
