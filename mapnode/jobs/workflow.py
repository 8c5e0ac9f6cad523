"""Workflow: a job as a durable DBOS workflow; every stage is a checkpointed step.

A step that ended is not run again, whatever dies; a step that was interrupted runs again and is harmless then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from mapnode.errors import NodeError
from mapnode.jobs import work
from mapnode.jobs.spec import JobSpec
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.runners.warm import WorkerLost
from operators.core.contract import Result, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbos import DBOSConfig

    from mapnode.jobs.work import Workplace

QUEUE = "jobs"
WORKFLOW = "job"
SCHEMA_VERSION = "1"
"""Version of the workflow's steps, not of the release: only workflows of the same version are recovered."""
PRIORITIES = {"stat": 1, "routine": 2, "research": 3}
MAX_RECOVERIES = 5
"""Input that kills its process must not loop."""
WORKER_ATTEMPTS = 3
ORTHANC_ATTEMPTS = 12
"""With doubling pauses from 0.5 s this is 17 minutes; after that the job has failed and may be tried again."""
POLLING_S = 0.05

_log = logging.getLogger(__name__)


class JobFailed(NodeError):
    """The app failed; the job may be tried again."""


def database_url(folder: Path) -> str:
    """Where the jobs are."""
    return f"sqlite:///{folder / 'jobs.sqlite'}"


class JobQueue:
    """Takes jobs, runs them, keeps what happened. One a process."""

    def __init__(self, place: Workplace, *, workers: int) -> None:
        """Define the workflow; nothing runs yet.

        Args:
            place: What the stages work with.
            workers: Jobs at the same time.
        """
        config: DBOSConfig = {
            "name": "mapnode",
            "system_database_url": database_url(place.folder),
            "application_version": SCHEMA_VERSION,
            "executor_id": "node",
            "console_log_level": "CRITICAL",
        }
        DBOS(config=config)
        self._workers = workers
        self._workflow = _define(place)

    def launch(self) -> None:
        """Begin: jobs that were interrupted go on first."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=self._workers, polling_interval_sec=POLLING_S)

    def add(self, job: str, spec: JobSpec, priority: str) -> bool:
        """Take a job; one that is known already is not taken twice.

        Returns:
            Whether it is new.
        """
        if DBOS.get_workflow_status(job) is not None:
            return False
        with SetWorkflowID(job), SetEnqueueOptions(priority=PRIORITIES[priority]):
            DBOS.enqueue_workflow(QUEUE, self._workflow, spec.model_dump())
        return True

    def stop(self) -> None:
        """End; what runs is run again at the next start."""
        DBOS.destroy(workflow_completion_timeout_sec=0)


def _define(place: Workplace) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Register steps and workflow with DBOS."""

    @DBOS.step(name="stage", **_patient())
    def stage(job: str, spec: dict[str, Any]) -> dict[str, Any]:
        return work.stage(place, job, JobSpec.model_validate(spec))

    @DBOS.step(
        name="run",
        retries_allowed=True,
        max_attempts=WORKER_ATTEMPTS,
        interval_seconds=0.2,
        should_retry=lambda error: isinstance(error, WorkerLost),
    )
    def run(job: str, spec: dict[str, Any], staged: dict[str, Any]) -> dict[str, Any]:
        return work.run(place, job, JobSpec.model_validate(spec), staged)

    @DBOS.step(name="check", **_patient())
    def check(job: str, spec: dict[str, Any], staged: dict[str, Any], result: dict[str, Any]) -> list[str]:
        return work.check(place, job, JobSpec.model_validate(spec), staged, Result.model_validate(result))

    @DBOS.step(name="store", **_patient())
    def store(job: str, result: dict[str, Any]) -> list[dict[str, str]]:
        return work.store(place, job, Result.model_validate(result))

    @DBOS.step(name="quarantine")
    def quarantine(job: str, reasons: list[str]) -> str:
        return work.quarantine(place, job, reasons)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MAX_RECOVERIES)
    def job_workflow(spec: dict[str, Any]) -> dict[str, Any]:
        job = str(DBOS.workflow_id)
        _log.info("job %s: %s on series %s", job, spec["app"], spec["series_instance_uid"])
        staged = stage(job, spec)
        result = run(job, spec, staged)
        outcome = _outcome(Result.model_validate(result))
        if outcome["state"] == Status.DONE:
            problems = check(job, spec, staged, result)
            try:
                outcome["stored"] = [] if problems else store(job, result)
            except work.ResultConflict as error:
                problems = [str(error)]
            if problems:
                outcome |= {"state": "quarantined", "reason": "; ".join(problems), "folder": quarantine(job, problems)}
        work.clean(place, job)
        return _end(job, outcome)

    return job_workflow


def _outcome(result: Result) -> dict[str, Any]:
    """State and reason of a run."""
    return {"state": str(result.status), "reason": result.sentence if result.reasons else ""}


def _end(job: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Say how a job ended.

    Raises:
        JobFailed: If the app failed: such a job may be tried again.
    """
    _log.info("job %s: %s%s", job, outcome["state"], f": {outcome['reason']}" if outcome["reason"] else "")
    if outcome["state"] == Status.FAILED:
        raise JobFailed(outcome["reason"])
    return outcome


def _patient() -> dict[str, Any]:
    """How a step waits for an Orthanc that does not answer."""
    return {
        "retries_allowed": True,
        "max_attempts": ORTHANC_ATTEMPTS,
        "interval_seconds": 0.5,
        "backoff_rate": 2.0,
        "should_retry": lambda error: isinstance(error, OrthancUnreachable),
    }
