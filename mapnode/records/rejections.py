"""Rejections: instances that a rejection note took out of use (IHE IOCM); they are no input any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from mapnode.database import upsert
from mapnode.records.tables import REJECTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Engine

CHUNK = 500
"""Values in one question: SQLite takes a limited number."""


class Rejections:
    """What is out of use."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def add(self, sop_instance_uids: Iterable[str], note_uid: str, title: str) -> None:
        """A note rejects these instances."""
        with self._engine.begin() as connection:
            for uid in sop_instance_uids:
                row = {"sop_instance_uid": uid, "note_uid": note_uid, "title": title}
                upsert(connection, REJECTED, row, ("sop_instance_uid",))

    def among(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Which of these instances are out of use."""
        uids = list(sop_instance_uids)
        found: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(uids), CHUNK):
                query = select(REJECTED.c.sop_instance_uid)
                query = query.where(REJECTED.c.sop_instance_uid.in_(uids[start : start + CHUNK]))
                found.update(row.sop_instance_uid for row in connection.execute(query))
        return found
