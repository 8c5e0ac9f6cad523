"""Account: sent = done + refused with a reason; none lost, none twice."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset, dcmread

from mapnode.intake.source import SourceReader
from mapnode.jobs.inputs import SourceChanged, current_input
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.records import Records
from mapnode.records.job_states import ACTIVE
from tests.faults.studies import Study, digest
from tests.node_under_test import NodeUnderTest

REFUSALS = {"refused", "not_applicable", "failed", "quarantined"}
PASSED_OVER = {"recalled", "superseded"}
"""Jobs on what a study was before: another job does it."""
RESULTS = ("SEG", "SR")
STUCK_S = 420.0
"""Longer than any job is put off: where nothing has moved for so long, nothing will."""


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


def wait_for_account(node: NodeUnderTest, studies: Sequence[Study], stuck_s: float = STUCK_S) -> Account:
    """The account once no job is under way and all adds up, or once nothing has moved for long."""
    before, deadline = None, 0.0
    while True:
        jobs = node.jobs()
        states = [(job["id"], job["state"]) for job in jobs]
        if states != before:
            before, deadline = states, time.monotonic() + stuck_s
        is_late = time.monotonic() > deadline
        if is_late or not any(job["state"] in ACTIVE for job in jobs):
            try:
                account = take_account(studies, jobs, node)
            except OrthancUnreachable as error:  # the last kill was Orthanc's
                account = Account(len(studies), problems=[str(error)])
            if is_late or not account.problems:
                return account
        time.sleep(1.0)


def take_account(studies: Sequence[Study], jobs: Sequence[Mapping[str, Any]], node: NodeUnderTest) -> Account:
    """Hold what was sent against the jobs, and the jobs against what Orthanc has.

    A study is done or refused as its newest job is. Where that went to quarantine, because kill after kill met it, what
    an earlier one made of what had come until then stands.

    Args:
        studies: What was sent.
        jobs: As `mapnode jobs list` gives them, the newest first.
        node: The node, with its Orthanc.

    Returns:
        The account.
    """
    account = Account(len(studies))
    with node.client() as client:
        for study in studies:
            final = [j for j in jobs if j["study_instance_uid"] == study.uid and j["state"] not in PASSED_OVER]
            states = [job["state"] for job in final]
            found = _Found(study.uid, client)
            account.problems += check_source(study, found)
            if states == ["done"]:
                account.done += 1
                account.problems += check_results(study, final[0], found)
                account.problems += check_input(study, final[0], node, client)
            elif states[:1] and states[0] in REFUSALS and states[1:] in ([], ["done"]) and final[0]["reason"]:
                account.refused += 1
                earlier = {one["sop_instance_uid"] for job in final[1:] for one in job["stored"]}
                account.problems += [
                    f"study {study.uid}: refused, and {uid} stands" for uid in found.visible.keys() - earlier
                ]
            else:
                account.problems.append(f"study {study.uid}: {'lost' if not states else 'jobs ' + ', '.join(states)}")
    return account


class _Found:
    """What Orthanc has of a study.

    Attributes:
        images: Digest of the pixels of all other instances by SOP Instance UID.
        results: SEG and SR.
        visible: Of these, by SOP Instance UID, what no rejection note takes out of use.
    """

    def __init__(self, study: str, client: OrthancClient) -> None:
        datasets = _instances_of(study, client)
        notes = [dataset for dataset in datasets if dataset.Modality == "KO"]
        rejected = {uid for note in notes for uid in _named_by(note)}
        self.results = [dataset for dataset in datasets if dataset.Modality in RESULTS]
        self.visible = {uid_of(one): one for one in self.results if uid_of(one) not in rejected}
        self.images = {uid_of(one): digest(one.PixelData) for one in datasets if one.Modality == "CT"}


def check_source(study: Study, found: _Found) -> list[str]:
    """What was answered with success and is not there, or has other pixels than those that were sent last."""
    wanted = study.pixels()
    lost = sorted(wanted.keys() - found.images.keys())
    other = sorted(uid for uid in wanted.keys() & found.images.keys() if wanted[uid] != found.images[uid])
    return [
        *(f"study {study.uid}: {uid} was taken, and is lost" for uid in lost),
        *(f"study {study.uid}: {uid} has other pixels than were sent last" for uid in other),
    ]


def check_results(study: Study, job: Mapping[str, Any], found: _Found) -> list[str]:
    """What is wrong with the results of a study that is done."""
    of_job = {one["sop_instance_uid"] for one in job["stored"]}
    times = Counter(map(uid_of, found.results))
    problems = [f"study {study.uid}: {uid} is there twice" for uid in times if times[uid] > 1]
    modalities = sorted(str(dataset.Modality) for dataset in found.visible.values())
    if modalities != sorted(RESULTS):
        problems.append(f"study {study.uid}: visible are {modalities}")
    if found.visible.keys() != of_job:
        problems.append(f"study {study.uid}: what is visible is not what job {job['id']} stored")
    for dataset in found.visible.values():
        if dataset.Modality == "SEG":
            of = sum(len(series.ReferencedInstanceSequence) for series in dataset.ReferencedSeriesSequence)
            if of != len(study.pixels()):
                problems.append(f"study {study.uid}: the SEG is of {of} instances, {len(study.pixels())} were sent")
    return problems


def check_input(study: Study, job: Mapping[str, Any], node: NodeUnderTest, client: OrthancClient) -> list[str]:
    """Whether the results are of what Orthanc has now, pixels included."""
    records = Records(node.place.records)
    try:
        record = records.jobs.get(job["id"])
        assert record is not None
        reader = SourceReader(client, node.var / "orthanc" / "storage", records.rejections.among)
        current_input(reader, record.spec)
        reader.stop()
    except SourceChanged as error:
        return [f"study {study.uid}: job {job['id']}: {error}"]
    finally:
        records.close()
    return []


def _instances_of(study: str, client: OrthancClient) -> list[Dataset]:
    """All instances that Orthanc has of a study."""
    return [
        dcmread(io.BytesIO(client.instance_file(instance.id)))
        for resource in client.lookup(study)
        for series in client.study(resource.id).series_ids
        for instance in client.series_instances(series)
    ]


def _named_by(note: Dataset) -> list[str]:
    """SOP Instance UIDs that a rejection note names."""
    return [
        str(one.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]


def uid_of(dataset: Dataset) -> str:
    return str(dataset.SOPInstanceUID)
