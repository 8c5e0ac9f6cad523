"""Burst: many studies at once over several associations: is each done once, and how long until the last result."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.observer import found_at
from benchmarks.sender import send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.turnaround_runs import Courier, Ours
    from benchmarks.turnaround_series import FreshSeries
    from mapnode.pacs.orthanc_client import OrthancClient

LONGEST_S = 1800.0
POLL_S = 0.25


@dataclass(frozen=True)
class Burst:
    """What a burst took.

    Attributes:
        studies: How many were sent.
        seconds: From the first C-STORE request to the last SEG and SR.
        wrong: Studies that have not exactly one SEG and one SR, or not exactly one job that is done.
    """

    studies: int
    seconds: float
    wrong: int

    def scaled_s(self, studies: int, quiet_s: float) -> float:
        """What so many studies would take: the quiet time once, the rest in proportion."""
        return quiet_s + (self.seconds - quiet_s) * studies / self.studies


def burst(
    template: Sequence[Path], client: OrthancClient, port: int, courier: Courier, studies: int, associations: int
) -> tuple[Burst, list[FreshSeries]]:
    """Send studies over so many associations at a time, and wait for all results."""
    series = [courier.make(template) for _ in range(studies)]
    begun = time.time()
    with ThreadPoolExecutor(associations) as senders:
        list(senders.map(lambda one: send(one.files, port), series))
    ends = [found_at(client, one.study_instance_uid, LONGEST_S, POLL_S) for one in series]
    for one in series:
        one.remove()
    wrong = sum(_modalities(client, one) != ["CT", "SEG", "SR"] for one in series)
    return Burst(studies, max(ends) - begun, wrong), series


def jobs_that_are_wrong(ours: Ours, series: Sequence[FreshSeries]) -> int:
    """Series that have not exactly one job, which is done."""
    states: dict[str, list[str]] = {one.series_instance_uid: [] for one in series}
    for job in ours.node.ended_jobs(len(series)):
        states.get(job["series_instance_uid"], []).append(job["state"])
    return sum(found != ["done"] for found in states.values())


def _modalities(client: OrthancClient, series: FreshSeries) -> list[str]:
    (study,) = (found for found in client.lookup(series.study_instance_uid) if found.type == "Study")
    return sorted(client.series(one).tags["Modality"] for one in client.study(study.id).series_ids)
