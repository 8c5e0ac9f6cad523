"""Scheduler: which job starts next. Urgent ones first, sources in turn, as far as slots, memory and hours allow.

Jobs wait in the records and not in DBOS's queue, so that what starts next can depend on what runs, on switches and on
the time of day, and a late instance can call a job back that nobody has begun (decision 0016).
"""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapnode.app_catalogue import list_apps
from mapnode.records import JobState
from mapnode.records.switches import JOBS, apps_off
from mapnode.runners.memory import parse_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mapnode.app_catalogue import Runnable
    from mapnode.jobs.hours import Hours
    from mapnode.records import JobRecord, Records

RESEARCH = 3
IDLE_LOOK_S = 0.5
"""After a look that could start nothing, the next one is not before this, unless something changed."""
PATIENCE_S = 60.0
"""A job that is too large for what is free waits so long while smaller ones pass; then they wait for it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capacity:
    """What may run at the same time.

    Attributes:
        slots: Jobs.
        gpus: Jobs that ask for a GPU.
        memory_bytes: What they may take together, by their manifests.
    """

    slots: int
    gpus: int
    memory_bytes: int

    def minus(self, app: Runnable | None) -> Capacity:
        """What is left when an app runs."""
        if app is None:
            return Capacity(self.slots - 1, self.gpus, self.memory_bytes)
        needs = app.needs
        return Capacity(self.slots - 1, self.gpus - (needs.gpu > 0), self.memory_bytes - parse_memory(needs.memory))

    @property
    def is_left(self) -> bool:
        """Whether nothing is overdrawn."""
        return self.slots >= 0 and self.gpus >= 0 and self.memory_bytes >= 0


class Scheduler:
    """Starts what may start."""

    def __init__(
        self,
        records: Records,
        capacity: Callable[[], Capacity],
        start: Callable[[JobRecord], None],
        is_under_way: Callable[[str], bool],
        research_hours: Hours | None,
        images: Callable[[], Mapping[str, Runnable]] = dict,
    ) -> None:
        """Bind it to a node.

        Args:
            records: The jobs that wait, and the switches.
            capacity: What all processes together may run.
            start: Begins a job.
            is_under_way: Whether a workflow has not ended yet, whatever became of its job meanwhile.
            research_hours: When jobs of the lowest priority may start; None: always.
            images: The container images that jobs may run, by name.
        """
        self._records = records
        self._capacity = capacity
        self._start = start
        self._is_under_way = is_under_way
        self._hours = research_hours
        self._images = images
        self._starts = itertools.count(1)
        self._last_start: dict[str, int] = {}
        self._told: set[str] = set()
        self._next_look = 0.0
        self._running: frozenset[str] = frozenset()

    def wake(self) -> None:
        """Something changed: look at once."""
        self._next_look = 0.0

    def tick(self) -> int:
        """Start what may start now; how many jobs that were."""
        running = frozenset(job.id for job in self._records.jobs.in_states({JobState.RUNNING}))
        if running != self._running:
            self._running = running
            self.wake()
        if time.monotonic() < self._next_look:
            return 0
        started = 0
        switches = self._records.switches.all()
        apps: dict[str, Runnable] = {**{app.name: app for app in list_apps()}, **self._images()}
        while JOBS not in switches and (job := self._next(apps, switches)) is not None:
            tries = job.tries + 1
            moved = self._records.jobs.move(
                job.id, JobState.RUNNING, self._why(job), only_from={JobState.QUEUED}, tries=tries
            )
            if moved:
                self._last_start[job.source] = next(self._starts)
                started_job = self._records.jobs.get(job.id)
                assert started_job is not None
                self._start(started_job)
                started += 1
        self._next_look = 0.0 if started else time.monotonic() + IDLE_LOOK_S
        return started

    def _next(self, apps: Mapping[str, Runnable], switches: Mapping[str, str]) -> JobRecord | None:
        """The next job that fits; None if nothing may start."""
        left = self._left(apps)
        if left.slots <= 0:
            return None
        whole = self._capacity()
        closed = apps_off(switches) | self._without_gpu(apps, whole)
        # Jobs of apps that are gone are begun all the same, and end with that reason.
        waiting = self._records.jobs.next_of_each_source(time.time(), closed)
        return self._choose([job for job in waiting if self._may_start(job)], apps, left, whole)

    def _without_gpu(self, apps: Mapping[str, Runnable], whole: Capacity) -> set[str]:
        """Apps that can never start here; waiting for them would keep everybody else waiting."""
        found = {name for name, app in apps.items() if whole.minus(app).gpus < 0}
        for name in found - self._told:
            _log.warning("jobs of %s wait: it needs a GPU, and the node has none (gpus)", name)
        self._told = found
        return found

    def _left(self, apps: Mapping[str, Runnable]) -> Capacity:
        left = self._capacity()
        for job in self._records.jobs.in_states({JobState.RUNNING}):
            left = left.minus(apps.get(job.spec.app))
        return left

    def _choose(
        self, waiting: Sequence[JobRecord], apps: Mapping[str, Runnable], left: Capacity, whole: Capacity
    ) -> JobRecord | None:
        """By priority, then the source that had to wait longest for its turn, then age.

        A job that asks for more memory than there is at all runs alone.
        """
        ordered = sorted(waiting, key=lambda job: (job.priority, self._last_start.get(job.source, 0), job.seq))
        for job in ordered:
            after = left.minus(apps.get(job.spec.app))
            if after.is_left or (left == whole and after.gpus >= 0):
                return job
            # A job from a time to come was made before the clock was set back.
            if not 0 <= time.time() - job.created_at <= PATIENCE_S:
                return None
        return None

    def _may_start(self, job: JobRecord) -> bool:
        """Whether it has its hours, and no run that was called back and has not noticed yet writes into its folder."""
        in_hours = job.priority < RESEARCH or self._hours is None or self._hours.now()
        return in_hours and not (job.tries and self._is_under_way(job.last_run))

    @staticmethod
    def _why(job: JobRecord) -> str:
        source = f" from {job.source}" if job.source else ""
        return f"a slot is free; next of priority {job.priority}{source}, try {job.tries + 1}"
