"""Work: the stages of a job, each harmless when it runs again."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from mapnode.app_catalogue import App, find_app
from mapnode.containers.images import MapImage
from mapnode.errors import NodeError, WrongUse
from mapnode.jobs.current_app import AppChanged, AppElsewhere, kept_result, require_on, require_unchanged
from mapnode.jobs.folders import renewed
from mapnode.jobs.inputs import current_input, place_input
from mapnode.jobs.rejecting import Title, build_note
from mapnode.pacs.resources import StoreStatus
from mapnode.records import JobState
from mapnode.records.job_states import ENDED
from mapnode.records.jobs import REJECTED
from mapnode.results.check import check_files, identity_of
from operators.core.contract import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mapnode.app_catalogue import Runnable
    from mapnode.containers.runner import ContainerRunner, Containers
    from mapnode.intake.source import SourceReader
    from mapnode.jobs.spec import JobSpec
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.records import JobRecord, Records
    from mapnode.runners.warm import AppWorkers, WarmWorkers
    from operators.core.contract import Output, Progress

PROGRESS_S = 0.5
"""An app's progress is kept so often at most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What the stages work with.

    Attributes:
        reader: Orthanc, and its storage area, from which instances are linked.
        records: Jobs and what became of them.
        folder: The node's folder (var).
        workers: Warm workers.
        timeout_s: Longest time of a run.
        timeouts_s: The same for single apps.
        models: Folders of weights by the apps' names.
        containers: Runs container images, where the node may run some.
        require_lease: Raises where this process was given up and another one does its jobs.
        is_node: Whether this is the node's process, and no further worker's.
        stage_of: Folder with slices of a series that were decoded beforehand, where there is one.
        on_end: Called when a workflow ended: somebody may wait for that.
    """

    reader: SourceReader
    records: Records
    folder: Path
    workers: WarmWorkers
    timeout_s: float
    timeouts_s: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    containers: Containers | None = None
    require_lease: Callable[[], None] = lambda: None
    is_node: bool = True
    stage_of: Callable[[str], Path | None] = lambda _: None
    on_end: Callable[[], None] = lambda: None

    @property
    def client(self) -> OrthancClient:
        """Orthanc."""
        return self.reader.client

    def job_folder(self, job: str) -> Path:
        """Where a job's input and output lie."""
        return self.folder / "jobs" / job

    def runnable(self, spec: JobSpec) -> Runnable:
        """What a job runs.

        Raises:
            WrongUse: If it is not there, or must not be run.
        """
        if not spec.image:
            return find_app(spec.app, self.models)
        if self.containers is None:
            raise WrongUse(f"no container image may run here, and the job is one of {spec.app}")
        return self.containers.images.find(spec.app)

    def record(self, job: str) -> JobRecord:
        """A job.

        Raises:
            NodeError: If the records do not have it.
        """
        found = self.records.jobs.get(job)
        if found is None:
            raise NodeError(f"job {job} is not in the records")
        return found


class Recalled(NodeError):
    """The job was called back or cancelled: nothing more is to be done."""


def stage(place: Workplace, job: str) -> dict[str, int]:
    """Put the instances into the job's folder.

    Returns:
        How many there are, and how many are links.

    Raises:
        Recalled: If the job was called back meanwhile.
        SourceChanged: If the source is not what the job was made for.
    """
    _require_running(place, job)
    series = current_input(place.reader, place.record(job).spec)
    with renewed(place.job_folder(job), "input", place.require_lease) as folder:
        linked = place_input(place.reader, series, folder)
    return {
        "instances": sum(len(one.instances) for one in series),
        "linked": linked,
    }


