"""Workflow: a job as two durable DBOS workflows, compute and publish; every stage is a checkpointed step.

A step that ended is not run again, whatever dies; a step that was interrupted runs again and is harmless then. Between
the two workflows a job takes no slot: it waits for its source to be complete (decision 0016).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from dbos import DBOS, SetWorkflowID
from dbos._dbos import _get_dbos_instance

from mapnode.database import outlast_full_disk, prepare_jobs, will_pass
from mapnode.errors import NodeError
from mapnode.jobs import work
from mapnode.jobs.failures import DatabaseAway, Defect, ending_of, is_ours
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records import JobState
from mapnode.runners.warm import NodeStopping
from mapnode.runners.worker import WorkerLost
from operators.core.contract import Result, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dbos import DBOSConfig

    from mapnode.database import Place
    from mapnode.jobs.takeover import Presence
    from mapnode.jobs.work import Workplace
    from mapnode.records import JobRecord

QUEUE = "jobs"
SCHEMA_VERSION = "2"
"""Version of the workflows' steps, not of the release: only workflows of the same version are recovered."""
PURGED_AT_ONCE = 500
"""Workflows that housekeeping forgets in one go, once a minute: 700,000 a day."""
MAX_RECOVERIES = 5
"""Input that kills its process must not loop."""
WORKER_ATTEMPTS = 3
ORTHANC_ATTEMPTS = 12
"""With doubling pauses from 0.5 s this is 17 minutes; after that the job waits and is tried again later."""
STUBBORN = {"retries_allowed": True, "max_attempts": 50, "interval_seconds": 1.0, "backoff_rate": 3.0}
"""Results whose source is gone must not stay: for two days, with pauses of up to an hour."""
POLLING_S = 0.5
"""Half of this is the time that a job waits where further workers share the queue; a node alone begins jobs itself."""
STEPS = ("stage", "run", "check", "confirm", "store", "reject", "withdraw")
"""The steps of a job, as its history and `mapnode jobs show` name them."""

_log = logging.getLogger(__name__)


class JobRunner:
    """Runs jobs durably. One a process."""

    def __init__(self, place: Workplace, database: Place, presence: Presence) -> None:
        """Define the workflows; nothing runs yet.

        Args:
            place: What the stages work with.
            database: Where the steps of running jobs are kept.
            presence: This process among those that share the jobs.
        """
        prepare_jobs(database)
        config: DBOSConfig = {
            "name": "mapnode",
            "system_database_url": database.jobs_url,
            "application_version": SCHEMA_VERSION,
            "executor_id": presence.executor_id,
            "console_log_level": "CRITICAL",
        }
        DBOS(config=config)
        self._presence = presence
        self._compute, self._publish, self._withdraw = _define(place)

    def launch(self, slots: int, queues: Sequence[str] = (QUEUE,)) -> None:
        """Begin; what dead processes had begun is taken over.

        Args:
            slots: Jobs at the same time in each process. What the node says holds for all.
            queues: Whose jobs are taken.
        """
        DBOS.listen_queues(queues)
        self._presence.enter()
        DBOS.launch()
        outlast_full_disk(_get_dbos_instance()._sys_db.engine)
        conflict: Any = "always_update" if self._presence.is_node else "never_update"
        DBOS.register_queue(QUEUE, worker_concurrency=slots, polling_interval_sec=POLLING_S, on_conflict=conflict)
        queue = DBOS.retrieve_queue(QUEUE)
        self._presence.watch((queue and queue.worker_concurrency) or slots)

    def compute(self, job: JobRecord) -> None:
        """Have a job's results made; nothing happens where that was begun already."""
        with SetWorkflowID(job.last_run):
            if self._presence.is_alone:
                DBOS.start_workflow(self._compute, job.id)
            else:
                DBOS.enqueue_workflow(QUEUE, self._compute, job.id)

    def publish(self, job: JobRecord, number: int) -> None:
        """Have a job's results put into the PACS; nothing happens where that was begun already."""
        with SetWorkflowID(f"{job.id}.publish.{number}"):
            DBOS.start_workflow(self._publish, job.id)

    def withdraw(self, job: str, why: str) -> None:
        """Have a published job's results rejected."""
        with SetWorkflowID(f"{job}.withdraw"):
            DBOS.start_workflow(self._withdraw, job, why)

    def purge(self, before: datetime) -> int:
        """Forget the steps of workflows that ended before a moment, some at a time; the jobs stay in the records.

        Returns:
            How many were forgotten.
        """
        ended = DBOS.list_workflows(
            completed_before=before.isoformat(), limit=PURGED_AT_ONCE, load_input=False, load_output=False
        )
        if ended:
            DBOS.delete_workflows([one.workflow_id for one in ended])
        return len(ended)

    def is_under_way(self, workflow: str) -> bool:
        """Whether DBOS has a workflow and will bring it to its end."""
        status = DBOS.get_workflow_status(workflow)
        return status is not None and status.status in {"ENQUEUED", "PENDING", "DELAYED"}

    def is_given_up(self, workflow: str) -> bool:
        """Whether DBOS began a workflow so often, after its process had died, that it does not any more."""
        status = DBOS.get_workflow_status(workflow)
        return status is not None and status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED"

    def stop(self, *, patience_s: int = 0) -> None:
        """End: take no more jobs; what does not end in time is handed back and goes on in another process.

        Args:
            patience_s: How long to wait for jobs that are under way.
        """
        self._presence.drain()
        DBOS.destroy(workflow_completion_timeout_sec=patience_s)
        self._presence.leave()


