"""Work: every stage does what it says, and the same again when it runs again."""

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import dcmread

from mapnode.jobs import work
from mapnode.jobs.spec import JobSpec
from mapnode.jobs.work import ResultConflict, Workplace
from mapnode.pacs.errors import CompressedAttachment, NotFound
from mapnode.pacs.orthanc_client import Attachment, Instance, StoreOutcome, StoreStatus
from operators.core.contract import Job, Output, Result, Status
from tests.builders import make_ct_series

SPEC = JobSpec(
    rule="trunk",
    app="ct_body_composition",
    app_version="0.1.0",
    parameters={"p": 1},
    series_id="series",
    study_instance_uid="1.2",
    series_instance_uid="1.2.3",
)
JOB = "3f2a"
DONE = Result(app="toy", version="1", status=Status.DONE)


class FakeOrthanc:
    """One series on disk as Orthanc's storage area keeps it, and a list of what was stored."""

    def __init__(self, storage: Path, files: list[Path]) -> None:
        self.storage = storage
        self.gone = False
        self.instances: list[Instance] = []
        self.attachments: dict[str, Attachment] = {}
        self.contents: dict[str, bytes] = {}
        for number, file in enumerate(files):
            self._keep(number, file.read_bytes(), str(dcmread(file).SOPInstanceUID))

    def _keep(self, number: int, content: bytes, uid: str) -> None:
        name = f"instance-{number}"
        uuid = f"{number:08x}-0000-4000-8000-000000000000"
        self.instances.append(Instance(id=name, series_id="series", file_size=1, tags={"SOPInstanceUID": uid}))
        self.attachments[name] = Attachment(
            uuid=uuid, size=len(content), stored_size=len(content), md5=f"{number}", stored_md5=f"{number}"
        )
        self.contents[name] = content
        path = self.attachments[name].path(self.storage)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def compress(self, name: str) -> None:
        """Keep the file as an Orthanc with StorageCompression does: its bytes are no DICOM file."""
        squeezed = b"squeezed"
        known = self.attachments[name]
        known.path(self.storage).write_bytes(squeezed)
        self.attachments[name] = known.model_copy(update={"stored_size": len(squeezed), "stored_md5": "other"})

    def series_instances(self, series_id: str) -> list[Instance]:
        if self.gone or series_id != "series":
            raise NotFound("GET /series", 404, "Unknown resource")
        return list(self.instances)

    def attachment(self, instance_id: str) -> Attachment:
        return self.attachments[instance_id]

    def attachment_path(self, instance_id: str, storage_root: Path) -> Path:
        found = self.attachments[instance_id]
        if (found.size, found.md5) != (found.stored_size, found.stored_md5):
            raise CompressedAttachment(instance_id)
        return found.path(storage_root)

    def instance_file(self, instance_id: str) -> bytes:
        return self.contents[instance_id]

    def lookup(self, dicom_uid: str) -> list:
        return [SimpleNamespace(id=dicom_uid, type="Instance")] if dicom_uid in self.contents else []

    def store(self, content: bytes) -> StoreOutcome:
        """Results are named after their first line in these tests; the first object of a name stays."""
        name = content.split(b"\n")[0].decode()
        if name in self.contents:
            return StoreOutcome(id=name, status=StoreStatus.ALREADY_STORED)
        self.contents[name] = content
        return StoreOutcome(id=name, status=StoreStatus.SUCCESS)


@pytest.fixture
def orthanc(tmp_path):
    return FakeOrthanc(tmp_path / "storage", make_ct_series(tmp_path / "source", slices=3))


@pytest.fixture
def place(tmp_path, orthanc):
    return Workplace(orthanc, orthanc.storage, tmp_path / "var", SimpleNamespace(), timeout_s=7.0)


def write_results(place, *uids: str, text="ours") -> Result:
    """Objects in the job's output folder, named by a result."""
    output = place.job_folder(JOB) / "output"
    output.mkdir(parents=True, exist_ok=True)
    for uid in uids:
        (output / f"{uid}.dcm").write_text(f"{uid}\n{text}")
    outputs = tuple(Output(path=f"{uid}.dcm", sop_instance_uid=uid) for uid in uids)
    return DONE.model_copy(update={"outputs": outputs})


def staged_files(place) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place.job_folder(JOB) / "input").iterdir()}


