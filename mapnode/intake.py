"""Intake: from instances that arrive to jobs: which series grew, which are complete, what the rules say of them."""

from __future__ import annotations

import logging
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from mapnode.app_catalogue import find_app
from mapnode.errors import NodeError
from mapnode.jobs.records import DecisionRecord
from mapnode.jobs.spec import JobSpec, job_id
from mapnode.pacs.errors import NotFound, OrthancUnreachable
from mapnode.pacs.headers import read_header
from mapnode.rules import decide, facts_from_headers
from operators.core.header import PARSE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from mapnode.jobs.records import PendingSeries, Records
    from mapnode.pacs.orthanc_client import Instance, OrthancClient, Series
    from mapnode.rules import Decision, RuleSet, SeriesFacts
    from operators.core.contract import ObjectKind

PAUSE_S = 0.05
"""Between two looks at the series that wait."""
RETRY_S = 30.0
"""After this a series that could not be decided is tried again; it waits in the records meanwhile."""

_log = logging.getLogger(__name__)


class Intake:
    """Turns new instances into decisions and jobs.

    A series counts as complete when nothing arrived for it for the settle time. What waits is stored: an instance
    that was told before a crash is decided after it.
    """

    def __init__(
        self,
        client: OrthancClient,
        storage: Path,
        records: Records,
        rules: RuleSet,
        settle_s: float,
        add_job: Callable[[str, JobSpec, str], bool],
        objects: Mapping[ObjectKind, bool | str] = MappingProxyType({}),
    ) -> None:
        """Bind it to a node.

        Args:
            client: Orthanc.
            storage: Orthanc's storage area.
            records: What waits, and what was decided.
            rules: Which app runs on which series.
            settle_s: The settle time.
            add_job: Takes a job's identifier, spec and priority; says whether it is new.
            objects: Which objects apps make, those that make them.
        """
        self._objects = objects
        self._client = client
        self._storage = storage
        self._records = records
        self._rules = rules
        self._settle_s = settle_s
        self._add_job = add_job
        self._not_before: dict[str, float] = {}

    def on_instance(self, instance_id: str) -> None:
        """An instance is in Orthanc: its series waits from now on."""
        try:
            series_id = self._client.instance(instance_id).series_id
        except NotFound:
            return  # deleted meanwhile
        self._records.series_grew(series_id, time.time())

    def run(self, stop: threading.Event) -> None:
        """Decide series as they become complete, until told to stop."""
        while not stop.wait(PAUSE_S):
            for pending in self._records.pending_series():
                if self._may_decide(pending) and not self._try(pending):
                    break

    def _may_decide(self, pending: PendingSeries) -> bool:
        """Whether a series has settled, and was not found undecidable a moment ago."""
        now = time.time()
        settled = now - pending.last_arrival >= self._settle_s
        return settled and now >= self._not_before.get(pending.orthanc_id, 0.0)

    def _try(self, pending: PendingSeries) -> bool:
        """Decide a series; False if Orthanc does not answer, who follows the change log has said so."""
        try:
            self.decide(pending)
        except OrthancUnreachable:
            return False
        except Exception as error:  # noqa: BLE001 - the intake's loop: one series must never end it for all others
            _log.error("series %s could not be decided, trying again in %g s: %s", pending.orthanc_id, RETRY_S, error)
            self._not_before[pending.orthanc_id] = time.time() + RETRY_S
        else:
            self._not_before.pop(pending.orthanc_id, None)
        return True

    def decide(self, pending: PendingSeries) -> None:
        """Ask the rules about a series, store what they say, add the jobs."""
        try:
            series = self._client.series(pending.orthanc_id)
            instances = self._client.series_instances(pending.orthanc_id)
        except NotFound:
            instances = []
        if not instances:
            self._records.series_settled(pending, [])
            return
        facts = self._facts(instances)
        decisions = decide(self._rules, facts)
        records = [self._record(decision, facts, series, instances) for decision in decisions]
        self._records.series_settled(pending, records)
        _log.info(
            "series %s complete with %d instances: %s",
            facts.series_instance_uid,
            facts.instances,
            ", ".join(r.app for r in records if r.matched) or "no rule matches",
        )

    def _facts(self, instances: Sequence[Instance]) -> SeriesFacts:
        """What the rules may know: headers from Orthanc's storage, AE titles from the transfer."""
        metadata = self._client.instance_metadata(instances[0].id)
        return facts_from_headers(
            [self._header(instance) for instance in instances],
            calling_aet=metadata.remote_aet,
            called_aet=metadata.called_aet,
            attributes=self._rules.attributes,
        )

    def _header(self, instance: Instance) -> Dataset:
        """The header of an instance.

        Raises:
            NodeError: If its file cannot be read.
        """
        try:
            return read_header(self._client, self._storage, instance.id)
        except PARSE_ERRORS as error:
            raise NodeError(f"instance {instance.sop_instance_uid} cannot be read: {type(error).__name__}") from error

    def _record(
        self, decision: Decision, facts: SeriesFacts, series: Series, instances: Sequence[Instance]
    ) -> DecisionRecord:
        job = self._add(decision, facts, series, instances) if decision.matched else None
        return DecisionRecord(
            at=time.time(),
            study_instance_uid=facts.study_instance_uid,
            series_instance_uid=facts.series_instance_uid,
            rule=decision.rule,
            app=decision.app,
            matched=decision.matched,
            clauses=[vars(clause) for clause in decision.clauses],
            job_id=job,
        )

    def _add(self, decision: Decision, facts: SeriesFacts, series: Series, instances: Sequence[Instance]) -> str:
        manifest = find_app(decision.app).manifest
        made = {part.kind for part in manifest.mapnode.outputs}
        spec = JobSpec(
            rule=decision.rule,
            app=decision.app,
            app_version=manifest.application.version,
            parameters=decision.parameters,
            objects={kind: choice for kind, choice in self._objects.items() if kind in made},
            series_id=series.id,
            study_instance_uid=facts.study_instance_uid,
            series_instance_uid=facts.series_instance_uid,
        )
        job = job_id(spec, [(i.sop_instance_uid, self._client.attachment(i.id).md5) for i in instances])
        if not self._add_job(job, spec, decision.priority):
            _log.info("job %s is known: the same input does not run twice", job)
        return job
