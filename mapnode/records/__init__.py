"""Records: what the node has to know after a crash; DBOS keeps the steps of running jobs in its own."""

from mapnode.records.decisions import DecisionRecord, Decisions
from mapnode.records.job_states import ENDED, JobState
from mapnode.records.jobs import JobRecord, Jobs
from mapnode.records.pending import Pending, PendingSeries
from mapnode.records.requests import Request, Requests
from mapnode.records.store import Records
from mapnode.records.switches import Switches

__all__ = [
    "ENDED",
    "DecisionRecord",
    "Decisions",
    "JobRecord",
    "JobState",
    "Jobs",
    "Pending",
    "PendingSeries",
    "Records",
    "Request",
    "Requests",
    "Switches",
]
