"""Ledger: what there is to know of the jobs, for commands and pages, whether the node runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbos import DBOSClient
from sqlalchemy.exc import DatabaseError

from mapnode.errors import NodeError, WrongUse
from mapnode.jobs.workflow import QUEUE, WORKFLOW, database_url

if TYPE_CHECKING:
    from pathlib import Path

STATES = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "cancelled",
}


class Ledger:
    """The jobs of a node, read from its database."""

    def __init__(self, folder: Path) -> None:
        """Open the database.

        Args:
            folder: The node's folder (var).

        Raises:
            WrongUse: If there is no node's database.
        """
        if not (folder / "jobs.sqlite").is_file():
            raise WrongUse(f"there is no node in {folder}: `mapnode up` makes one")
        self._folder = folder
        self._client = DBOSClient(system_database_url=database_url(folder))

    def close(self) -> None:
        """Close the database."""
        self._client.destroy()

    def list(self) -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return [self._describe(workflow) for workflow in self._workflows(sort_desc=True)]

    def show(self, job: str) -> dict[str, Any]:
        """One job; the beginning of its identifier is enough where it tells it from others.

        Raises:
            WrongUse: If there is none, or more than one.
        """
        found = self._workflows(workflow_id_prefix=job)
        if len(found) != 1:
            raise WrongUse(f"{'no' if not found else 'more than one'} job begins with {job!r} (mapnode jobs list)")
        return self._describe(found[0])

    def retry(self, job: str) -> dict[str, Any]:
        """Begin a failed or cancelled job anew.

        Raises:
            WrongUse: If it is in another state.
        """
        described = self.show(job)
        if described["state"] not in {"failed", "cancelled"}:
            raise WrongUse(f"job {described['id']} is {described['state']}: only failed and cancelled jobs are retried")
        self._client.rewind_workflow(described["id"], start_step=1, queue_name=QUEUE)
        return self.show(described["id"])

    def cancel(self, job: str) -> dict[str, Any]:
        """Keep a job from going on; a run in progress ends, and is not stored.

        Raises:
            WrongUse: If it has ended already.
        """
        described = self.show(job)
        if described["state"] not in {"queued", "running"}:
            raise WrongUse(f"job {described['id']} is {described['state']}: it cannot be cancelled")
        self._client.cancel_workflow(described["id"])
        return self.show(described["id"])

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        counts: dict[str, int] = {}
        for job in self.list():
            counts[job["state"]] = counts.get(job["state"], 0) + 1
        return counts

    def _workflows(self, **which: Any) -> Any:  # noqa: ANN401 - DBOS's own records
        """The workflows of the jobs; none where the node has not made its tables yet.

        Raises:
            NodeError: If the file is no database.
        """
        try:
            return self._client.list_workflows(name=WORKFLOW, **which)
        except DatabaseError as error:
            if "no such table" in str(error.orig):
                return []
            raise NodeError(f"{self._folder / 'jobs.sqlite'} cannot be read: {error.orig}") from error

    def _describe(self, workflow: Any) -> dict[str, Any]:  # noqa: ANN401 - DBOS's own record
        """One job as `mapnode jobs` prints it (docs/architecture.md)."""
        spec = workflow.input["args"][0] if workflow.input else {}
        outcome = workflow.output or {}
        state = outcome.get("state", "done") if workflow.status == "SUCCESS" else STATES[workflow.status]
        return {
            "id": workflow.workflow_id,
            "state": state,
            "app": spec.get("app", ""),
            "rule": spec.get("rule", ""),
            "study_instance_uid": spec.get("study_instance_uid", ""),
            "series_instance_uid": spec.get("series_instance_uid", ""),
            "reason": _reason(workflow.error) if workflow.error else outcome.get("reason", ""),
            "created_at": workflow.created_at / 1000,
            "steps": [self._step(step) for step in self._client.list_workflow_steps(workflow.workflow_id)],
            "stored": outcome.get("stored", []),
        }

    @staticmethod
    def _step(step: Any) -> dict[str, Any]:  # noqa: ANN401
        started, ended = step["started_at_epoch_ms"], step["completed_at_epoch_ms"]
        return {
            "name": step["function_name"],
            "state": "failed" if step["error"] else "done",
            "started_at": started / 1000 if started else None,
            "seconds": (ended - started) / 1000 if started and ended else None,
        }


def _reason(error: Exception) -> str:
    """Why a job failed: of a step that was tried again and again, its last error."""
    tries = getattr(error, "errors", None)  # DBOS keeps them, in a class that it does not export
    return str(tries[-1] if tries else error)
