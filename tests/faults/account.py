"""Account: sent = done + refused with a reason; none lost, none twice."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset, dcmread

from mapnode.pacs.orthanc_client import OrthancClient

REFUSALS = {"refused", "not_applicable", "failed", "quarantined"}
PASSED_OVER = {"recalled", "superseded"}
"""Jobs on a study of which not all had come: another job does it."""
RESULTS = ("SEG", "SR")


@dataclass
class Account:
    """What became of the studies.

    Attributes:
        sent: Number of studies.
        done, refused: Of these.
        problems: All that does not add up, in words.
    """

    sent: int
    done: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def take_account(sent: Mapping[str, int], jobs: Sequence[Mapping[str, Any]], client: OrthancClient) -> Account:
    """Hold what was sent against the jobs, and the jobs against what Orthanc has.

    Args:
        sent: Number of instances by Study Instance UID.
        jobs: As `mapnode jobs list` gives them.
        client: Orthanc.

    Returns:
        The account.
    """
    account = Account(len(sent))
    for study, instances in sent.items():
        final = [j for j in jobs if j["study_instance_uid"] == study and j["state"] not in PASSED_OVER]
        states = [job["state"] for job in final]
        if states == ["done"]:
            account.done += 1
            account.problems += check_results(study, instances, final[0], jobs, client)
        elif len(states) == 1 and states[0] in REFUSALS and final[0]["reason"]:
            account.refused += 1
        else:
            account.problems.append(f"study {study}: {'lost' if not states else 'jobs ' + ', '.join(states)}")
    return account


def check_results(
    study: str, instances: int, job: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], client: OrthancClient
) -> list[str]:
    """What is wrong with the results of a study that is done."""
    found = results_in(study, client)
    of_job = {one["sop_instance_uid"] for one in job["stored"]}
    passed_over = {one["sop_instance_uid"] for j in jobs if j["state"] == "superseded" for one in j["stored"]}
    problems = [
        f"study {study}: {uid} is there twice" for uid, times in Counter(map(uid_of, found)).items() if times > 1
    ]
    visible = [dataset for dataset in found if uid_of(dataset) not in passed_over]
    if sorted(str(dataset.Modality) for dataset in visible) != sorted(RESULTS):
        problems.append(f"study {study}: visible are {sorted(str(d.Modality) for d in visible)}")
    if {uid_of(dataset) for dataset in visible} != of_job:
        problems.append(f"study {study}: what is visible is not what job {job['id']} stored")
    for dataset in visible:
        if dataset.Modality == "SEG":
            of = sum(len(series.ReferencedInstanceSequence) for series in dataset.ReferencedSeriesSequence)
            if of != instances:
                problems.append(f"study {study}: the SEG is of {of} instances, {instances} were sent")
    return problems


def results_in(study: str, client: OrthancClient) -> list[Dataset]:
    """All SEG and SR instances that Orthanc has of a study."""
    found = []
    for resource in client.lookup(study):
        for series in client.study(resource.id).series_ids:
            for instance in client.series_instances(series):
                dataset = dcmread(io.BytesIO(client.instance_file(instance.id)))
                if dataset.Modality in RESULTS:
                    found.append(dataset)
    return found


def uid_of(dataset: Dataset) -> str:
    return str(dataset.SOPInstanceUID)
