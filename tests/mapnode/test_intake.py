"""Intake: a series is decided once it is complete, its decision is kept, and nothing that waits is lost."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from mapnode.jobs.records import PendingSeries, Records
from pydicom import dcmread

from mapnode import intake as module
from mapnode.app_catalogue import find_app
from mapnode.intake import Intake
from mapnode.pacs.errors import NotFound, OrthancUnreachable
from mapnode.pacs.orthanc_client import Attachment, Instance, InstanceMetadata, Series
from mapnode.rules import RuleSet
from tests.builders import make_ct_series

APP = "ct_body_composition"
SETTLE_S = 2.0
SERIES = "series-1"
IS_CT = {"attribute": "Modality", "equals": "CT"}
IS_MR = {"attribute": "Modality", "equals": "MR"}


class FakeOrthanc:
    """Series by identifier, over files in a storage area; `down` and `missing` say how it fails."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.held: dict[str, list[Instance]] = {}
        self.down = False
        self.asked = 0

    def add(self, series_id: str, files: list[Path]) -> None:
        known = self.held.setdefault(series_id, [])
        for file in files:
            header = dcmread(file, stop_before_pixels=True)
            name = f"{series_id}-{len(known)}"
            known.append(
                Instance(id=name, series_id=series_id, file_size=1, tags={"SOPInstanceUID": str(header.SOPInstanceUID)})
            )
            path = self.attachment(name).path(self.storage)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read_bytes())

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise OrthancUnreachable("http://127.0.0.1:8042", "ConnectError")

    def instance(self, instance_id: str) -> Instance:
        self._ask()
        for instances in self.held.values():
            for instance in instances:
                if instance.id == instance_id:
                    return instance
        raise NotFound("GET /instances", 404, "Unknown resource")

    def series(self, series_id: str) -> Series:
        instances = self.series_instances(series_id)
        return Series(id=series_id, study_id="study", instance_ids=tuple(i.id for i in instances), tags={})

    def series_instances(self, series_id: str) -> list[Instance]:
        self._ask()
        if series_id not in self.held:
            raise NotFound("GET /series", 404, "Unknown resource")
        return list(self.held[series_id])

    def instance_metadata(self, _: str) -> InstanceMetadata:
        self._ask()
        return InstanceMetadata(remote_aet="SCANNER", called_aet="MAPNODE")

    def attachment(self, instance_id: str) -> Attachment:
        number = int(instance_id.rsplit("-", 1)[1])
        series = sorted(self.held).index(instance_id.rsplit("-", 1)[0])
        uuid = f"{number:08x}-{series:04x}-4000-8000-000000000000"
        md5 = f"{series}/{number}"
        return Attachment(uuid=uuid, size=1, stored_size=1, md5=md5, stored_md5=md5)

    def attachment_path(self, instance_id: str, storage_root: Path) -> Path:
        return self.attachment(instance_id).path(storage_root)

    def instance_file(self, instance_id: str) -> bytes:
        return self.attachment(instance_id).path(self.storage).read_bytes()


