"""Ledger: what there is to know of the jobs, for commands and pages, whether the node runs or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DatabaseError

from mapnode.errors import NodeError, WrongUse
from mapnode.jobs.executors import Roll
from mapnode.jobs.workflow import STEPS
from mapnode.records import ENDED, JobState, Records
from mapnode.records.job_states import HELD_BY_SWITCH, RETRIED
from mapnode.records.requests import RequestKind
from mapnode.records.switches import JOBS, app_switch, apps_off

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapnode.database import Place
    from mapnode.records import JobRecord
    from mapnode.records.jobs import HistoryRecord

ANSWER_S = 10.0
"""A running node takes a request within this."""
LOOK_S = 0.02
PATIENCE_S = 5.0
"""A command does not wait longer for a database that is away."""


class Ledger:
    """The jobs of a node, read from its records; what changes them is asked of the node."""

    def __init__(self, place: Place) -> None:
        """Open the records.

        Args:
            place: Where they are.

        Raises:
            WrongUse: If there are none.
            NodeError: If they cannot be read.
        """
        if not place.exists:
            raise WrongUse(f"there is no node in {place.where}: `mapnode up` makes one; --config FILE means another")
        self.records = Records(place.records, patience_s=PATIENCE_S)
        try:
            self.roll = Roll(self.records.engine)
        except DatabaseError as error:
            raise NodeError(f"{place} cannot be read: {error.orig}") from error

    def close(self) -> None:
        """Close the records."""
        self.records.close()

    def newest(self, limit: int = 200, offset: int = 0) -> list[dict[str, Any]]:
        """Jobs, the newest first."""
        return self._describe(self.records.jobs.newest(limit, offset))

    def show(self, job: str) -> dict[str, Any]:
        """One job; the beginning of its identifier is enough where it tells it from others.

        Raises:
            WrongUse: If there is none, or more than one.
        """
        return self._describe([self._find(job)])[0]

    def retry(self, job: str) -> dict[str, Any]:
        """Have a job that ended without results begin anew.

        Raises:
            WrongUse: If it is in another state.
        """
        return self._ask(RequestKind.RETRY, job, set(RETRIED), "only jobs that ended without results are retried")

    def cancel(self, job: str) -> dict[str, Any]:
        """Keep a job from going on; nothing of it is stored.

        Raises:
            WrongUse: If it has ended already.
        """
        return self._ask(
            RequestKind.CANCEL, job, set(JobState) - ENDED - {JobState.PUBLISHING}, "it cannot be cancelled"
        )

    def release(self, job: str) -> dict[str, Any]:
        """Have the results of a shadow job published.

        Raises:
            WrongUse: If it is no shadow job, or its app is switched off.
        """
        return self._ask(RequestKind.RELEASE, job, {JobState.SHADOW}, "only jobs in state shadow are released")

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        return self.records.jobs.counts()

    def decisions(self, limit: int = 200, uid: str | None = None) -> list[dict[str, Any]]:
        """What the rules said, the newest first, of all series or of one study or series."""
        return [vars(decision) for decision in self.records.decisions.newest(limit, uid)]

    def held(self) -> dict[str, int]:
        """Number of jobs that wait for an app which is switched off, by app."""
        return self.records.jobs.counts_of(apps_off(self.records.switches.all()), HELD_BY_SWITCH)

    def rerun(self, uids: Sequence[str]) -> None:
        """Have studies or series decided again, with the rules and apps of now.

        Raises:
            WrongUse: If Orthanc has none of that UID, or no node answers.
        """
        self._wait(self.records.requests.add(RequestKind.RERUN, uids=list(uids)))

    def _wait(self, request: int) -> None:
        """Wait until a running node took care of a request.

        Raises:
            WrongUse: If it could not do that, or none runs.
        """
        deadline = time.monotonic() + ANSWER_S
        while self.records.requests.waits(request):
            if time.monotonic() > deadline:
                raise WrongUse("the node does not run: it does this when it is started the next time (mapnode up)")
            time.sleep(LOOK_S)
        if error := self.records.requests.take_error(request):
            raise WrongUse(error)

    def _ask(self, kind: RequestKind, job: str, states: set[JobState], otherwise: str) -> dict[str, Any]:
        """Ask the node for something about a job.

        Raises:
            WrongUse: If the job is in another state than that makes sense in, the node could not do it, or none
                answers.
        """
        found = self._find(job)
        if found.state not in states:
            raise WrongUse(f"job {found.id} is {found.state}: {otherwise}")
        self._wait(self.records.requests.add(kind, job=found.id))
        return self.show(found.id)

    def _find(self, job: str) -> JobRecord:
        """The job whose identifier begins so.

        Raises:
            WrongUse: If there is none, or more than one.
        """
        # The text that is no text is the beginning of every identifier.
        found = self.records.jobs.named(job) if job else []
        if len(found) != 1:
            raise WrongUse(f"{'no' if not found else 'more than one'} job begins with {job!r} (mapnode jobs list)")
        return found[0]

    def _describe(self, jobs: Sequence[JobRecord]) -> list[dict[str, Any]]:
        """Jobs as `mapnode jobs` prints them (docs/architecture.md); their histories in one question."""
        histories = self.records.jobs.history([job.id for job in jobs])
        switches = self.records.switches.all()
        return [_description(job, histories.get(job.id, []), _held_by(job, switches)) for job in jobs]


def _held_by(job: JobRecord, switches: Mapping[str, str]) -> str:
    """Which switch keeps a job from going on, and why it was thrown; empty if none does."""
    app = app_switch(job.spec.app)
    if job.state in HELD_BY_SWITCH and app in switches:
        return f"{job.spec.app} is switched off: {switches[app]}"
    if job.state is JobState.QUEUED and JOBS in switches:
        return f"no job starts: {switches[JOBS]}"
    return ""


def _description(job: JobRecord, history: Sequence[HistoryRecord], held_by: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": str(job.state),
        "app": job.spec.app,
        "rule": job.spec.rule,
        "mode": job.spec.mode,
        "priority": job.priority,
        "source": job.source,
        "study_instance_uid": job.spec.study_instance_uid,
        "series_instance_uid": job.spec.series_instance_uid,
        "reason": job.reason,
        "held_by": held_by,
        "created_at": job.created_at,
        "progress": job.progress if job.state is JobState.RUNNING else "",
        "predecessor": job.spec.predecessor,
        "attempt": job.spec.attempt,
        "steps": [_step(line) for line in history if line.event in STEPS],
        "history": [{"at": line.at, "event": line.event, "detail": line.detail} for line in history],
        "stored": job.stored,
    }


def _step(line: HistoryRecord) -> dict[str, Any]:
    return {
        "name": line.event,
        "state": "failed" if line.detail else "done",
        "started_at": line.at,
        "seconds": line.seconds,
    }