def _define(place: Workplace) -> tuple[Callable[[str], None], Callable[[str], None], Callable[[str, str], None]]:
    """Register steps and workflows with DBOS."""
    compute_steps, publish_steps = _compute_steps(place), _publish_steps(place)
    withdraw_step = _step(place, "withdraw", _withdraw, **STUBBORN)
    give_up = _give_up(place)

    @DBOS.workflow(name="compute", max_recovery_attempts=MAX_RECOVERIES)
    def compute(job: str) -> None:
        stage, run, check = compute_steps
        try:
            stage(job)
            check(job, run(job))
        except NodeStopping:
            raise
        except Exception as error:  # noqa: BLE001 - the job loop: every failure becomes a state with its reason
            give_up(job, error, JobState.RUNNING)
        place.on_end()

    @DBOS.workflow(name="publish", max_recovery_attempts=MAX_RECOVERIES)
    def publish(job: str) -> None:
        confirm, store, reject_replaced = publish_steps
        try:
            confirm(job)
            store(job)
            reject_replaced(job)
        except Exception as error:  # noqa: BLE001 - the job loop
            give_up(job, error, JobState.PUBLISHING)
        place.on_end()

    @DBOS.workflow(name="withdraw", max_recovery_attempts=MAX_RECOVERIES)
    def withdraw(job: str, why: str) -> None:
        withdraw_step(job, why)

    return compute, publish, withdraw


def _compute_steps(place: Workplace) -> tuple[Callable[..., Any], ...]:
    """Stage, run and check."""

    def check(place: Workplace, job: str, result: dict[str, Any]) -> None:
        found = Result.model_validate(result)
        problems = work.check(place, job, found) if found.status is Status.DONE else []
        place.require_lease()  # a process that was given up while it checked must not move a run that others began
        reason = found.sentence if found.reasons else ""
        if found.status is not Status.DONE:
            _move(place, job, JobState(found.status), reason)
            if found.status in {Status.REFUSED, Status.NOT_APPLICABLE} and place.record(job).spec.mode == "live":
                work.reject_replaced(place, job, f"its source changed since, and is {reason}")
        elif problems:
            work.quarantine(place, job, problems)
            _move(place, job, JobState.QUARANTINED, "; ".join(problems))
        elif place.record(job).spec.mode == "shadow":
            _move(place, job, JobState.SHADOW, "the rule is in shadow mode: `mapnode jobs release` publishes it")
        else:
            _move(place, job, JobState.WAITING, "computed; waits until the source is complete")
        work.clean(place, job)

    once = {"should_retry": lambda e: isinstance(e, WorkerLost) or _is_databases(e), "interval_seconds": 0.2}
    return (
        _step(place, "stage", work.stage),
        _step(place, "run", work.run, retries_allowed=True, max_attempts=WORKER_ATTEMPTS, **once),
        _step(place, "check", check),
    )


