"""Audit: looks at the sources of published jobs in turn, for changes that nobody told of.

Orthanc's change log knows no deletions. Its plugin tells of them, but not of those before it started, in a database
that was restored, or while it was killed; and of a series that was forgotten the intake does not know the instances.
What went unnoticed is found here, late but surely.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mapnode.jobs.inputs import SourceChanged, current_input
from mapnode.records import JobState

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mapnode.intake.intake import Intake
    from mapnode.intake.source import SourceReader
    from mapnode.records import JobRecord, Records

ROUND_S = 3600.0
"""A round begins so long after the one before, or when that has ended."""
PAUSE_S = 1.0
"""Shortest pause between two looks."""
IDLE = 20
"""A pause is so many times as long as the look before it: a large archive is audited for days, at 5 % of a core."""
FAILED_S = 60.0
"""Pause after a look that failed."""

_log = logging.getLogger(__name__)


class Audit:
    """Looks at published jobs, the newest first; one thread runs it."""

    def __init__(
        self, reader: SourceReader, records: Records, tell: Callable[[Callable[[Intake], None]], None]
    ) -> None:
        """Bind it to a node.

        Args:
            reader: Reads series from Orthanc.
            records: Which jobs there are.
            tell: Has something done in the intake's own thread.
        """
        self._reader = reader
        self._jobs = records.jobs
        self._tell = tell

    def run(self, stop: threading.Event) -> None:
        """Audit round after round, until told to stop."""
        while not stop.is_set():
            started = time.monotonic()
            self.round(stop)
            stop.wait(started + ROUND_S - time.monotonic())

    def round(self, stop: threading.Event) -> None:
        """Look at every published job once."""
        seq: int | None = None
        while not stop.is_set():
            started = time.monotonic()
            try:
                job = self._jobs.last_done(seq)
                if job is None:
                    return
                self._look(job)
            except Exception as error:  # noqa: BLE001 - the thread has to live: Orthanc or the database may be away
                _log.debug("the audit waits: %s", error)
                stop.wait(FAILED_S)
                continue
            seq = job.seq
            stop.wait(max(PAUSE_S, IDLE * (time.monotonic() - started)))

    def _look(self, job: JobRecord) -> None:
        """Have the series of a job decided again if they are not what it was made of, and nobody took up that yet."""
        try:
            current_input(self._reader, job.spec)
        except SourceChanged as error:
            why = str(error)
            later = self._jobs.of_subject(job.subject, frozenset(JobState))
            if not any(one.seq > job.seq and one.spec.rule == job.spec.rule for one in later):
                _log.warning("job %s is done, and nobody told of a change since: %s", job.id, why)
                self._tell(lambda intake: intake.audited(job.spec, why))
