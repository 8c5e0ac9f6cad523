"""Ageing: forgets what records say in detail of long ago, a bite at a time.

Decisions and the lines of histories are nine tenths of what a study leaves. The jobs stay, with what they were about
and where their results are: a late instance supersedes them, a deletion withdraws them, and a result that comes back
is known as theirs (no loop). So does what somebody took out of use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, select, true

from mapnode.records.job_states import ACTIVE, JobState
from mapnode.records.tables import DECISIONS, HISTORY, JOBS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Table

BITE = 2000
"""Rows of a table that are looked at in one go, once a minute: 2.9 million a day."""


class Ageing:
    """Goes through decisions and histories from the oldest on."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine
        self._reached = {DECISIONS.name: 0, HISTORY.name: 0}

    def purge(self, before: float) -> int:
        """Forget some decisions, and lines of the histories of jobs that ended.

        Args:
            before: What is older, seconds since the epoch.

        Returns:
            How many rows.
        """
        jobs_to_come = select(JOBS.c.id).where(JOBS.c.state.in_(list(ACTIVE)))
        # How often results began to go out names the next workflow that publishes them.
        is_over = and_(HISTORY.c.event != JobState.PUBLISHING, HISTORY.c.job_id.not_in(jobs_to_come))
        return self._bite(DECISIONS, before, true()) + self._bite(HISTORY, before, is_over)

    def _bite(self, table: Table, before: float, is_over: ColumnElement[bool]) -> int:
        """Rows were added in the order of time, but for clocks that are set: only the next ones are looked at."""
        further = table.c.id > self._reached[table.name]
        with self._engine.begin() as connection:
            rows = connection.execute(select(table.c.id, table.c.at).where(further).order_by(table.c.id).limit(BITE))
            old = [row.id for row in rows if row.at < before]
            if not old:
                return 0
            due = and_(further, table.c.id <= old[-1], table.c.at < before, is_over)
            forgotten = connection.execute(delete(table).where(due)).rowcount
        self._reached[table.name] = old[-1]
        return forgotten
