"""Taking back: ends a job before its results go out, once it is known whether any of them did."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.records import JobRecord, JobState, Records


def take_back(records: Records, client: OrthancClient, job: JobRecord, state: JobState, why: str) -> bool:
    """Take a job back, as `Jobs.take_back` does.

    What was on its way when Orthanc fell silent may have arrived: of a job that does not go on nobody would find out,
    and what is there would stay in use beside the results of its successor.

    Args:
        records: The jobs.
        client: Orthanc.
        job: The job.
        state: What becomes of it where Orthanc has nothing of it.
        why: The reason.

    Returns:
        False if it is on its way out, or has ended.

    Raises:
        OrthancUnreachable: If Orthanc does not answer; nothing has changed.
    """
    if job.is_on_its_way:
        records.jobs.stored(job.id, [_found(client, one) for one in job.stored])
        job = records.jobs.get(job.id) or job
    return records.jobs.take_back(job, state, why)


def _found(client: OrthancClient, one: dict[str, str]) -> dict[str, str]:
    """A result, with Orthanc's identifier where it is there."""
    found = [] if one["orthanc_id"] else client.lookup(one["sop_instance_uid"])
    return {**one, "orthanc_id": found[0].id, "status": "found"} if found else one
