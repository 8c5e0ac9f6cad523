"""Publisher: when the results of a job go out: when its source is known to be complete, or nothing came for a while."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mapnode.intake.commitment import vouched
from mapnode.intake.completeness import Verdict, may_publish
from mapnode.records import JobState
from mapnode.records.switches import app_switch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mapnode.intake.arrivals import SeriesArrivals
    from mapnode.intake.completeness import Patience
    from mapnode.records import JobRecord, Records
    from mapnode.rules.schema import Mode

AT_ONCE = 4
"""Jobs that are on their way out at the same time."""

HELD = {"shadow": "in shadow mode", "off": "off"}

_log = logging.getLogger(__name__)


class Publisher:
    """Looks at the jobs that wait, and lets go out what may."""

    def __init__(
        self,
        records: Records,
        series: Mapping[str, SeriesArrivals],
        patience: Patience,
        study_quiet_s: Callable[[str], float | None],
        mode_of: Callable[[str], Mode | None],
        publish: Callable[[JobRecord, int], None],
    ) -> None:
        """Bind it to a node.

        Args:
            records: The jobs.
            series: What is known of arrivals, by Orthanc's identifier.
            patience: How long to wait for what.
            study_quiet_s: Silence that a rule asks of a whole study; None for rules about series.
            mode_of: The mode of a rule as it is now; None for rules that are gone.
            publish: Begins to publish a job, for the how manieth time.
        """
        self._records = records
        self._series = series
        self._patience = patience
        self._study_quiet_s = study_quiet_s
        self._mode_of = mode_of
        self._publish = publish
        self._said: dict[str, str] = {}

    def tick(self) -> int:
        """Let go out what may; how many jobs that were."""
        waiting = self._records.jobs.in_states({JobState.WAITING})
        self._said = {job.id: self._said[job.id] for job in waiting if job.id in self._said}
        free = AT_ONCE - len(self._records.jobs.in_states({JobState.PUBLISHING})) if waiting else 0
        released = 0
        killed = self._records.switches.all() if waiting else {}
        for job in waiting:
            if released >= free:
                break
            if not job.is_due(time.time()) or self._hold(job):
                continue
            verdict = self._verdict(job, killed)
            if verdict.now:
                released += self.release(job, verdict.reason)
            elif self._said.get(job.id) != verdict.reason:
                self._said[job.id] = verdict.reason
                self._records.jobs.note(job.id, "wait", verdict.reason)
        return released

    def release(self, job: JobRecord, reason: str) -> bool:
        """Let a job's results go out; False where it was called back meanwhile."""
        only_from = {JobState.WAITING, JobState.SHADOW}
        if not self._records.jobs.move(job.id, JobState.PUBLISHING, reason, only_from=only_from):
            return False
        self._publish(job, self.times_published(job.id))
        _log.info("job %s: its results go out, %s", job.id, reason)
        return True

    def times_published(self, job: str) -> int:
        """How often a job's results began to go out."""
        return self._records.jobs.times_in(job, JobState.PUBLISHING)

    def _hold(self, job: JobRecord) -> bool:
        """Whether a job's rule is live no more, as it was when the job was made: somebody has to release it then.

        What began to go out goes on: it was released, or a part of it is out.
        """
        mode = self._mode_of(job.spec.rule)
        if mode in {None, "live"} or job.spec.mode != "live" or self.times_published(job.id):
            return False
        reason = f"the rule is {HELD[mode]} now: `mapnode jobs release` publishes it"
        return self._records.jobs.move(job.id, JobState.SHADOW, reason, only_from={JobState.WAITING})

    def _verdict(self, job: JobRecord, switches: Mapping[str, str]) -> Verdict:
        """Whether all series of a job are complete, as far as anybody can know, and its app is trusted."""
        if (switch := app_switch(job.spec.app)) in switches:
            return Verdict(now=False, reason=f"{job.spec.app} is switched off: {switches[switch]}")
        study_quiet_s = self._study_quiet_s(job.spec.rule)
        if study_quiet_s is not None:
            return self._study_verdict(job, study_quiet_s)
        verdicts = [self._series_verdict(self._series[one]) for one in job.spec.series_ids if one in self._series]
        late = [verdict for verdict in verdicts if not verdict.now]
        return (late or verdicts or [Verdict(now=True, reason="nothing is known to come")])[0]

    def _series_verdict(self, series: SeriesArrivals) -> Verdict:
        if series.is_moving:
            return Verdict(now=False, reason="the series changed and is looked at again")
        said = [*series.corroborations, *vouched(series)]
        return may_publish(series.looked, time.monotonic() - series.last, said, self._patience)

    def _study_verdict(self, job: JobRecord, quiet_s: float) -> Verdict:
        """A study has no end of its own: nothing may have come for it for so long."""
        of_study = [s for s in self._series.values() if s.study_id in {job.subject, ""}]
        if any(series.is_moving and not series.is_unreadable for series in of_study):
            return Verdict(now=False, reason="a series of the study, or one of which nobody knows yet, is arriving")
        quiet = time.monotonic() - max((s.last for s in of_study), default=0.0)
        if quiet >= quiet_s:
            return Verdict(now=True, reason=f"nothing came for the study for {quiet_s:g} s")
        return Verdict(now=False, reason=f"waits until nothing came for the study for {quiet_s:g} s")
