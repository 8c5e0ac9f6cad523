"""Tables: what the node has to know after a crash, besides the steps of a running job, which DBOS keeps."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

PENDING = Table(
    "pending_series",
    METADATA,
    Column("orthanc_id", String, primary_key=True),
    Column("last_arrival", Float, nullable=False),
    Column("forced", Integer, nullable=False, default=0),
)
"""Series that grew and were not decided since; `forced`: somebody asked for them again."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("study_instance_uid", String, nullable=False, index=True),
    Column("series_instance_uid", String, nullable=False, index=True),
    Column("rule", String, nullable=False),
    Column("app", String, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("clauses", Text, nullable=False),
    Column("job_id", String),
)
"""What each rule said, the clause that decided, and the job that it led to."""

JOBS = Table(
    "jobs",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("app", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("source", String, nullable=False, default=""),
    Column("subject", String, nullable=False, index=True),
    Column("study_instance_uid", String, nullable=False, index=True),
    Column("series_instance_uid", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("tries", Integer, nullable=False, default=0),
    Column("spec", Text, nullable=False),
    Column("stored", Text, nullable=False, default="[]"),
    Column("progress", Text, nullable=False, default=""),
    # All that is asked of the jobs that wait, so that the next one is found in the index alone.
    Index("jobs_next", "state", "priority", "source", "seq", "not_before", "app"),
)
"""Every job, its state and its spec. `subject`: Orthanc's identifier of the series or study that it is about."""

HISTORY = Table(
    "history",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job_id", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("event", String, nullable=False),
    Column("seconds", Float),
    Column("detail", Text, nullable=False, default=""),
)
"""What happened to a job and why: every step with its time, every wait, start and publication with its reason."""

RESULTS = Table(
    "results",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    Column("job_id", String, nullable=False, index=True),
)
"""Objects that jobs made: a result that comes back is known by its UID, whatever happened to its header on its way."""

REJECTED = Table(
    "rejected_instances",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    Column("note_uid", String, nullable=False),
    Column("title", String, nullable=False),
)
"""Instances that a rejection note of somebody else took out of use (IHE IOCM): no input any more."""

PASSED_OVER = Table(
    "passed_over_instances",
    METADATA,
    Column("orthanc_id", String, primary_key=True),
    Column("tried_at", Float, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Instances in the change log that Orthanc could not tell of, what it said, and when it was asked last."""

SWITCHES = Table(
    "switches",
    METADATA,
    Column("name", String, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)
"""What is switched off: `jobs` (pause), `intake` (drain), `app:NAME` (kill switch of an app)."""

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("argument", Text, nullable=False),
)
"""What commands ask the running node to do; it takes them in order and removes them."""

ANSWERS = Table(
    "answers",
    METADATA,
    Column("request_id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("error", Text, nullable=False),
)
"""Why the node did not do what a command asked; gone when the command has read it."""