def _publish_steps(place: Workplace) -> tuple[Callable[..., Any], ...]:
    """Confirm, store and reject."""

    def reject(place: Workplace, job: str) -> None:
        record = place.record(job)
        work.reject_replaced(place, job, f"superseded by job {job}")
        place.records.jobs.move(job, JobState.DONE, record.reason, only_from={JobState.PUBLISHING})
        _log.info("job %s: published", job)

    return (
        _step(place, "confirm", work.confirm),
        _step(place, "store", work.store),
        _step(place, "reject", reject),
    )


def _withdraw(place: Workplace, job: str, why: str) -> None:
    """Reject a job's results; its series is looked at again, because it may have come back meanwhile."""
    work.reject(place, job, why)
    place.records.pending.grew(place.record(job).spec.series_ids, time.time())


def _give_up(place: Workplace) -> Callable[[str, BaseException, JobState], None]:
    """What becomes of a job whose step failed for good."""

    @DBOS.step(name="give_up")
    def step(job: str, failure: str, state: str, after_s: float, reason: str, only_from: str) -> None:
        place.require_lease()
        target = JobState(state)
        if target in {JobState.QUARANTINED, JobState.FAILED}:
            work.quarantine(place, job, [one for one in (failure, reason) if one])
        more = {"not_before": time.time() + after_s} if after_s else {}
        if target is JobState.RECALLED:  # while publishing, or while what Orthanc lost was made again
            work.reject_stored(place, job, reason)
        # Done it is where it was taken back meanwhile: what was rejected must not be taken for its results.
        left = {JobState(only_from)} | ({JobState.DONE} if target is JobState.RECALLED else set())
        place.records.jobs.move(job, target, reason, only_from=left, **more)
        # Asked, and not told by the move: a kill between the two would leave the series to nobody.
        if target is place.records.jobs.state(job) is JobState.RECALLED:
            place.records.pending.grew(place.record(job).spec.series_ids, time.time())
        work.clean(place, job)
        _log.warning("job %s: %s: %s", job, target, reason)

    def give_up(job: str, error: BaseException, state: JobState) -> None:
        jobs = place.records.jobs
        tries = place.record(job).tries if state is JobState.RUNNING else jobs.times_in(job, JobState.PUBLISHING)
        ending = ending_of(error, state, tries)
        if ending is not None:
            kind = type(error).__name__ if not is_ours(error) else ""
            step(job, kind, ending.state, ending.after_s, ending.reason, state)

    return give_up


def _step(place: Workplace, name: str, stage: Callable[..., Any], **options: Any) -> Callable[..., Any]:  # noqa: ANN401
    """A stage as a checkpointed step, whose time goes into the job's history."""

    @DBOS.step(name=name, **(options or _patient()))
    def step(job: str, *arguments: Any) -> Any:  # noqa: ANN401 - what the stage takes and gives
        started, clock = time.monotonic(), time.time()
        try:
            value = stage(place, job, *arguments)
        except Exception as error:
            detail = f"failed: {error if is_ours(error) else type(error).__name__}"
            place.records.jobs.note(job, name, detail, at=clock, seconds=time.monotonic() - started)
            if isinstance(error, NodeError | OSError):
                raise
            if will_pass(error):
                raise DatabaseAway(f"the database broke off ({type(error).__name__})") from error
            raise Defect(f"a defect: {type(error).__name__}") from error
        place.records.jobs.note(job, name, at=clock, seconds=time.monotonic() - started)
        return value

    return step


def _move(place: Workplace, job: str, state: JobState, reason: str) -> None:
    if place.records.jobs.move(job, state, reason, only_from={JobState.RUNNING}):
        _log.info("job %s: %s%s", job, state, f": {reason}" if reason else "")


def _patient() -> dict[str, Any]:
    """How a step waits for an Orthanc that does not answer, and goes on after a database that broke off."""
    return {
        "retries_allowed": True,
        "max_attempts": ORTHANC_ATTEMPTS,
        "interval_seconds": 0.5,
        "backoff_rate": 2.0,
        "should_retry": lambda error: isinstance(error, OrthancUnreachable) or _is_databases(error),
    }


def _is_databases(error: BaseException) -> bool:
    """Whether the database broke off: in a stage, or when the stage's end was to be written into the history."""
    return isinstance(error, DatabaseAway) or will_pass(error)
