"""Executors: the processes that work on the jobs of a database, and which of them are alive.

Each process has a row for as long as it lives, and counts its heartbeats in it. Nobody compares clocks: who looks
counts how many times in turn it saw the same number, so that a clock set back means nothing, on either side. A process
of the same machine that is gone is seen at once.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, delete, select, update

from mapnode.database import create_tables, patiently, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Engine

METADATA = MetaData()
EXECUTORS = Table(
    "executors",
    METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("queues", String, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("host", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("beats", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beaten_at", Float, nullable=False),
)
RUNNING, DRAINING, STOPPED, DEAD = "running", "draining", "stopped", "dead"
LIVING = (RUNNING, DRAINING)
KEPT_S = 86_400.0
"""Rows of processes that ended are shown for a day."""


@dataclass(frozen=True)
class Executor:
    """A process as it describes itself.

    Attributes:
        id: Its name to DBOS; a process that starts again has another one.
        kind: "node" or "worker".
        queues: Names of the queues that it serves, separated by commas.
        slots: Jobs that it runs at the same time; none until it is ready.
        host: Name of its machine, for people.
        machine: Start of the machine's system and namespace of its processes: where `pid` means something.
        pid: Its process.
        pid_started: When that process started, in ticks of the machine; a number given out again is told apart by it.
        state: running; draining (takes no more jobs); stopped (ended by itself); dead (fell silent or is gone).
        beats: Number of its heartbeats.
        started_at, beaten_at: Seconds since the epoch by its own clock, for people only.
    """

    id: str
    kind: str
    queues: str
    slots: int
    host: str
    machine: str
    pid: int
    pid_started: int
    state: str
    beats: int
    started_at: float
    beaten_at: float

    @property
    def is_living(self) -> bool:
        """Whether it has not ended, as far as anybody noticed."""
        return self.state in LIVING

    def is_gone_from(self, machine: str) -> bool:
        """Whether its process is known to be gone, as seen from a machine."""
        return self.machine == machine and _start_of(self.pid) != self.pid_started


def this_process(kind: str, queues: Sequence[str]) -> Executor:
    """What this process says of itself when it starts."""
    host, pid, now = socket.gethostname(), os.getpid(), time.time()
    return Executor(
        id=f"{kind}-{host}-{pid}-{secrets.token_hex(4)}",
        kind=kind,
        queues=",".join(queues),
        slots=0,
        host=host,
        machine=this_machine(),
        pid=pid,
        pid_started=_start_of(pid) or 0,
        state=RUNNING,
        beats=0,
        started_at=now,
        beaten_at=now,
    )


def this_machine() -> str:
    """Where process numbers mean the same: one start of one system, one namespace (a container has its own)."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _start_of(pid: int) -> int | None:
    """When a process started, in ticks since the system's start; None where there is none, or only its remains."""
    try:
        # The name of the program, in brackets, may hold anything (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


class Roll:
    """The rows."""

    def __init__(self, engine: Engine) -> None:
        """Make the table where it is not there yet.

        Args:
            engine: The database.
        """
        self._engine = engine
        create_tables(engine, METADATA)

    def beat(self, me: Executor) -> str | None:
        """Write the row of this process.

        Returns:
            The state that it had until now: DEAD if others gave this process up.
        """

        def write(connection: Connection) -> str | None:
            before = connection.execute(select(EXECUTORS.c.state).where(EXECUTORS.c.id == me.id)).scalar()
            upsert(connection, EXECUTORS, asdict(me), ("id",))
            return before

        return patiently(self._engine, write)

    def all(self) -> list[Executor]:
        """All processes, the oldest first."""
        query = select(EXECUTORS).order_by(EXECUTORS.c.started_at, EXECUTORS.c.id)
        return patiently(self._engine, lambda c: [Executor(**row._mapping) for row in c.execute(query)])

    def living(self) -> set[str]:
        """Names of those that have not ended, as far as anybody noticed."""
        return {one.id for one in self.all() if one.is_living}

    def serving(self, queue: str) -> list[Executor]:
        """The processes that take jobs of a queue."""
        return [one for one in self.all() if one.state == RUNNING and queue in one.queues.split(",")]

    def bury(self, lost: Iterable[Executor]) -> None:
        """Declare processes dead, unless they moved since they were seen."""

        def write(connection: Connection) -> None:
            for one in lost:
                unchanged = (EXECUTORS.c.id == one.id) & (EXECUTORS.c.beats == one.beats)
                connection.execute(update(EXECUTORS).where(unchanged).values(state=DEAD))

        patiently(self._engine, write)

    def forget_old(self) -> None:
        """Drop the rows of processes that ended long ago."""
        ended = EXECUTORS.c.state.not_in(LIVING) & (EXECUTORS.c.beaten_at < time.time() - KEPT_S)
        patiently(self._engine, lambda c: c.execute(delete(EXECUTORS).where(ended)))


class Watch:
    """Who fell silent, as one process sees the others."""

    def __init__(self, me: str, machine: str, *, silent_looks: int) -> None:
        """Nothing is known at first.

        Args:
            me: Own id.
            machine: Own machine.
            silent_looks: After so many looks without a heartbeat in between a process counts as dead.
        """
        self._me = me
        self._machine = machine
        self._silent_looks = silent_looks
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self, executors: Iterable[Executor]) -> list[Executor]:
        """Look once.

        Args:
            executors: All of them, as they are now.

        Returns:
            Those that are to be declared dead.
        """
        others = [one for one in executors if one.is_living and one.id != self._me]
        self._seen = {one.id: (one.beats, self._silence(one)) for one in others}
        return [one for one in others if one.is_gone_from(self._machine) or self._seen[one.id][1] >= self._silent_looks]

    def _silence(self, one: Executor) -> int:
        """Number of looks in turn that found nothing new, this one among them."""
        beats, looks = self._seen.get(one.id, (None, 0))
        return looks + 1 if beats == one.beats else 0


def beaten(me: Executor, state: str) -> Executor:
    """The same process, one heartbeat later."""
    return replace(me, state=state, beats=me.beats + 1, beaten_at=time.time())
