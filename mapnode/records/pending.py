"""Pending: series of which another instance may come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from mapnode.database import upsert
from mapnode.records.tables import PENDING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine


@dataclass(frozen=True)
class PendingSeries:
    """A series that grew and was not decided since.

    Attributes:
        orthanc_id: Orthanc's identifier of the series.
        last_arrival: When an instance was last seen, seconds since the epoch.
        forced: Somebody asked for it again: known input runs once more.
    """

    orthanc_id: str
    last_arrival: float
    forced: bool = False


class Pending:
    """The series that wait."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def grew(self, series: Iterable[str], at: float) -> None:
        """Instances of these series were seen."""
        with self._engine.begin() as connection:
            for orthanc_id in series:
                row = {"orthanc_id": orthanc_id, "last_arrival": at}
                upsert(connection, PENDING, row, ("orthanc_id",))

    def force(self, orthanc_id: str, at: float) -> None:
        """Decide a series again, and run known input once more."""
        with self._engine.begin() as connection:
            row = {"orthanc_id": orthanc_id, "last_arrival": at, "forced": 1}
            upsert(connection, PENDING, row, ("orthanc_id",))

    def all(self) -> list[PendingSeries]:
        """Series that wait, the longest waiting first."""
        query = select(PENDING).order_by(PENDING.c.last_arrival)
        with self._engine.connect() as connection:
            rows = connection.execute(query)
            return [PendingSeries(row.orthanc_id, row.last_arrival, bool(row.forced)) for row in rows]

    def settled(self, orthanc_id: str) -> None:
        """Wait for a series no longer."""
        with self._engine.begin() as connection:
            connection.execute(delete(PENDING).where(PENDING.c.orthanc_id == orthanc_id))