class Rounds:
    """Stands for the event that stops the intake: it is set after so many looks."""

    def __init__(self, count: int = 1) -> None:
        self.left = count

    def wait(self, _: float) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def clock(monkeypatch):
    """The time that the intake reads; tests set it."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def orthanc(tmp_path):
    orthanc = FakeOrthanc(tmp_path / "storage")
    orthanc.add(SERIES, make_ct_series(tmp_path / "source", slices=3))
    return orthanc


@pytest.fixture
def records(tmp_path):
    records = Records(tmp_path / "records.sqlite")
    yield records
    records.close()


@pytest.fixture
def jobs():
    """What was added: identifier, spec, priority."""
    return []


@pytest.fixture
def make_intake(orthanc, records, jobs, clock):
    """Makes an intake with rules; equal jobs are known the second time, as the queue knows them."""

    def make(*rules: dict) -> Intake:
        named = [{"name": f"rule_{number}", "app": APP, **rule} for number, rule in enumerate(rules)]
        rule_set = RuleSet.model_validate({"rules": named or [{"name": "ct", "app": APP, "when": [IS_CT]}]})

        def add(job, spec, priority):
            new = job not in {known for known, _, _ in jobs}
            jobs.append((job, spec, priority))
            return new

        return Intake(orthanc, orthanc.storage, records, rule_set, SETTLE_S, add)

    return make


def test_an_instance_makes_its_series_wait_from_now_on(make_intake, records, clock):
    make_intake().on_instance(f"{SERIES}-0")

    assert records.pending_series() == [PendingSeries(SERIES, clock.now)]


def test_an_instance_that_was_deleted_meanwhile_makes_nothing_wait(make_intake, records):
    make_intake().on_instance("gone-0")

    assert records.pending_series() == []


def test_an_instance_is_not_taken_while_orthanc_is_silent(make_intake, orthanc):
    orthanc.down = True

    with pytest.raises(OrthancUnreachable):
        make_intake().on_instance(f"{SERIES}-0")


def test_a_series_is_not_decided_before_the_settle_time(make_intake, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S - 0.01

    intake.run(Rounds(3))

    assert (jobs, records.decisions()) == ([], [])
    assert len(records.pending_series()) == 1


def test_a_series_is_decided_at_the_settle_time(make_intake, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S

    intake.run(Rounds(3))

    assert len(jobs) == len(records.decisions()) == 1
    assert records.pending_series() == []


def test_the_settle_time_counts_from_the_last_instance(make_intake, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S - 0.5
    intake.on_instance(f"{SERIES}-1")
    clock.now += 1.0

    intake.run(Rounds())
    too_early = list(jobs)
    clock.now += SETTLE_S
    intake.run(Rounds())

    assert too_early == []
    assert len(jobs) == 1


def test_one_series_does_not_wait_for_another(make_intake, orthanc, records, tmp_path, clock):
    orthanc.add("series-2", make_ct_series(tmp_path / "other", slices=2, uid_seed="other"))
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S
    intake.on_instance("series-2-0")

    intake.run(Rounds())

    assert [pending.orthanc_id for pending in records.pending_series()] == ["series-2"]
    assert len(records.decisions()) == 1


def test_what_waited_before_a_crash_is_decided_after_it(make_intake, records, jobs, clock):
    make_intake().on_instance(f"{SERIES}-0")
    clock.now += 3600.0

    make_intake().run(Rounds())

    assert len(jobs) == 1
    assert records.pending_series() == []


def test_a_series_that_no_rule_wants_is_recorded_with_the_clause_that_decided(make_intake, records, jobs, clock):
    make_intake({"when": [IS_CT, IS_MR]}).decide(PendingSeries(SERIES, clock.now))

    (decision,) = records.decisions()
    assert (decision.matched, decision.job_id, decision.rule, decision.app) == (False, None, "rule_0", APP)
    assert [clause["held"] for clause in decision.clauses] == [True, False]
    assert decision.clauses[-1]["met"] == "CT"
    assert "MR" in decision.clauses[-1]["text"]
    assert jobs == []


def test_a_match_adds_one_job_with_the_rules_priority_and_parameters(make_intake, orthanc, records, jobs, clock):
    header = dcmread(orthanc.attachment(f"{SERIES}-0").path(orthanc.storage))
    intake = make_intake({"when": [IS_CT], "priority": "stat", "parameters": {"strict": True}})

    intake.decide(PendingSeries(SERIES, clock.now))

    ((job, spec, priority),) = jobs
    assert priority == "stat"
    assert (spec.rule, spec.app, spec.parameters, spec.series_id) == ("rule_0", APP, {"strict": True}, SERIES)
    assert spec.app_version == find_app(APP).manifest.application.version
    assert spec.study_instance_uid == header.StudyInstanceUID
    assert spec.series_instance_uid == header.SeriesInstanceUID
    (decision,) = records.decisions(str(header.SeriesInstanceUID))
    assert (decision.matched, decision.job_id, decision.at) == (True, job, clock.now)
    assert decision.study_instance_uid == header.StudyInstanceUID


def test_every_rule_decides_and_only_those_that_match_add_jobs(make_intake, records, jobs, clock):
    other_parameters = {"when": [IS_CT], "parameters": {"strict": False}}

    make_intake({"when": [IS_CT]}, {"when": [IS_MR]}, other_parameters).decide(PendingSeries(SERIES, clock.now))

    assert [(d.rule, d.matched) for d in records.decisions()] == [("rule_0", True), ("rule_1", False), ("rule_2", True)]
    assert [spec.rule for _, spec, _ in jobs] == ["rule_0", "rule_2"]
    assert len({job for job, _, _ in jobs}) == 2


def test_rules_see_the_titles_of_the_transfer_and_the_number_of_instances(make_intake, jobs, clock):
    clauses = [
        {"fact": "calling_aet", "equals": "SCANNER"},
        {"fact": "called_aet", "equals": "MAPNODE"},
        {"fact": "instances", "range": {"min": 3, "max": 3}},
    ]

    make_intake({"when": clauses}).decide(PendingSeries(SERIES, clock.now))

    assert len(jobs) == 1


def test_the_same_series_again_is_the_same_job_and_a_grown_one_another(make_intake, orthanc, jobs, tmp_path, clock):
    intake = make_intake()
    intake.decide(PendingSeries(SERIES, clock.now))
    intake.decide(PendingSeries(SERIES, clock.now + 1))
    orthanc.add(SERIES, make_ct_series(tmp_path / "late", slices=4)[3:])

    intake.decide(PendingSeries(SERIES, clock.now + 2))

    first, second, third = (job for job, _, _ in jobs)
    assert first == second != third


def test_a_deleted_series_is_forgotten(make_intake, orthanc, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    orthanc.held.clear()
    clock.now += SETTLE_S

    intake.run(Rounds())

    assert (records.pending_series(), records.decisions(), jobs) == ([], [], [])


def test_a_series_that_lost_its_last_instance_is_forgotten(make_intake, orthanc, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    orthanc.held[SERIES] = []
    clock.now += SETTLE_S

    intake.run(Rounds())

    assert (records.pending_series(), records.decisions(), jobs) == ([], [], [])


def test_a_series_waits_while_orthanc_is_unreachable_and_is_decided_after(make_intake, orthanc, records, jobs, clock):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    (waiting,) = records.pending_series()
    clock.now += SETTLE_S
    orthanc.down = True

    intake.run(Rounds(2))
    kept = records.pending_series()
    orthanc.down = False
    intake.run(Rounds())

    assert kept == [waiting]
    assert len(jobs) == len(records.decisions()) == 1


def test_a_series_that_grows_while_it_is_decided_goes_on_waiting(make_intake, orthanc, records, clock, monkeypatch):
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S
    known = orthanc.instance_metadata

    def grow(instance_id):
        intake.on_instance(f"{SERIES}-1")
        return known(instance_id)

    monkeypatch.setattr(orthanc, "instance_metadata", grow)

    intake.run(Rounds())

    assert records.pending_series() == [PendingSeries(SERIES, clock.now)]


def test_a_series_that_cannot_be_read_keeps_nobody_else_waiting(make_intake, orthanc, records, tmp_path, clock, caplog):
    orthanc.attachment(f"{SERIES}-1").path(orthanc.storage).write_bytes(b"no DICOM")
    orthanc.add("series-2", make_ct_series(tmp_path / "other", slices=2, uid_seed="other"))
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    intake.on_instance("series-2-0")
    clock.now += SETTLE_S

    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        intake.run(Rounds())

    assert [pending.orthanc_id for pending in records.pending_series()] == [SERIES]
    assert len(records.decisions()) == 1


def test_a_series_that_cannot_be_read_is_not_tried_at_every_look(make_intake, orthanc, clock, caplog):
    orthanc.attachment(f"{SERIES}-1").path(orthanc.storage).write_bytes(b"no DICOM")
    intake = make_intake()
    intake.on_instance(f"{SERIES}-0")
    clock.now += SETTLE_S

    with caplog.at_level(logging.ERROR, logger="mapnode"):
        intake.run(Rounds(20))

    assert len(caplog.records) < 20


def test_a_decision_is_logged_without_patient_data(make_intake, clock, caplog):
    with caplog.at_level(logging.INFO, logger="mapnode"):
        make_intake().decide(PendingSeries(SERIES, clock.now))

    assert "complete with 3 instances" in caplog.text
    assert "Phantom" not in caplog.text
