"""Audit: looks at the sources of published jobs in turn, for changes that nobody told of.

Orthanc's change log knows no deletions. Its plugin tells of them, but not of those before it started, in a database
that was restored, or while it was killed; and of a series that was forgotten the intake does not know the instances.
What went unnoticed is found here, late but surely.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mapnode.errors import words_of
from mapnode.jobs.spec import identity_of
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records.job_states import ACTIVE, RETRIED

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mapnode.intake.intake import Intake
    from mapnode.intake.source import SourceReader
    from mapnode.jobs.spec import JobSpec
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
        self,
        reader: SourceReader,
        records: Records,
        tell: Callable[[Callable[[Intake], None]], None],
        withdraw: Callable[[str, str], None],
    ) -> None:
        """Bind it to a node.

        Args:
            reader: Reads series from Orthanc.
            records: Which jobs there are.
            tell: Has something done in the intake's own thread.
            withdraw: Called with a job whose results are to be taken out of use, and the reason.
        """
        self._reader = reader
        self._jobs = records.jobs
        self._tell = tell
        self._withdraw = withdraw
        self._told: dict[str, str | None] = {}

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
                seq = job.seq
            except (OrthancUnreachable, SQLAlchemyError):
                stop.wait(FAILED_S)
                continue
            stop.wait(max(PAUSE_S, IDLE * (time.monotonic() - started)))

    def _look(self, job: JobRecord) -> None:
        """Look at one job; one that cannot be looked at keeps nobody from the others.

        Raises:
            OrthancUnreachable: If Orthanc does not answer: it is looked at again.
            SQLAlchemyError: If the records do not.
        """
        try:
            self._compare(job)
        except (OrthancUnreachable, SQLAlchemyError):
            raise
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody would hear of its end
            _log.warning("the source of job %s cannot be looked at: %s", job.id, words_of(error))

    def _compare(self, job: JobRecord) -> None:
        """Have the series of a job decided again if they are not what it was made of.

        What that brings nothing for, since no rule wants it or the same was refused before, is withdrawn in the next
        round: a result of what is no longer there must not stay in use.
        """
        now = self._present(job.spec)
        if now == job.spec.identity or self._is_left(job) or self._is_taken_up(job):
            self._told.pop(job.id, None)
            return
        if job.id in self._told and self._told[job.id] == now:
            del self._told[job.id]
            self._withdraw(job.id, "its source changed, and nothing took its place")
            return
        _log.warning("job %s is done, and nobody told of a change of its source since", job.id)
        self._told[job.id] = now
        self._tell(lambda intake: intake.audited(job.spec, "the source changed, and nobody told of it"))

    def _present(self, spec: JobSpec) -> str | None:
        """The identity that a job would have if it were made now; None where a series of it is gone."""
        series = [self._reader.series(one) for one in spec.series_ids]
        if None in series:
            return None
        return identity_of(spec, [digest for one in series if one is not None for digest in one.digests])

    def _is_left(self, job: JobRecord) -> bool:
        """Whether Orthanc has nothing of the study: an older or empty database, where there is nothing to withdraw."""
        return not self._reader.client.lookup(job.spec.study_instance_uid)

    def _is_taken_up(self, job: JobRecord) -> bool:
        """Whether another job of the rule is about what there is now: it supersedes this one, or waits for somebody."""
        others = self._jobs.of_subject(job.subject, ACTIVE | RETRIED)
        return any(
            one.spec.rule == job.spec.rule and self._present(one.spec) == one.spec.identity
            for one in others
            if one.id != job.id
        )
