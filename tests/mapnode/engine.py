"""What the tests of intake and jobs share: an Orthanc in memory over files on disk, specs, and records of a job."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from mapnode.jobs.spec import JobSpec, input_identity
from mapnode.pacs.errors import NotFound, OrthancUnreachable
from mapnode.pacs.events import InstanceEvent
from mapnode.pacs.resources import (
    Attachment,
    FoundResource,
    Instance,
    InstanceMetadata,
    Series,
    StoreOutcome,
    StoreStatus,
    Study,
    attachment_path,
)

APP = "ct_body_composition"
SERIES = "series-1"
STUDY = "study-1"
TAGS = ["SOPInstanceUID", "InstanceNumber", "SeriesInstanceUID", "StudyInstanceUID"]


class FakeOrthanc:
    """Series by identifier over a storage area; `down` says that it does not answer."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.down = False
        self.asked = 0
        self.calling_aet = "SCANNER"
        self.studies: dict[str, str] = {}
        self.held: dict[str, list[Instance]] = {}
        self.contents: dict[str, bytes] = {}
        self.uids: dict[str, list[FoundResource]] = {}

    def add(self, series_id: str, files: list[Path | bytes], study_id: str = STUDY) -> list[InstanceEvent]:
        """Hold more instances of a series; the events that tell of them."""
        return [self._keep(series_id, study_id, f if isinstance(f, bytes) else f.read_bytes()) for f in files]

    def _keep(self, series_id: str, study_id: str, content: bytes) -> InstanceEvent:
        header = dcmread(DicomBytesIO(content), specific_tags=TAGS)
        uid, number = str(header.SOPInstanceUID), str(header.get("InstanceNumber") or "")
        name, md5 = f"{series_id}-{uid[-30:]}", hashlib.md5(content, usedforsecurity=False).hexdigest()
        uuid = f"{md5[:8]}-0000-4000-8000-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        tags = {"SOPInstanceUID": uid, "InstanceNumber": number}
        self.studies[series_id] = study_id
        self.held.setdefault(series_id, []).append(
            Instance(id=name, series_id=series_id, file_size=len(content), file_uuid=uuid, tags=tags)
        )
        self.contents[name] = content
        self.uids.setdefault(uid, []).append(FoundResource(id=name, type="Instance", path=f"/instances/{name}"))
        path = attachment_path(uuid, self.storage)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return InstanceEvent(
            id=name, at=0.0, series_id=series_id, sop_instance_uid=uid, file_uuid=uuid, md5=md5,
            calling_aet=self.calling_aet, called_aet="MAPNODE",
        )  # fmt: skip

    def remove(self, series_id: str, count: int | None = None) -> list[str]:
        """Lose a series, or its last instances; their identifiers."""
        kept = [] if count is None else self.held[series_id][:-count]
        gone = self.held[series_id][len(kept) :]
        self.held[series_id] = kept
        for instance in gone:
            del self.uids[instance.sop_instance_uid]
        if not kept:
            del self.held[series_id]
        return [instance.id for instance in gone]

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise OrthancUnreachable("http://127.0.0.1:8042", "ConnectError")

    def _one(self, instance_id: str) -> Instance:
        self._ask()
        for instance in (one for instances in self.held.values() for one in instances):
            if instance.id == instance_id:
                return instance
        raise NotFound(f"GET /instances/{instance_id}", 404, "Unknown resource")

    def series(self, series_id: str) -> Series:
        ids = tuple(instance.id for instance in self.series_instances(series_id))
        return Series(id=series_id, study_id=self.studies[series_id], instance_ids=ids, tags={})

    def series_instances(self, series_id: str) -> list[Instance]:
        self._ask()
        if series_id not in self.held:
            raise NotFound("GET /series", 404, "Unknown resource")
        return list(self.held[series_id])

    def study(self, study_id: str) -> Study:
        self._ask()
        ids = tuple(one for one in self.held if self.studies[one] == study_id)
        if not ids:
            raise NotFound("GET /studies", 404, "Unknown resource")
        return Study(id=study_id, patient_id="p", series_ids=ids, tags={}, patient_tags={})

    def instance(self, instance_id: str) -> Instance:
        return self._one(instance_id)

    def instance_metadata(self, instance_id: str) -> InstanceMetadata:
        self._one(instance_id)
        return InstanceMetadata(remote_aet=self.calling_aet, called_aet="MAPNODE")

    def attachment(self, instance_id: str) -> Attachment:
        instance, size = self._one(instance_id), len(self.contents[instance_id])
        md5 = hashlib.md5(self.contents[instance_id], usedforsecurity=False).hexdigest()
        return Attachment(uuid=instance.file_uuid, size=size, stored_size=size, md5=md5, stored_md5=md5)

    def instance_file(self, instance_id: str) -> bytes:
        self._ask()
        return self.contents[instance_id]

    def lookup(self, uid: str) -> list[FoundResource]:
        self._ask()
        return list(self.uids.get(uid, []))

    def store(self, content: bytes) -> StoreOutcome:
        """Results go into a series of their own each."""
        self._ask()
        uid = str(dcmread(DicomBytesIO(content), specific_tags=TAGS).SOPInstanceUID)
        if uid in self.uids:
            return StoreOutcome(id=self.uids[uid][0].id, status=StoreStatus.ALREADY_STORED)
        event = self._keep(f"results-{uid[-20:]}", STUDY, content)
        return StoreOutcome(id=event.id, status=StoreStatus.SUCCESS)


class FakeStager:
    """Decodes nothing; says what was asked of it."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.dropped: list[str] = []

    def add(self, series_id: str, _: Path) -> None:
        self.added.append(series_id)

    def drop(self, series_id: str) -> None:
        self.dropped.append(series_id)


class Clock:
    """Stands for `time` in a module; a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now


def make_spec(number: int = 0, **changed: object) -> JobSpec:
    """A spec of a job of its own."""
    values = {
        "rule": "trunk",
        "app": APP,
        "app_version": "1",
        "subject": f"series-{number}",
        "series_ids": (f"series-{number}",),
        "study_instance_uid": f"1.2.{number}",
        "series_instance_uid": f"1.2.{number}.1",
        "identity": input_identity(APP, "1", {}, {}, [(str(number), "")]),
        **changed,
    }
    return JobSpec.model_validate(values)


def add_job(records, number: int = 0, *, state=None, priority=2, source="CT1", **changed) -> str:
    """A job in the records; its identifier."""
    spec = make_spec(number, **changed)
    records.jobs.add(spec.job_id, spec, priority, source, "the rule matched")
    if state is not None:
        records.jobs.move(spec.job_id, state, "as the test wants it")
    return spec.job_id


def make_app(name: str = APP, *, gpu: int = 0, memory: str = "1Gi") -> SimpleNamespace:
    """As much of an app as the scheduler looks at."""
    return SimpleNamespace(name=name, needs=SimpleNamespace(gpu=gpu, memory=memory))
