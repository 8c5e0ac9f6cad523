"""Failures: what becomes of a job when a step fails for good, by kind of error."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapnode.containers.errors import EngineUnreachable
from mapnode.errors import NodeError
from mapnode.jobs.current_app import AppChanged, AppElsewhere, AppOff
from mapnode.jobs.inputs import SourceChanged
from mapnode.jobs.lease import LeaseLost
from mapnode.jobs.work import Recalled, ResultConflict
from mapnode.pacs.errors import IntakeClosed, OrthancFailed, OrthancUnreachable
from mapnode.records import JobState
from mapnode.records.jobs import LONGEST_PAUSE_S
from mapnode.runners.worker import RunCancelled, WorkerLost, WorkerNotStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TRIES = 3
"""A defect may be one of the moment; after so many tries it is not."""
BACKOFF_S = 30.0
"""Before the second try; four times as long before each further one, up to LONGEST_PAUSE_S."""
DISK_PAUSE_S = 60.0
ORTHANC_TRIES = 290
"""An error of Orthanc's own is waited for for a day: its database or disk may be away, and somebody has to come for it.
It may as well be the fault of what was sent, and then it never ends."""


class Defect(NodeError):
    """A foreign error in a step.

    Not all of them can be stored, and what cannot be would end its workflow without an end of the job; their words may
    quote a patient's name.
    """


class DatabaseAway(NodeError):
    """The database broke off in the middle of a step, which is worth another try: no fault of the job."""


PAUSES_S: dict[type[NodeError], float] = {
    OrthancUnreachable: 300.0,
    EngineUnreachable: 60.0,
    DatabaseAway: 60.0,
    AppElsewhere: 60.0,
    AppOff: 60.0,
    IntakeClosed: DISK_PAUSE_S,
}
"""What is waited for, and how long before each look, however often."""


@dataclass(frozen=True)
class Ending:
    """Where a job goes.

    Attributes:
        state: Its next state.
        reason: Why.
        after_s: It is not started again before that.
    """

    state: JobState
    reason: str
    after_s: float = 0.0


def ending_of(error: BaseException, state: JobState, tries: int) -> Ending | None:
    """What an error means for a job.

    Args:
        error: What its step raised; of one that was tried again and again, the last error counts.
        state: Where the job was: RUNNING or PUBLISHING.
        tries: How often it was started.

    Returns:
        Where it goes; None where it went somewhere else already, because somebody called it back or took it over.
    """
    cause = last_cause(error)
    if isinstance(cause, Recalled | RunCancelled | LeaseLost):
        return None
    if isinstance(cause, SourceChanged | AppChanged):
        return Ending(JobState.RECALLED, str(cause))
    again = JobState.QUEUED if state is JobState.RUNNING else JobState.WAITING
    if (healing := _healing(cause)) is not None:
        return Ending(again, *healing)
    if isinstance(cause, WorkerLost) and not isinstance(cause, WorkerNotStarted):
        return Ending(JobState.QUARANTINED, f"the input ends every worker: {cause}")
    if isinstance(cause, ResultConflict):
        return Ending(JobState.QUARANTINED, str(cause))
    reason = str(cause) if is_ours(cause) else f"a defect: {type(cause).__name__}"
    most = ORTHANC_TRIES if isinstance(cause, OrthancFailed) else MAX_TRIES
    if tries < most:
        return Ending(again, f"{reason}; try {tries + 1} of {most} follows", _pause_s(tries))
    return Ending(JobState.FAILED, reason)


def _pause_s(tries: int) -> float:
    """Before the next try, after so many."""
    return min(BACKOFF_S * 4.0 ** max(tries - 1, 0), LONGEST_PAUSE_S)


def _healing(cause: BaseException) -> tuple[str, float] | None:
    """What is said of an error that heals by itself, and how long is waited for that; None for any other one."""
    for kind, pause_s in PAUSES_S.items():
        if isinstance(cause, kind):
            return f"{cause}; tried again later", pause_s
    return ("the disk is full; tried again when there is room", DISK_PAUSE_S) if _is_full(cause) else None


def last_cause(error: BaseException) -> BaseException:
    """The error itself; of a step that was tried again and again, its last one."""
    tries = getattr(error, "errors", None)  # DBOS keeps them, in a class that it does not export
    return tries[-1] if isinstance(tries, list | tuple) and tries else error


def is_ours(error: BaseException) -> bool:
    """Whether an error's words are our own: foreign ones may quote a patient's name."""
    return isinstance(last_cause(error), NodeError)


def _is_full(error: BaseException) -> bool:
    return any(isinstance(one, OSError) and one.errno in {errno.ENOSPC, errno.EDQUOT} for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