def run(place: Workplace, job: str) -> dict[str, Any]:
    """Run the app on the staged instances in its warm worker, or its container.

    Returns:
        What its result.json says.

    Raises:
        Recalled: If the job was called back meanwhile.
        AppChanged: If app or reference set are others than the job was made for.
        AppElsewhere: If that is so in a worker.
        WorkerLost: If the worker died or took too long.
    """
    _require_running(place, job)
    record = place.record(job)
    spec = record.spec
    app = _what_is_run(place, spec)
    if (kept := kept_result(place, app, record)) is not None:
        return kept
    stage_folder = place.stage_of(spec.series_ids[0]) if len(spec.series_ids) == 1 else None
    order = Job(
        identity=spec.identity,
        predecessor=spec.predecessor,
        # A value of the job: a replay, however late, gives identical bytes.
        clock=datetime.datetime.fromtimestamp(record.created_at).replace(microsecond=0),
        parameters=spec.parameters,
        objects=spec.objects,
        staged=None if stage_folder is None else str(stage_folder),
        reference=None if app.reference_file is None else str(app.reference_file.resolve()),
    )
    with renewed(place.job_folder(job), "output", place.require_lease) as output:
        result = _runner(place, app, job).run(
            place.job_folder(job) / "input",
            output,
            order,
            timeout_s=place.timeouts_s.get(spec.app, place.timeout_s),
            on_progress=_Progress(place.records, job),
            cancelled=lambda: place.records.jobs.state(job) is not JobState.RUNNING,
        )
    dumped: dict[str, Any] = result.model_dump(mode="json", by_alias=True)
    return dumped


def _what_is_run(place: Workplace, spec: JobSpec) -> Runnable:
    """What a job was made for.

    Raises:
        AppChanged: If the node has something else now.
        WrongUse: If it has nothing of that name.
        AppElsewhere: If one of these holds for a worker: what it called back the node would decide as before, without
            end.
    """
    try:
        app = place.runnable(spec)
        require_unchanged(app, spec)
    except (AppChanged, WrongUse) as error:
        if place.is_node:
            raise
        raise AppElsewhere(f"a worker cannot do it, start it again as the node is now: {error}") from error
    return app


def _runner(place: Workplace, app: Runnable, job: str) -> AppWorkers | ContainerRunner:
    """Who runs it."""
    if isinstance(app, App):
        return place.workers.of(app)
    assert place.containers is not None
    assert isinstance(app, MapImage)
    return place.containers.of(app, job, place.job_folder(job))


def _require_running(place: Workplace, job: str) -> None:
    """The job is still to be done: what it made before must not be touched when it was called back or has gone on.

    Raises:
        Recalled: If it is not.
    """
    if place.records.jobs.state(job) is not JobState.RUNNING:
        raise Recalled(f"job {job} does not run any more")


class _Progress:
    """Keeps what an app says, not too often."""

    def __init__(self, records: Records, job: str) -> None:
        self._records = records
        self._job = job
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= PROGRESS_S:
            self._last = now
            said = f"{progress.operator} {progress.fraction:.0%} {progress.message}".strip()
            # A full disk is no reason to end a run: it says the next word in a moment.
            with contextlib.suppress(SQLAlchemyError):
                self._records.jobs.progress(self._job, said)


def check(place: Workplace, job: str, result: Result) -> list[str]:
    """Hold the results against the input that they were made of.

    Returns:
        What speaks against storing them; empty if nothing does.
    """
    headers = place.reader.headers_in(place.job_folder(job) / "input")
    made = place.runnable(place.record(job).spec).outputs
    dicom = [output for output in result.outputs if output.sop_instance_uid is not None]
    return check_files(place.job_folder(job) / "output", dicom, made, identity_of(headers))


def confirm(place: Workplace, job: str) -> None:
    """The source is still what the results were made of.

    Raises:
        SourceChanged: If it is not.
    """
    current_input(place.reader, place.record(job).spec)