def expected_files(orthanc) -> dict[str, bytes]:
    return {f"{i.sop_instance_uid}.dcm": orthanc.contents[i.id] for i in orthanc.instances}


# stage


def test_staging_links_into_the_storage_of_the_same_file_system(place, orthanc):
    staged = work.stage(place, JOB, SPEC)

    assert staged["linked"] == 3
    for instance in orthanc.instances:
        linked = place.job_folder(JOB) / "input" / f"{instance.sop_instance_uid}.dcm"
        assert linked.samefile(orthanc.attachments[instance.id].path(orthanc.storage))


def test_staging_copies_where_a_link_fails(place, orthanc, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    staged = work.stage(place, JOB, SPEC)

    assert staged["linked"] == 0
    assert staged_files(place) == expected_files(orthanc)


def test_staging_copies_what_the_storage_keeps_compressed(place, orthanc):
    orthanc.compress("instance-1")

    staged = work.stage(place, JOB, SPEC)

    assert staged["linked"] == 2
    assert staged_files(place) == expected_files(orthanc)


def test_staging_again_replaces_what_was_there(place, orthanc):
    work.stage(place, JOB, SPEC)
    (place.job_folder(JOB) / "input" / "left over.dcm").write_text("from before")
    orthanc.instances = orthanc.instances[:2]

    staged = work.stage(place, JOB, SPEC)

    assert staged_files(place) == expected_files(orthanc)
    assert len(staged["instances"]) == 2


def test_what_was_staged_names_instances_and_a_clock_of_whole_seconds(place, orthanc):
    staged = work.stage(place, JOB, SPEC)

    assert staged["instances"] == sorted(instance.sop_instance_uid for instance in orthanc.instances)
    assert datetime.fromisoformat(staged["clock"]).microsecond == 0
    assert Job(clock=staged["clock"]).clock is not None
    assert json.loads(json.dumps(staged)) == staged


def test_staging_a_series_that_is_gone_says_so(place, orthanc):
    orthanc.gone = True

    with pytest.raises(NotFound):
        work.stage(place, JOB, SPEC)


# run


def test_a_run_gets_the_staged_input_an_empty_output_and_the_jobs_clock_and_parameters(place, orthanc, tmp_path):
    asked = []

    def answer(source, target, job, *, timeout_s):
        asked.append((source, list(target.iterdir()), job, timeout_s))
        return DONE

    workers = SimpleNamespace(of=lambda app: asked.append(app.name) or SimpleNamespace(run=answer))
    place = Workplace(orthanc, orthanc.storage, tmp_path / "var", workers, timeout_s=7.0)
    write_results(place, "left.over")

    result = work.run(place, JOB, SPEC, {"clock": "2025-01-02T10:15:30"})

    order = Job(clock=datetime(2025, 1, 2, 10, 15, 30), parameters={"p": 1})
    assert asked == [SPEC.app, (place.job_folder(JOB) / "input", [], order, 7.0)]
    assert Result.model_validate(json.loads(json.dumps(result))) == DONE


# check


def test_check_passes_an_unchanged_source(place):
    staged = work.stage(place, JOB, SPEC)

    assert work.check(place, JOB, SPEC, staged, DONE) == []


def test_check_names_a_deleted_source(place, orthanc):
    staged = work.stage(place, JOB, SPEC)
    orthanc.gone = True

    assert work.check(place, JOB, SPEC, staged, DONE) == ["the source series is no longer in Orthanc"]


def test_check_names_a_source_that_is_deleted_while_it_is_read(place, orthanc, monkeypatch):
    staged = work.stage(place, JOB, SPEC)

    def gone(instance_id):
        raise NotFound(f"GET /instances/{instance_id}", 404, "Unknown resource")

    monkeypatch.setattr(orthanc, "attachment", gone)
    monkeypatch.setattr(orthanc, "attachment_path", lambda instance_id, _: gone(instance_id))
    monkeypatch.setattr(orthanc, "instance_file", gone)

    assert work.check(place, JOB, SPEC, staged, DONE) == ["the source series is no longer in Orthanc"]


@pytest.mark.parametrize("change", [lambda found: found.pop(), lambda found: found.append(found[0])])
def test_check_names_a_changed_source(place, orthanc, change):
    staged = work.stage(place, JOB, SPEC)
    change(orthanc.instances)

    assert work.check(place, JOB, SPEC, staged, DONE) == ["the source series changed while the app ran"]


def test_check_reads_a_source_that_the_storage_keeps_compressed(place, orthanc):
    staged = work.stage(place, JOB, SPEC)
    orthanc.compress("instance-1")

    assert work.check(place, JOB, SPEC, staged, DONE) == []


def test_check_finds_a_result_of_another_patient(place, orthanc):
    staged = work.stage(place, JOB, SPEC)
    stranger = dcmread(orthanc.attachments["instance-0"].path(orthanc.storage))
    stranger.PatientID = "SOMEBODY"
    result = write_results(place, "1.2.3.4")
    stranger.save_as(place.job_folder(JOB) / "output" / "1.2.3.4.dcm")

    (problem,) = work.check(place, JOB, SPEC, staged, result)

    assert "PatientID is not the source's" in problem
    assert "SOMEBODY" not in problem


# store


def test_new_results_are_stored_in_order_and_pictures_are_not(place, orthanc):
    result = write_results(place, "1.1", "1.2")
    result = result.model_copy(update={"outputs": (*result.outputs, Output(path="key_image.png"))})

    stored = work.store(place, JOB, result)

    assert stored == [
        {"path": "1.1.dcm", "orthanc_id": "1.1", "status": "Success"},
        {"path": "1.2.dcm", "orthanc_id": "1.2", "status": "Success"},
    ]
    assert (orthanc.contents["1.1"], orthanc.contents["1.2"]) == (b"1.1\nours", b"1.2\nours")


def test_storing_again_is_success(place):
    result = write_results(place, "1.1", "1.2")
    work.store(place, JOB, result)

    again = work.store(place, JOB, result)

    assert [(one["path"], one["status"]) for one in again] == [
        ("1.1.dcm", "AlreadyStored"),
        ("1.2.dcm", "AlreadyStored"),
    ]


def test_another_object_under_the_uid_of_a_result_is_a_conflict_and_stays(place, orthanc):
    orthanc.contents["1.1"] = b"1.1\nsomebody else's"
    result = write_results(place, "1.1", "1.2")

    with pytest.raises(ResultConflict, match=r"another object under the UID 1\.1"):
        work.store(place, JOB, result)

    assert orthanc.contents["1.1"] == b"1.1\nsomebody else's"
    assert "1.2" not in orthanc.contents


def test_a_conflict_leaves_nothing_in_orthanc_that_its_sentence_does_not_name(place, orthanc):
    orthanc.contents["1.2"] = b"1.2\nsomebody else's"
    result = write_results(place, "1.1", "1.2")

    with pytest.raises(ResultConflict) as conflict:
        work.store(place, JOB, result)

    assert "1.1" not in orthanc.contents or "1.1" in str(conflict.value).split()


# quarantine and clean


def test_quarantine_keeps_files_and_reasons(place):
    write_results(place, "1.1", "1.2")

    folder = Path(work.quarantine(place, JOB, ["first", "second"]))

    assert folder == place.folder / "quarantine" / JOB
    assert sorted(path.name for path in folder.iterdir()) == ["1.1.dcm", "1.2.dcm", "reasons.json"]
    assert (folder / "1.1.dcm").read_text() == "1.1\nours"
    assert json.loads((folder / "reasons.json").read_text()) == ["first", "second"]


def test_quarantine_again_replaces_what_was_there(place):
    write_results(place, "1.1")
    folder = Path(work.quarantine(place, JOB, ["first"]))
    (folder / "left over.dcm").write_text("from before")

    work.quarantine(place, JOB, ["second"])

    assert sorted(path.name for path in folder.iterdir()) == ["1.1.dcm", "reasons.json"]
    assert json.loads((folder / "reasons.json").read_text()) == ["second"]


def test_clean_removes_the_input_only_and_runs_again(place, orthanc):
    work.stage(place, JOB, SPEC)
    write_results(place, "1.1")

    work.clean(place, JOB)
    work.clean(place, JOB)

    assert [path.name for path in place.job_folder(JOB).iterdir()] == ["output"]
    assert (place.job_folder(JOB) / "output" / "1.1.dcm").is_file()
    assert all(one.path(orthanc.storage).is_file() for one in orthanc.attachments.values())
