"""Deciding: from a series, or from the series of a study, to decisions and specs of jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mapnode.app_catalogue import find_app
from mapnode.containers.images import Images
from mapnode.errors import NodeError
from mapnode.intake.references import referenced_series
from mapnode.jobs.spec import JobSpec, identity_of
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records import DecisionRecord, JobState
from mapnode.rules import Decision, decide, decide_study, facts_from_headers, wrote_by_node
from mapnode.rules.evaluate import ClauseOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from mapnode.app_catalogue import Runnable
    from mapnode.intake.source import SourceReader, SourceSeries
    from mapnode.records import JobRecord, Records
    from mapnode.rules import Rule, RuleSet, SeriesFacts
    from operators.core.contract import ObjectKind

FROM_ELSEWHERE = "another mapnode"
"""Stands for the rules that led to a result of a node that is not this one."""
TAKEN_BACK = frozenset({JobState.SUPERSEDED, JobState.RECALLED})
"""Whoever sends the same input again after this means it."""


@dataclass(frozen=True)
class Known:
    """A series with what rules may know of it.

    Attributes:
        source: Its instances.
        headers: Their headers.
        facts: What rules may know.
    """

    source: SourceSeries
    headers: Sequence[Dataset] = field(repr=False)
    facts: SeriesFacts


@dataclass(frozen=True)
class NoJobYet:
    """Stands for the job of a rule that matched, where none can be made at the moment.

    Attributes:
        why: The reason.
    """

    why: str


Follows: TypeAlias = "JobSpec | NoJobYet | None"
"""The job that follows from a decision; None where the rule does not match."""


@dataclass(frozen=True)
class Outlook:
    """A series that seems to rest, and what series rules say of it: what follows if nothing more comes.

    Attributes:
        at: When that was, monotonic seconds.
        calling_aet: AE title of its sender, empty where nobody knows.
        found: The series.
        decided: Decisions of series rules, each with the job that follows.
    """

    at: float
    calling_aet: str
    found: Known
    decided: Sequence[tuple[Decision, Follows]]

    @property
    def apps(self) -> set[str]:
        """Names of the apps that would run."""
        return {spec.app for _, spec in self.decided if isinstance(spec, JobSpec)}


class Decider:
    """Asks the rules, and says what jobs follow."""

    def __init__(
        self,
        reader: SourceReader,
        records: Records,
        rules: RuleSet,
        objects: Mapping[ObjectKind, bool | str],
        max_chain_depth: int,
        models: Mapping[str, Path] | None = None,
        images: Images | None = None,
    ) -> None:
        """Bind it to a node.

        Args:
            reader: Reads series.
            records: Which jobs there were.
            rules: Which app runs on which series.
            objects: Which objects apps make, those that make them.
            max_chain_depth: How many rules may lead from one to the next.
            models: Folders of weights by the apps' names.
            images: The container images that may run.
        """
        self._reader = reader
        self._records = records
        self._rules = rules
        self._objects = objects
        self._max_depth = max_chain_depth
        self._models = models or {}
        self._images = images or Images({}, None)

    def know(self, source: SourceSeries, calling_aet: str, called_aet: str) -> Known:
        """Read what the rules may know of a series."""
        headers = self._reader.headers(source)
        maker = self._records.jobs.maker_of([i.sop_instance_uid for i in source.instances])
        own = maker is not None or any(map(wrote_by_node, headers))
        chain = () if not own else (FROM_ELSEWHERE,) if maker is None else maker.spec.chain
        facts = facts_from_headers(
            headers,
            calling_aet=calling_aet,
            called_aet=called_aet,
            own_result=own,
            chain=chain,
            attributes=self._rules.attributes,
        )
        return Known(source, headers, facts)

    def decide_series(self, known: Known) -> list[tuple[Decision, Follows]]:
        """What the series rules say of a series, each with the job that follows."""
        return [self._with_job(decision, known.source.id, [known]) for decision in decide(self._rules, known.facts)]

    @property
    def study_rules(self) -> list[Rule]:
        """The rules that are about studies."""
        return [rule for rule in self._rules.rules if rule.study is not None and rule.mode != "off"]

    def decide_study(self, rule: Rule, study_id: str, series: Sequence[Known]) -> tuple[Decision, Follows]:
        """What a study rule says of the series of a study, with the job that follows."""
        decision, met = decide_study(rule, [known.facts for known in series])
        wanted = {facts.series_instance_uid for facts in met}
        inputs = [known for known in series if known.facts.series_instance_uid in wanted]
        # The same order whichever series came to rest last.
        return self._with_job(decision, study_id, sorted(inputs, key=lambda known: known.facts.series_instance_uid))

    def _with_job(self, decision: Decision, subject: str, inputs: Sequence[Known]) -> tuple[Decision, Follows]:
        """A decision with the job that follows. What is wrong with one rule's app keeps no other rule from its job.

        Raises:
            OrthancUnreachable: If Orthanc does not answer: nothing can be decided then.
        """
        if not decision.matched:
            return decision, None
        chain = max((known.facts.chain for known in inputs), key=len)
        if len(chain) >= self._max_depth:
            text = f"at most {self._max_depth} rules lead from one to the next (max_chain_depth)"
            return Decision.of(self._rule(decision.rule), (ClauseOutcome(text, False, " > ".join(chain)),)), None
        try:
            return decision, self._spec(decision, subject, inputs, (*chain, decision.rule))
        except OrthancUnreachable:
            raise
        except NodeError as error:
            return decision, NoJobYet(str(error))

    def _spec(self, decision: Decision, subject: str, inputs: Sequence[Known], chain: tuple[str, ...]) -> JobSpec:
        rule = self._rule(decision.rule)
        image = None if rule.image is None else self._images.find(rule.image)
        app: Runnable = image or find_app(decision.app, self._models)
        series = [known.source for known in inputs]
        if rule.with_sources:
            series += referenced_series(self._reader, inputs)
        spec = JobSpec(
            rule=rule.name,
            app=app.name,
            app_version=app.version,
            model_digest=app.model_digest,
            image="" if image is None else image.digest,
            parameters=decision.parameters,
            objects={kind: choice for kind, choice in self._objects.items() if kind in app.choices},
            reference=app.reference_digest,
            mode=rule.mode,
            subject=subject,
            series_ids=tuple(one.id for one in series),
            study_instance_uid=inputs[0].facts.study_instance_uid,
            series_instance_uid=inputs[0].facts.series_instance_uid,
            identity="0" * 64,
            chain=chain,
        )
        return identified(spec, [digest for one in series for digest in one.digests])

    def _rule(self, name: str) -> Rule:
        return next(rule for rule in self._rules.rules if rule.name == name)


def identified(spec: JobSpec, digests: Sequence[tuple[str, str]]) -> JobSpec:
    """A spec with the identity that belongs to its input and attempt."""
    return spec.model_copy(update={"identity": identity_of(spec, digests)})


def next_attempt(
    spec: JobSpec, digests: Sequence[tuple[str, str]], known: JobRecord | None, *, forced: bool
) -> JobSpec:
    """The spec of a job that was run before: a further attempt where that makes sense, else the same.

    Args:
        spec: The job, as often as it was tried already.
        digests: Of its input.
        known: The job of that identity.
        forced: Somebody asked for it.
    """
    if known is None or not (forced or known.state in TAKEN_BACK):
        return spec
    return identified(spec.model_copy(update={"attempt": spec.attempt + 1}), digests)


def record_of(decision: Decision, known: Known, job: str | None) -> DecisionRecord:
    """A decision as it is kept."""
    return DecisionRecord(
        at=time.time(),
        study_instance_uid=known.facts.study_instance_uid,
        series_instance_uid=known.facts.series_instance_uid,
        rule=decision.rule,
        app=decision.app,
        matched=decision.matched,
        clauses=[vars(clause) for clause in decision.clauses],
        job_id=job,
    )
