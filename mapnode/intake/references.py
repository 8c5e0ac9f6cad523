"""References: the series that objects refer to, as a SEG refers to its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.core.object_checks import referenced_instances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapnode.intake.deciding import Known
    from mapnode.intake.source import SourceReader, SourceSeries


def referenced_series(reader: SourceReader, inputs: Sequence[Known]) -> list[SourceSeries]:
    """The series in Orthanc that the headers of other series refer to, without those series themselves.

    Args:
        reader: Reads series.
        inputs: Series whose headers name instances (Referenced Series Sequence, evidence, and the like).

    Returns:
        The series, each once, in the order of Orthanc's identifiers.
    """
    uids = {uid for known in inputs for header in known.headers for uid in referenced_instances(header)}
    own = {known.source.id for known in inputs}
    found: set[str] = set()
    while uids:
        series_id = _series_of(reader, uids.pop())
        if series_id is None or series_id in found:
            continue
        found.add(series_id)
        # One question for a whole series, instead of one for each of its instances.
        uids -= {instance.sop_instance_uid for instance in reader.client.series_instances(series_id)}
    series = (reader.series(series_id) for series_id in sorted(found - own))
    return [one for one in series if one is not None]


def _series_of(reader: SourceReader, sop_instance_uid: str) -> str | None:
    for resource in reader.client.lookup(sop_instance_uid):
        if resource.type == "Instance":
            return reader.client.instance(resource.id).series_id
    return None
