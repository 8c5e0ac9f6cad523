"""Jobs: what became of every job and why. The state changes here and nowhere else, each change with its reason."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from mapnode.database import upsert
from mapnode.jobs.spec import JobSpec
from mapnode.records.job_states import ACTIVE, ENDED, UNPUBLISHED, JobState
from mapnode.records.tables import HISTORY, JOBS, RESULTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection, Engine, Row, Select

LONGEST_PAUSE_S = 300.0
"""Nothing is put off for longer (mapnode/jobs/failures.py): a time beyond it stands there because the clock was set
back."""
PAGE = 500
"""Jobs that a list has where nobody says otherwise."""
DETAIL_LENGTH = 2000
REJECTED = "rejected"
"""Stands for Orthanc's answer to a result of which a rejection note says that it is out of use."""


@dataclass(frozen=True)
class JobRecord:
    """A job.

    Attributes:
        seq: In the order of creation.
        id: Its identifier.
        state: Where it is.
        reason: Why it is there.
        priority: 1 stat, 2 routine, 3 research.
        source: AE title that the study came from; empty where nobody knows.
        subject: Orthanc's identifier of the series or study that it is about.
        created_at: Seconds since the epoch.
        not_before: It is not started before this, seconds since the epoch.
        tries: How often it was started.
        spec: What it is about.
        stored: Its results in Orthanc: path, Orthanc's identifier, SOP Instance UID, answer.
        progress: What its app last said.
    """

    seq: int
    id: str
    state: JobState
    reason: str
    priority: int
    source: str
    subject: str
    created_at: float
    not_before: float
    tries: int
    spec: JobSpec
    stored: list[dict[str, str]]
    progress: str

    @property
    def last_run(self) -> str:
        """The name of the workflow that computes it, of the last time that it was started."""
        return f"{self.id}.{self.tries}"

    @property
    def is_out(self) -> bool:
        """Whether any of its results went into Orthanc and was not rejected."""
        return any(one["orthanc_id"] for one in self.stored)

    @property
    def is_on_its_way(self) -> bool:
        """Whether nobody knows of some of its results whether they went into Orthanc, which fell silent over them."""
        return any(not one["orthanc_id"] and one["status"] != REJECTED for one in self.stored)

    @property
    def is_in_use(self) -> bool:
        """Whether it was published and not superseded, wholly or in part, whatever became of it when tried again."""
        return self.state is JobState.DONE or (self.is_out and self.state in ENDED - {JobState.SUPERSEDED})

    def is_due(self, now: float) -> bool:
        """Whether it may be started at a time, seconds since the epoch."""
        return not now < self.not_before <= now + LONGEST_PAUSE_S


@dataclass(frozen=True)
class HistoryRecord:
    """One line of a job's history.

    Attributes:
        job_id: The job.
        at: When it began, seconds since the epoch.
        event: A step's name, or a state.
        seconds: How long a step took; None for what has no length.
        detail: Why, or what came of it.
    """

    job_id: str
    at: float
    event: str
    seconds: float | None
    detail: str


