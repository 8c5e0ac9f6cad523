"""Inputs: the instances of a job, as Orthanc has them now, and their place in the job's folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mapnode.errors import NodeError
from mapnode.jobs.spec import identity_of_job

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.intake.source import SourceReader, SourceSeries
    from mapnode.jobs.spec import JobSpec


class SourceChanged(NodeError):
    """The source is not what the job was made for: nothing of it may be stored."""


def current_input(reader: SourceReader, spec: JobSpec) -> list[SourceSeries]:
    """The series of a job as Orthanc has them now, proven to be those that it was made for.

    Args:
        reader: Reads series.
        spec: The job.

    Returns:
        The series, without instances that are out of use.

    Raises:
        SourceChanged: If an instance was added, deleted, replaced or rejected since.
    """
    found = []
    for series_id in spec.series_ids:
        series = reader.series(series_id)
        if series is None:
            raise SourceChanged("the source series is no longer in Orthanc")
        found.append(series)
    digests = [digest for series in found for digest in series.digests]
    identity = identity_of_job(spec, digests)
    if identity != spec.identity:
        raise SourceChanged("the source is not what it was when the job was made")
    return found


def place_input(reader: SourceReader, series: list[SourceSeries], folder: Path) -> int:
    """Put all instances into a folder: hard links into Orthanc's storage, else copies over REST.

    Returns:
        How many are links.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    linked = 0
    for instance in (instance for one in series for instance in one.instances):
        # Not the SOP Instance UID: senders may write anything there, a path out of the folder as well.
        target = folder / f"{instance.id}.dcm"
        try:
            target.hardlink_to(reader.path(instance))
            linked += 1
        except OSError:
            target.write_bytes(reader.client.instance_file(instance.id))
    return linked
