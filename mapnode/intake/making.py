"""Making: from what a rule wants to a job: which attempt it is, what it replaces, what it calls back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mapnode.intake.deciding import identified, next_attempt
from mapnode.jobs.taking_back import take_back
from mapnode.records import JobState
from mapnode.records.job_states import ACTIVE, ENDED, UNPUBLISHED

if TYPE_CHECKING:
    from mapnode.intake.deciding import Known
    from mapnode.intake.source import SourceReader, SourceSeries
    from mapnode.jobs.spec import JobSpec
    from mapnode.records import JobRecord, Records
    from mapnode.rules import Decision

PRIORITIES = {"stat": 1, "routine": 2, "research": 3}

_log = logging.getLogger(__name__)


class JobMaker:
    """Makes jobs."""

    def __init__(self, reader: SourceReader, records: Records) -> None:
        """Bind it to a node.

        Args:
            reader: Reads series from Orthanc.
            records: Which jobs there are.
        """
        self._reader = reader
        self._records = records

    def make(
        self, spec: JobSpec, decision: Decision, source: SourceSeries, calling_aet: str, *, forced: bool
    ) -> tuple[str, bool]:
        """Make a job, unless it is known; what it replaces goes with it.

        Args:
            spec: The job, as the rules want it.
            decision: What the rule said.
            source: The series that came to rest.
            calling_aet: Its sender.
            forced: Somebody asked for it: known input runs once more.

        Returns:
            The job's identifier, and whether it is new.
        """
        jobs = self._records.jobs
        spec = self._attempt(spec, source, forced=forced)
        self._recall_others(spec)
        uid = spec.series_instance_uid if spec.subject == source.id else spec.study_instance_uid
        found = [job for job in jobs.of_rule(spec.rule, uid, ENDED) if job.is_in_use and job.id != spec.job_id]
        same = [job for job in found if job.subject == spec.subject]
        earlier = [job for job in found if job in same or self._is_gone(job)]
        spec = spec.model_copy(
            update={
                "predecessor": same[-1].spec.identity if same else None,
                "replaces": tuple(job.id for job in earlier),
            }
        )
        reason = f"rule {spec.rule}: {decision.decided_by}"
        is_new = jobs.add(spec.job_id, spec, PRIORITIES[decision.priority], calling_aet, reason)
        if not is_new:
            _log.info("job %s is known: the same input does not run twice", spec.job_id)
            self._restore(spec.job_id)
        return spec.job_id, is_new

    def stale(self, decision: Decision, found: Known) -> list[str]:
        """Published jobs on a series that changed since, so that their rule matches it no more."""
        if decision.matched:
            return []
        jobs = self._records.jobs.of_rule(decision.rule, found.facts.series_instance_uid, {JobState.DONE})
        return [
            job.id
            for job in jobs
            if job.spec.series_ids == (found.source.id,)
            and identified(job.spec, found.source.digests).identity != job.spec.identity
        ]

    def _is_gone(self, job: JobRecord) -> bool:
        """Whether nothing is left of what a job was made of: its UIDs live on under a corrected patient.

        What is there is a copy, for research perhaps, and its results are as good as they were.
        """
        return all(self._reader.series(one) is None for one in job.spec.series_ids)

    def _restore(self, job_id: str) -> None:
        """Bring back results that Orthanc lost, as a restored backup does: the same bytes, or made once more.

        Not what somebody rejected: an archive deletes that after a while, and nobody is to see it again.
        """
        job = self._records.jobs.get(job_id)
        if job is None or job.state is not JobState.DONE:
            return
        lookup = self._reader.client.lookup
        uids = [one["sop_instance_uid"] for one in job.stored]
        if all(lookup(uid) for uid in uids) or self._records.rejections.among(uids):
            return
        why = "its results are no longer in Orthanc; made again"
        self._records.jobs.move(job_id, JobState.QUEUED, why, only_from={JobState.DONE}, not_before=0.0)

    def _recall_others(self, spec: JobSpec) -> None:
        """Call back unpublished jobs of the same rule on the same subject: they were about another input."""
        for job in self._records.jobs.of_subject(spec.subject, UNPUBLISHED):
            if job.spec.rule == spec.rule and job.id != spec.job_id:
                why = "the rule now applies to another input"
                take_back(self._records, self._reader.client, job, JobState.RECALLED, why)

    def _attempt(self, spec: JobSpec, source: SourceSeries, *, forced: bool) -> JobSpec:
        """The first attempt that was not taken back; the next one where somebody asks for it, or asked and it runs."""
        digests = self._digests(spec, source)
        while (after := next_attempt(spec, digests, self._records.jobs.get(spec.job_id), forced=forced)) is not spec:
            spec, forced = after, False
        further = identified(spec.model_copy(update={"attempt": spec.attempt + 1}), digests)
        return further if self._records.jobs.state(further.job_id) in ACTIVE else spec

    def _digests(self, spec: JobSpec, source: SourceSeries) -> list[tuple[str, str]]:
        if spec.series_ids == (source.id,):
            return source.digests
        series = (self._reader.series(one) for one in spec.series_ids)
        return [digest for one in series if one is not None for digest in one.digests]
