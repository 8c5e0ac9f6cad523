"""Takeover: jobs of processes that are gone go back to their queue.

DBOS itself goes on with its own jobs at a restart, and leaves those of others alone for ever. Here every process looks
at the others once a second and requeues what the dead ones had begun: it goes on after its last step, on its own queue,
with its priority and its count of attempts. Two that requeue at the same time do it once.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from dbos import DBOS
from dbos._dbos import _get_dbos_instance
from sqlalchemy import literal_column, select

from mapnode.jobs.executors import DEAD, DRAINING, RUNNING, STOPPED, Roll, Watch, beaten, this_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

BEAT_S = 1.0
NODE, WORKER = "node", "worker"
SILENT_LOOKS = 10
"""A process that does not move for so many looks of the others, a beat each, is given up."""

_log = logging.getLogger(__name__)


class Presence:
    """This process among the others: tells that it lives, and takes over from those that do not.

    `executor_id` is what DBOS has to be configured with; `enter` comes before DBOS is launched, `watch` after.

    Attributes:
        roll: All processes.
    """

    def __init__(
        self,
        engine: Engine,
        kind: str,
        queues: Sequence[str],
        *,
        beat_s: float = BEAT_S,
        silent_looks: int = SILENT_LOOKS,
    ) -> None:
        """Describe this process; nothing is written yet.

        Args:
            engine: Where the processes find each other.
            kind: "node" or "worker".
            queues: Queues that it serves.
            beat_s: Time between heartbeats, and between looks at the others.
            silent_looks: See SILENT_LOOKS.
        """
        self._me = this_process(kind, queues)
        self._state = RUNNING
        self._beat_s = beat_s
        self.roll = Roll(engine)
        self._watch = Watch(self._me.id, self._me.machine, silent_looks=silent_looks)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    @property
    def executor_id(self) -> str:
        """The name of this process; another one at each start."""
        return self._me.id

    @property
    def is_node(self) -> bool:
        """Whether it is the node's process, and no further worker's."""
        return self._me.kind == NODE

    @property
    def is_alone(self) -> bool:
        """Whether no other process takes jobs."""
        return self.roll.living() <= {self._me.id}

    def enter(self) -> None:
        """Be there, before the first job is taken."""
        self.roll.forget_old()
        self.roll.beat(self._me)

    def watch(self, slots: int) -> None:
        """Begin to count heartbeats and to look at the others; jobs of those that are gone are requeued first.

        Args:
            slots: Jobs that this process runs at the same time.
        """
        self._me = replace(self._me, slots=slots)
        self._beat()
        self._look()
        self._thread.start()

    def drain(self) -> None:
        """Tell that no more jobs are taken."""
        self._state = DRAINING
        self._beat()

    def leave(self) -> None:
        """Tell that this process ends; others take what it did not finish."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._state = STOPPED
        self._beat()

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s):
            try:
                self._beat()
                if self._state == RUNNING:
                    self._look()
            except Exception as error:  # noqa: BLE001 - a heart must not stop because it stumbled
                _log.error("heartbeat: %s", error)

    def _beat(self) -> None:
        self._me = beaten(self._me, self._state)
        if self.roll.beat(self._me) == DEAD:
            _log.warning(
                "%s was silent for too long; others took over its jobs, and it goes on with new ones", self._me.id
            )

    def _look(self) -> None:
        lost = self._watch.look(self.roll.all())
        if lost:
            self.roll.bury(lost)
            _log.warning("gone: %s; what they had begun is taken over", ", ".join(one.id for one in lost))
        # In this order: who has a job was on the roll before it.
        busy = _executors_with_jobs()
        orphaned = sorted(busy - self.roll.living())
        if orphaned:
            for handle in DBOS._recover_pending_workflows(orphaned):
                _log.warning("job %s is taken over from a process that is gone", handle.get_workflow_id())


def _executors_with_jobs() -> set[str]:
    """The processes that have jobs under way, as their rows say."""
    database = _get_dbos_instance()._sys_db
    jobs = database.tables.workflow_status
    # A literal, so that SQLite uses the index of the few that are pending.
    query = select(jobs.c.executor_id).where(jobs.c.status == literal_column("'PENDING'")).distinct()
    with database.engine.connect() as connection:
        return {str(row.executor_id) for row in connection.execute(query)}
