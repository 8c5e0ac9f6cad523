"""Job states: what can become of a job.

queued -> running -> waiting -> publishing -> done
            |           '-> shadow -> publishing, cancelled
            '-> not_applicable, refused, failed, quarantined, recalled, cancelled; done -> superseded
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    """It waits for a free slot, for its hours, or for a switch."""
    RUNNING = "running"
    WAITING = "waiting"
    """Computed; its results wait until the source is known to be complete, or until nothing came for a while."""
    SHADOW = "shadow"
    """Computed by a rule in shadow mode; kept until somebody releases it, or `keep_shadow_days` are over."""
    PUBLISHING = "publishing"
    """Its results are on their way into the PACS."""
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    """Its results, or its input, must not be used; what there is lies in the quarantine with the reasons."""
    FAILED = "failed"
    RECALLED = "recalled"
    """A late instance or another change of the source came before its results went out."""
    CANCELLED = "cancelled"
    """Somebody asked for it, nobody released it, or its app stayed switched off."""
    SUPERSEDED = "superseded"
    """It was done; its results were rejected since, mostly in favour of a newer job's."""


ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.SHADOW, JobState.PUBLISHING})
"""What is still to come."""
UNPUBLISHED = ACTIVE - {JobState.PUBLISHING}
"""What can be called back without anybody outside having seen it."""
HELD_BY_SWITCH = frozenset({JobState.QUEUED, JobState.WAITING})
"""What goes no further while its app is switched off."""
RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.QUARANTINED, JobState.RECALLED})
"""What ended without results, and is begun anew on demand."""
ENDED = frozenset(JobState) - ACTIVE