class Jobs:
    """All jobs."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def add(self, job: str, spec: JobSpec, priority: int, source: str, reason: str, not_before: float = 0.0) -> bool:
        """Take a job; one that is known already is not taken twice.

        Returns:
            Whether it is new.
        """
        now = time.time()
        row = {
            "id": job,
            "state": JobState.QUEUED,
            "reason": reason,
            "app": spec.app,
            "rule": spec.rule,
            "priority": priority,
            "source": source,
            "subject": spec.subject,
            "study_instance_uid": spec.study_instance_uid,
            "series_instance_uid": spec.series_instance_uid,
            "created_at": now,
            "not_before": not_before,
            "spec": spec.model_dump_json(),
        }
        with self._engine.begin() as connection:
            known = connection.execute(select(JOBS.c.seq).where(JOBS.c.id == job)).first()
            if known is not None:
                return False
            connection.execute(JOBS.insert().values(**row))
            _note(connection, job, JobState.QUEUED, None, reason, now)
        return True

    def move(
        self, job: str, state: JobState, reason: str = "", *, only_from: Collection[JobState] = (), **more: float
    ) -> bool:
        """Put a job into a state, with the reason.

        Args:
            job: The job.
            state: The new state.
            reason: Why.
            only_from: States that it may come from; any where none is named.
            more: Other columns that change with it.

        Returns:
            False if it was in another state than it may come from.
        """
        statement = update(JOBS).where(JOBS.c.id == job)
        if only_from:
            statement = statement.where(JOBS.c.state.in_(list(only_from)))
        with self._engine.begin() as connection:
            changed = connection.execute(statement.values(state=state, reason=_storable(reason), **more)).rowcount
            if changed:
                _note(connection, job, state, None, reason, time.time())
        return bool(changed)

    def take_back(self, job: JobRecord, state: JobState, why: str) -> bool:
        """End a job before its results go out; `mapnode.jobs.taking_back` finds out first whether any of them did.

        One that published before, and was to bring back what Orthanc lost or did not take, is done: whatever there is
        of its results is in use until a later job supersedes it.

        Args:
            job: The job.
            state: What becomes of any other one.
            why: The reason.

        Returns:
            False if it is on its way out, or has ended.
        """
        return self.move(job.id, JobState.DONE if job.is_out else state, why, only_from=UNPUBLISHED)

    def note(
        self, job: str, event: str, detail: str = "", *, at: float | None = None, seconds: float | None = None
    ) -> None:
        """Add a line to a job's history."""
        with self._engine.begin() as connection:
            _note(connection, job, event, seconds, detail, time.time() if at is None else at)

    def progress(self, job: str, text: str) -> None:
        """Keep what a job's app last said."""
        with self._engine.begin() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id == job).values(progress=_storable(text)))

    def stored(
        self, job: str, stored: Sequence[dict[str, str]], *, only_from: Collection[JobState] = tuple(JobState)
    ) -> bool:
        """Keep where a job's results are in Orthanc.

        Args:
            job: The job.
            stored: Path, Orthanc's identifier, SOP Instance UID and answer of each.
            only_from: States that it has to be in.

        Returns:
            False if it is in another state: nothing has changed.
        """
        statement = update(JOBS).where(JOBS.c.id == job, JOBS.c.state.in_(list(only_from)))
        with self._engine.begin() as connection:
            return bool(connection.execute(statement.values(stored=json.dumps(list(stored)))).rowcount)

    def made(self, job: str, sop_instance_uids: Iterable[str]) -> None:
        """Objects that a job made, kept before any of them leaves the node."""
        with self._engine.begin() as connection:
            for uid in sop_instance_uids:
                upsert(connection, RESULTS, {"sop_instance_uid": uid, "job_id": job}, ("sop_instance_uid",))

    def maker_of(self, sop_instance_uids: Collection[str]) -> JobRecord | None:
        """The job that made any of these objects."""
        query = select(JOBS).join(RESULTS, RESULTS.c.job_id == JOBS.c.id)
        query = query.where(RESULTS.c.sop_instance_uid.in_(list(sop_instance_uids)[:PAGE])).limit(1)
        return next(iter(self._read(query)), None)

    def get(self, job: str) -> JobRecord | None:
        """One job; None where there is none."""
        return next(iter(self._read(select(JOBS).where(JOBS.c.id == job))), None)

    def state(self, job: str) -> JobState | None:
        """Where one job is."""
        with self._engine.connect() as connection:
            found = connection.execute(select(JOBS.c.state).where(JOBS.c.id == job)).scalar_one_or_none()
        return None if found is None else JobState(found)

    def named(self, beginning: str) -> list[JobRecord]:
        """Jobs whose identifier begins so."""
        return self._read(select(JOBS).where(JOBS.c.id.startswith(beginning, autoescape=True)).limit(2))

    def of_subject(self, subject: str, states: Collection[JobState] = ACTIVE) -> list[JobRecord]:
        """Jobs on a series or study, the oldest first."""
        query = select(JOBS).where(JOBS.c.subject == subject, JOBS.c.state.in_(list(states)))
        return self._read(query.order_by(JOBS.c.seq))

    def subjects_among(self, identifiers: Collection[str], states: Collection[JobState]) -> set[str]:
        """Which of these series or studies have jobs in one of these states."""
        wanted = list(identifiers)
        found: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), PAGE):
                query = select(JOBS.c.subject).where(JOBS.c.subject.in_(wanted[start : start + PAGE]))
                found.update(connection.execute(query.where(JOBS.c.state.in_(list(states)))).scalars())
        return found

    def of_rule(self, rule: str, uid: str, states: Collection[JobState]) -> list[JobRecord]:
        """Jobs of a rule on a series, by its Series Instance UID, or on a study, the oldest first."""
        query = select(JOBS).where(JOBS.c.rule == rule, JOBS.c.state.in_(list(states)))
        query = query.where((JOBS.c.series_instance_uid == uid) | (JOBS.c.study_instance_uid == uid))
        return self._read(query.order_by(JOBS.c.seq))

    def in_states(self, states: Collection[JobState], limit: int = 100_000) -> list[JobRecord]:
        """Jobs that are in one of these states, the oldest first."""
        query = select(JOBS).where(JOBS.c.state.in_(list(states))).order_by(JOBS.c.seq).limit(limit)
        return self._read(query)

    def kept_in(self, state: JobState, since: float) -> list[JobRecord]:
        """Jobs that came into a state before a time, seconds since the epoch, and are still in it, the oldest first."""
        came = select(func.max(HISTORY.c.at)).where(HISTORY.c.job_id == JOBS.c.id, HISTORY.c.event == state)
        query = select(JOBS).where(JOBS.c.state == state, came.scalar_subquery() < since)
        return self._read(query.order_by(JOBS.c.seq))

    def series_of(self, states: Collection[JobState]) -> set[str]:
        """Orthanc's identifiers of the series that jobs in one of these states get, without reading all of each job."""
        with self._engine.connect() as connection:
            specs = connection.execute(select(JOBS.c.spec).where(JOBS.c.state.in_(list(states)))).scalars()
            return {series for spec in specs for series in json.loads(spec)["series_ids"]}

    def next_of_each_source(self, now: float, closed_apps: Collection[str]) -> list[JobRecord]:
        """Of each priority and source the oldest job that may start, the most urgent first."""
        is_due = (JOBS.c.not_before <= now) | (JOBS.c.not_before > now + LONGEST_PAUSE_S)
        ready = JOBS.c.state == JobState.QUEUED, is_due, JOBS.c.app.not_in(list(closed_apps))
        heads = select(func.min(JOBS.c.seq)).where(*ready).group_by(JOBS.c.priority, JOBS.c.source)
        return self._read(select(JOBS).where(JOBS.c.seq.in_(heads)).order_by(JOBS.c.priority, JOBS.c.seq))

    def last_done(self, before: int | None = None) -> JobRecord | None:
        """The newest published job, or the newest that is older than one, by its place in the order of creation."""
        query = select(JOBS).where(JOBS.c.state == JobState.DONE).order_by(JOBS.c.seq.desc()).limit(1)
        found = self._read(query if before is None else query.where(JOBS.c.seq < before))
        return next(iter(found), None)

    def newest(self, limit: int = PAGE, offset: int = 0) -> list[JobRecord]:
        """Jobs, the newest first."""
        return self._read(select(JOBS).order_by(JOBS.c.seq.desc()).limit(limit).offset(offset))

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        query = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        with self._engine.connect() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def counts_of(self, apps: Collection[str], states: Collection[JobState]) -> dict[str, int]:
        """Number of jobs of these apps in one of these states, by app; apps that have none are left out."""
        query = select(JOBS.c.app, func.count()).where(JOBS.c.state.in_(list(states)), JOBS.c.app.in_(list(apps)))
        with self._engine.connect() as connection:
            return {str(app): int(count) for app, count in connection.execute(query.group_by(JOBS.c.app))}

    def times_in(self, job: str, state: JobState) -> int:
        """How often a job came into a state."""
        query = select(func.count()).select_from(HISTORY).where(HISTORY.c.job_id == job, HISTORY.c.event == state)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def history(self, jobs: Sequence[str]) -> dict[str, list[HistoryRecord]]:
        """The history of jobs, the oldest line first."""
        found: dict[str, list[HistoryRecord]] = defaultdict(list)
        query = select(HISTORY).where(HISTORY.c.job_id.in_(list(jobs))).order_by(HISTORY.c.id)
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                found[row.job_id].append(HistoryRecord(row.job_id, row.at, row.event, row.seconds, row.detail))
        return found

    def _read(self, query: Select[Any]) -> list[JobRecord]:
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query)]


def _storable(text: str) -> str:
    """Text that PostgreSQL takes: it has no NUL, which an app's last words may have."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _note(connection: Connection, job: str, event: str, seconds: float | None, detail: str, at: float) -> None:
    row = {"job_id": job, "at": at, "event": event, "seconds": seconds, "detail": _storable(detail)[:DETAIL_LENGTH]}
    connection.execute(HISTORY.insert().values(**row))


def _record(row: Row[Any]) -> JobRecord:
    return JobRecord(
        seq=row.seq,
        id=row.id,
        state=JobState(row.state),
        reason=row.reason,
        priority=row.priority,
        source=row.source,
        subject=row.subject,
        created_at=row.created_at,
        not_before=row.not_before,
        tries=row.tries,
        spec=JobSpec.model_validate_json(row.spec),
        stored=json.loads(row.stored),
        progress=row.progress,
    )
