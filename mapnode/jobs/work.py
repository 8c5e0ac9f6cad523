"""Work: the stages of a job, each harmless when it runs again."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread

from mapnode.app_catalogue import find_app
from mapnode.errors import NodeError
from mapnode.pacs.errors import CompressedAttachment, NotFound
from mapnode.pacs.headers import read_header
from mapnode.pacs.orthanc_client import StoreStatus
from mapnode.results.check import check_results, identity_of
from operators.core.contract import Job, Output, Result

if TYPE_CHECKING:
    from mapnode.jobs.spec import JobSpec
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.runners.warm import WarmWorkers

SOURCE_GONE = "the source series is no longer in Orthanc"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What the stages work with.

    Attributes:
        client: Orthanc.
        storage: Orthanc's storage area, from which instances are linked.
        folder: The node's folder (var).
        workers: Warm workers.
        timeout_s: Longest time of a run.
    """

    client: OrthancClient
    storage: Path
    folder: Path
    workers: WarmWorkers
    timeout_s: float

    def job_folder(self, job: str) -> Path:
        """Where a job's input and output lie."""
        return self.folder / "jobs" / job


def stage(place: Workplace, job: str, spec: JobSpec) -> dict[str, Any]:
    """Put the instances of the series into the job's folder: hard links into Orthanc's storage, else copies.

    Returns:
        SOP Instance UIDs, how they were placed, and the job's clock: a value that is stored with the job, so that
        a replay gives identical bytes.

    Raises:
        NodeError: If the series is gone.
    """
    folder = place.job_folder(job) / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    instances = place.client.series_instances(spec.series_id)
    linked = 0
    for instance in instances:
        target = folder / f"{instance.sop_instance_uid}.dcm"
        try:
            target.hardlink_to(place.client.attachment_path(instance.id, place.storage))
            linked += 1
        except (CompressedAttachment, OSError):
            target.write_bytes(place.client.instance_file(instance.id))
    return {
        "instances": sorted(instance.sop_instance_uid for instance in instances),
        "linked": linked,
        "clock": datetime.datetime.now().replace(microsecond=0).isoformat(),
    }


def run(place: Workplace, job: str, spec: JobSpec, staged: dict[str, Any]) -> dict[str, Any]:
    """Run the app on the staged instances in its warm worker.

    Returns:
        What its result.json says.

    Raises:
        WorkerLost: If the worker died or took too long.
    """
    output = place.job_folder(job) / "output"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    order = Job(clock=staged["clock"], parameters=spec.parameters, objects=spec.objects)
    worker = place.workers.of(find_app(spec.app))
    result = worker.run(place.job_folder(job) / "input", output, order, timeout_s=place.timeout_s)
    return result.model_dump(mode="json", by_alias=True)


def check(place: Workplace, job: str, spec: JobSpec, staged: dict[str, Any], result: Result) -> list[str]:
    """Hold the results against the source as Orthanc has it now.

    Returns:
        What speaks against storing them; empty if nothing does.
    """
    try:
        current = place.client.series_instances(spec.series_id)
        if not current:
            return [SOURCE_GONE]
        if sorted(instance.sop_instance_uid for instance in current) != staged["instances"]:
            return ["the source series changed while the app ran"]
        headers = [read_header(place.client, place.storage, instance.id) for instance in current]
    except NotFound:
        return [SOURCE_GONE]
    output = place.job_folder(job) / "output"
    objects = [dcmread(output / o.path) for o in result.outputs if o.sop_instance_uid is not None]
    return check_results(objects, identity_of(headers))


def store(place: Workplace, job: str, result: Result) -> list[dict[str, str]]:
    """Put the DICOM results into Orthanc.

    Returns:
        Orthanc's identifier and answer for each.

    Raises:
        ResultConflict: If Orthanc holds another object under the UID of a result.
    """
    output = place.job_folder(job) / "output"
    contents = {o.path: (output / o.path).read_bytes() for o in result.outputs if o.sop_instance_uid is not None}
    # All are looked up before the first is stored: of results that belong together none goes in alone.
    for one in result.outputs:
        if one.sop_instance_uid is not None:
            for found in place.client.lookup(one.sop_instance_uid):
                _require_equal(place, found.id, one, contents[one.path])
    stored = []
    for one in result.outputs:
        if one.sop_instance_uid is None:
            continue
        outcome = place.client.store(contents[one.path])
        if outcome.status is StoreStatus.ALREADY_STORED:
            _require_equal(place, outcome.id, one, contents[one.path])
        stored.append({"path": one.path, "orthanc_id": outcome.id, "status": outcome.status})
    return stored


def _require_equal(place: Workplace, orthanc_id: str, one: Output, content: bytes) -> None:
    """What Orthanc holds under a result's UID is that result.

    Raises:
        ResultConflict: If it is something else.
    """
    if hashlib.sha256(place.client.instance_file(orthanc_id)).digest() != hashlib.sha256(content).digest():
        raise ResultConflict(f"Orthanc holds another object under the UID {one.sop_instance_uid} of {one.path}")


class ResultConflict(NodeError):
    """Orthanc holds another object under the UID of a result: nothing is overwritten."""


def quarantine(place: Workplace, job: str, reasons: list[str]) -> str:
    """Keep results that must not be stored, with the reasons beside them; they are never sent.

    Returns:
        The folder.
    """
    target = place.folder / "quarantine" / job
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(place.job_folder(job) / "output", target)
    (target / "reasons.json").write_text(json.dumps(reasons, indent=2) + "\n", encoding="utf-8")
    _log.warning("job %s: results kept in quarantine: %s", job, "; ".join(reasons))
    return str(target)


def clean(place: Workplace, job: str) -> None:
    """Give back the room of the staged input; the results stay."""
    shutil.rmtree(place.job_folder(job) / "input", ignore_errors=True)
