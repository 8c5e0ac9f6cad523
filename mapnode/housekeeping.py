"""Housekeeping: gives room back: files of jobs that ended long ago, old quarantine, more when the disk runs short."""

from __future__ import annotations

import logging
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mapnode.records import ENDED, JobState
from mapnode.records.job_states import HELD_BY_SWITCH
from mapnode.records.switches import apps_off

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mapnode.records import JobRecord, Records

DAY_S = 86_400.0

_log = logging.getLogger(__name__)


def free_mb(folder: Path) -> float:
    """Room on the disk of a folder for whoever is not root, in MB (10^6 bytes)."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / 1e6


class Housekeeping:
    """Deletes what has been kept long enough. The jobs, and where their results are, stay in the records."""

    def __init__(
        self,
        folder: Path,
        records: Records,
        purge: Callable[[datetime], int],
        cancel: Callable[[JobRecord, str], object],
        *,
        jobs_days: float,
        shadow_days: float,
        quarantine_days: float,
        records_days: float,
        min_free_mb: float,
    ) -> None:
        """Bind it to a node.

        Args:
            folder: The node's folder (var).
            records: Which jobs have ended.
            purge: Forgets the steps of workflows that ended before a moment; how many.
            cancel: Takes a job back that is not published, with the reason.
            jobs_days: Files of ended jobs are kept for so long.
            shadow_days: Results that wait to be released, and jobs whose app is switched off, are kept for so long.
            quarantine_days: Quarantine is kept for so long.
            records_days: Decisions, and the history of ended jobs, are kept for so long.
            min_free_mb: With less room than twice this, files of ended jobs go before their time, the oldest first.
        """
        self._folder = folder
        self._records = records
        self._purge = purge
        self._cancel = cancel
        self._shadow_days = shadow_days
        self._jobs_s = jobs_days * DAY_S
        self._quarantine_s = quarantine_days * DAY_S
        self._records_s = records_days * DAY_S
        self._min_free_mb = min_free_mb

    def __call__(self) -> None:
        """Delete what is due."""
        if forgotten := self._purge(datetime.now(UTC) - timedelta(seconds=self._jobs_s)):
            _log.info("the steps of %d workflows that ended long ago are forgotten", forgotten)
        if forgotten := self._records.ageing.purge(time.time() - self._records_s):
            _log.info("%d lines of records are forgotten after %g days", forgotten, self._records_s / DAY_S)
        for folder, age_s in _by_age(self._folder / "quarantine"):
            if age_s > self._quarantine_s:
                self._delete(folder, f"after {age_s / DAY_S:.0f} days in quarantine")
        for folder, age_s in _by_age(self._folder / "jobs"):
            is_short = free_mb(self._folder) < 2 * self._min_free_mb
            if (age_s > self._jobs_s or is_short) and self._has_ended(folder.name):
                self._delete(folder, "the disk runs short" if is_short else f"after {age_s / DAY_S:.0f} days")
        # Last, for it may need Orthanc; their files go with the next look.
        limit = time.time() - self._shadow_days * DAY_S
        for job in self._records.jobs.kept_in(JobState.SHADOW, limit):
            self._cancel(job, f"nobody released it for {self._shadow_days:g} days; `mapnode rerun` makes it again")
        for job in self._held_since_before(limit):
            why = f"{job.spec.app} was switched off for {self._shadow_days:g} days; `mapnode rerun` makes it again"
            self._cancel(job, why)

    def _held_since_before(self, limit: float) -> list[JobRecord]:
        """Jobs that wait for an app, both of them since before a time.

        Of an app that is switched on again nobody wants the results of months at once, in studies long since read.
        """
        apps = apps_off(self._records.switches.off_before(limit))
        waiting = self._records.jobs.in_states(HELD_BY_SWITCH) if apps else []
        return [job for job in waiting if job.spec.app in apps and job.created_at < limit]

    def _has_ended(self, job: str) -> bool:
        state = self._records.jobs.state(job)
        return state is None or state in ENDED

    @staticmethod
    def _delete(folder: Path, why: str) -> None:
        _log.info("the files in %s are deleted: %s", folder, why)
        shutil.rmtree(folder, ignore_errors=True)


def _by_age(folder: Path) -> Iterator[tuple[Path, float]]:
    """Folders with their age in s, the oldest first."""
    now = time.time()
    entries = list(folder.iterdir()) if folder.is_dir() else []
    yield from sorted(((entry, now - entry.stat().st_mtime) for entry in entries), key=lambda found: -found[1])
