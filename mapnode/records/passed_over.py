"""Passed over: instances in Orthanc's change log that Orthanc could not tell of; they are asked for again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from mapnode.database import upsert
from mapnode.records.tables import PASSED_OVER

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class PassedOverInstance:
    """One of them.

    Attributes:
        orthanc_id: Orthanc's identifier of the instance.
        tried_at: When Orthanc was asked last, seconds since the epoch.
        reason: What it answered.
    """

    orthanc_id: str
    tried_at: float
    reason: str


class PassedOver:
    """The instances that nobody has heard of yet."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def add(self, orthanc_id: str, reason: str) -> None:
        """Orthanc could not tell of an instance, for the first time or again."""
        row = {"orthanc_id": orthanc_id, "tried_at": time.time(), "reason": reason}
        with self._engine.begin() as connection:
            upsert(connection, PASSED_OVER, row, ("orthanc_id",))

    def remove(self, orthanc_id: str) -> None:
        """Orthanc told of it, or has it no more."""
        with self._engine.begin() as connection:
            connection.execute(delete(PASSED_OVER).where(PASSED_OVER.c.orthanc_id == orthanc_id))

    def all(self) -> list[PassedOverInstance]:
        """All of them, the one that was asked for longest ago first."""
        query = select(PASSED_OVER).order_by(PASSED_OVER.c.tried_at)
        with self._engine.connect() as connection:
            return [PassedOverInstance(row.orthanc_id, row.tried_at, row.reason) for row in connection.execute(query)]