def store(place: Workplace, job: str) -> list[dict[str, str]]:
    """Put the DICOM results into Orthanc.

    Returns:
        Orthanc's identifier and answer for each.

    Raises:
        ResultConflict: If Orthanc holds another object under the UID of a result.
        AppOff: If the app was switched off since they began to go out, and none is out.
        LeaseLost: If this process was given up, and another one does this.
        Recalled: If they do not go out any more.
    """
    record = place.record(job)
    if not record.is_out:
        require_on(record.spec.app, place.records.switches.all())
    output = place.job_folder(job) / "output"
    result = Result.model_validate_json((output / "result.json").read_text(encoding="utf-8"))
    dicom = [one for one in result.outputs if one.sop_instance_uid is not None]
    contents = {one.path: (output / one.path).read_bytes() for one in dicom}
    place.require_lease()
    place.records.jobs.made(job, [str(one.sop_instance_uid) for one in dicom])
    # All are looked up before the first is stored: of results that belong together none goes in alone.
    for one in dicom:
        for found in place.client.lookup(str(one.sop_instance_uid)):
            _require_equal(place, found.id, one, contents[one.path])
    # Kept before the first goes out: whatever ends this, it is known what may have to be rejected.
    stored = [_stored(one, "", "on its way") for one in dicom]
    _keep(place, job, stored)
    for number, one in enumerate(dicom):
        place.require_lease()
        outcome = place.client.store(contents[one.path])
        if outcome.status is StoreStatus.ALREADY_STORED:
            _require_equal(place, outcome.id, one, contents[one.path])
        stored[number] = _stored(one, outcome.id, outcome.status)
        _keep(place, job, stored)
    return stored


def _keep(place: Workplace, job: str, stored: list[dict[str, str]]) -> None:
    """Keep where results are that go out.

    Raises:
        Recalled: If they do not go out any more: this process was given up and woke up, and others went on since.
    """
    if not place.records.jobs.stored(job, stored, only_from={JobState.PUBLISHING}):
        raise Recalled(f"the results of job {job} do not go out any more")


def _stored(one: Output, orthanc_id: str, status: str) -> dict[str, str]:
    """A result's place in Orthanc, as the records keep it."""
    uid = str(one.sop_instance_uid)
    return {"path": one.path, "orthanc_id": orthanc_id, "sop_instance_uid": uid, "status": str(status)}


def reject_replaced(place: Workplace, job: str, why: str) -> None:
    """Take the published results out of use that a job stands in the place of.

    What was made of another series or study of Orthanc's, whose images have gone over into this one, names a patient or
    study that was corrected since.
    """
    spec = place.record(job).spec
    for earlier in spec.replaces:
        record = place.record(earlier)
        if record.is_in_use:
            is_corrected = record.spec.subject != spec.subject
            reject(place, earlier, why, Title.PATIENT_SAFETY if is_corrected else Title.QUALITY)


def reject(place: Workplace, job: str, why: str, title: Title = Title.QUALITY) -> None:
    """Take the results of an earlier job out of use: a rejection note beside them, and the job is superseded.

    Args:
        place: The node.
        job: The job whose results are to be rejected.
        why: What takes their place, or what is wrong with them.
        title: The note's title.
    """
    reject_stored(place, job, why, title)
    place.records.jobs.move(job, JobState.SUPERSEDED, why, only_from=ENDED | {JobState.PUBLISHING})


def reject_stored(place: Workplace, job: str, why: str, title: Title = Title.QUALITY) -> None:
    """Put a rejection note beside what Orthanc has of a job's results; nothing where it has none of them.

    None of them is in use after this.
    """
    record = place.record(job)
    found = [resource for one in record.stored for resource in place.client.lookup(one["sop_instance_uid"])]
    if found:
        files = [place.client.instance_file(resource.id) for resource in found]
        note = build_note(place.job_folder(job) / "rejection", files, record.spec, title, why)
        place.require_lease()
        place.records.jobs.made(job, [note.sop_instance_uid])
        place.client.store(note.content)
    place.records.jobs.stored(job, [{**one, "orthanc_id": "", "status": REJECTED} for one in record.stored])


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
    """Keep what must not be used, input and output, with the job and the reasons beside it; it is never sent.

    Returns:
        The folder.
    """
    target = place.folder / "quarantine" / job
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    folder = place.job_folder(job)
    if (folder / "output").is_dir():
        shutil.copytree(folder / "output", target, dirs_exist_ok=True)
    if (folder / "input").is_dir():
        shutil.copytree(folder / "input", target / "input", copy_function=_link)
    (target / "job.json").write_text(place.record(job).spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (target / "reasons.json").write_text(json.dumps(reasons, indent=2) + "\n", encoding="utf-8")
    _log.warning("job %s: kept in quarantine: %s", job, "; ".join(reasons))
    return str(target)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def clean(place: Workplace, job: str) -> None:
    """Give back the room of the staged input; the results stay."""
    shutil.rmtree(place.job_folder(job) / "input", ignore_errors=True)
