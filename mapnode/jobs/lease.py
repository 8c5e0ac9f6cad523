"""Lease: whether an execution of a job still is the one that counts.

DBOS gives every execution of a workflow a token and writes it into the job's row. It is taken away when the job is
cancelled or handed to another process, and what an execution without it does is not recorded. What reaches the world
outside the database, an object stored in Orthanc, has to ask first: that is `require_lease`.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbos import DBOS
from dbos._context import current_owner_xid
from dbos._dbos import _get_dbos_instance

from mapnode.errors import NodeError


class LeaseLost(NodeError):
    """The job was cancelled, or another process does it: this execution must leave no trace."""


@dataclass(frozen=True)
class Lease:
    """The right of one execution to act for its job.

    Attributes:
        job: The job.
        token: What the job's row says as long as the right lasts.
    """

    job: str
    token: str

    def is_held(self) -> bool:
        """Whether the right lasts; waits for a database that is away."""
        return _get_dbos_instance()._sys_db.get_workflow_owner(self.job) == self.token

    def require(self) -> None:
        """Go on only while the right lasts.

        Raises:
            LeaseLost: If it does not.
        """
        if not self.is_held():
            raise LeaseLost(f"job {self.job} was cancelled or is done by another process; nothing more is stored here")


def current_lease() -> Lease:
    """The lease of the step that calls; it may be asked from any thread.

    Raises:
        LeaseLost: If no step of a job calls: nothing outside one may act for it.
    """
    job = DBOS.workflow_id
    token = None if job is None else current_owner_xid(job)
    if job is None or token is None:
        raise LeaseLost("no job is under way in this thread")
    return Lease(job, token)


def require_lease() -> None:
    """Call it in a step right before anything that others can see.

    Raises:
        LeaseLost: If the job was cancelled or handed to another process.
    """
    current_lease().require()
