"""Switches: what is switched off, by whom it was asked, and since when; it stays so over a restart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from mapnode.database import upsert
from mapnode.records.tables import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

JOBS = "jobs"
"""Off: no job starts (pause)."""
INTAKE = "intake"
"""Off: no study is taken (drain)."""


def app_switch(app: str) -> str:
    """The kill switch of an app."""
    return f"app:{app}"


def apps_off(switches: Iterable[str]) -> set[str]:
    """The apps among what is off, whether the node knows them at this moment or not."""
    prefix = app_switch("")
    return {name.removeprefix(prefix) for name in switches if name.startswith(prefix)}


class Switches:
    """What is off, with the reason; what does not stand here is on."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def off(self, name: str, reason: str) -> None:
        """Switch off."""
        row = {"name": name, "reason": reason, "at": time.time()}
        with self._engine.begin() as connection:
            upsert(connection, SWITCHES, row, ("name",))

    def on(self, name: str) -> None:
        """Switch on again."""
        with self._engine.begin() as connection:
            connection.execute(delete(SWITCHES).where(SWITCHES.c.name == name))

    def off_before(self, at: float) -> set[str]:
        """What is off since before a time, seconds since the epoch."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(SWITCHES.c.name).where(SWITCHES.c.at < at)).scalars())

    def all(self) -> dict[str, str]:
        """What is off, and why."""
        with self._engine.connect() as connection:
            return {row.name: row.reason for row in connection.execute(select(SWITCHES))}
