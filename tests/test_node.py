"""The node end to end: real Orthanc, real storescu, real kills."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from mapnode.pacs.errors import PacsError
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from tests.judges import dciodvfy_errors
from tests.node_under_test import NodeUnderTest, wait_for

pytestmark = pytest.mark.orthanc

APP = "ct_body_composition"


def make_study(folder: Path, seed: str = "node", *, slices: int = 12, patient_id: str = "P1") -> list[Path]:
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=slices, spacing_mm=(5.0, 3.0, 3.0)))
    return write_ct_series(
        phantom.hu, phantom.affine_lps, folder, description="axial", uid_seed=seed, patient_id=patient_id
    )


@pytest.fixture
def fresh_node(tmp_path):
    """Makes nodes in a folder of their own; whatever still runs at the end is stopped."""
    made = []

    def make(**settings) -> NodeUnderTest:
        node = NodeUnderTest(tmp_path / f"node{len(made)}", **settings)
        made.append(node)
        return node

    yield make
    for node in made:
        if node.process is not None and node.process.poll() is None:
            node.stop()
        node.end_orthanc()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = NodeUnderTest(tmp_path_factory.mktemp("shared") / "node")
    node.start()
    yield node
    assert node.stop() == 0
    node.end_orthanc()


@pytest.fixture(scope="module")
def phantom_job(node, tmp_path_factory):
    """The job of a small phantom, sent once for all tests that look at its results."""
    files = make_study(tmp_path_factory.mktemp("study"), "shared")
    assert node.send(files) == 0
    return files, node.ended_job(dcmread(files[0]).SeriesInstanceUID)


def test_a_study_that_a_scanner_sends_comes_back_as_seg_and_sr(phantom_job):
    _, job = phantom_job
    assert (job["state"], job["app"]) == ("done", APP)
    assert [step["name"] for step in job["steps"]] == ["stage", "run", "check", "confirm", "store", "reject"]
    assert [(s["path"], s["status"]) for s in job["stored"]] == [("seg.dcm", "Success"), ("sr.dcm", "Success")]


def test_results_are_found_by_c_find_in_the_source_study(node, phantom_job, tmp_path):
    _, job = phantom_job
    command = [
        "findscu", "-S", "-aet", "VIEWER", "-aec", "MAPNODE", "-X", "-od", str(tmp_path),
        "-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={job['study_instance_uid']}",
        "-k", "Modality", "-k", "SeriesInstanceUID", "127.0.0.1", str(node.dicom_port),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(dcmread(path).Modality for path in tmp_path.iterdir()) == ["CT", "SEG", "SR"]


def test_results_are_fetched_by_c_get_and_are_valid(node, phantom_job, tmp_path):
    _, job = phantom_job
    command = [
        "getscu", "-S", "-aet", "VIEWER", "-aec", "MAPNODE", "-od", str(tmp_path),
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={job['study_instance_uid']}",
        "127.0.0.1", str(node.dicom_port),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    results = [path for path in tmp_path.iterdir() if dcmread(path).Modality in {"SEG", "SR"}]
    assert len(results) == 2
    assert [dciodvfy_errors(path) for path in results] == [[], []]


def test_results_are_fetched_by_c_move(node, phantom_job, tmp_path):
    _, job = phantom_job
    command = [
        "movescu", "-S", "-aet", "VIEWER", "-aec", "MAPNODE", "-aem", "VIEWER", "+P", str(node.receiver_port),
        "-od", str(tmp_path), "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={job['study_instance_uid']}", "127.0.0.1", str(node.dicom_port),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert {"SEG", "SR"} <= {dcmread(path).Modality for path in tmp_path.iterdir()}


def test_results_are_fetched_by_wado_rs_and_equal_what_the_app_wrote(node, phantom_job):
    _, job = phantom_job
    written = node.var / "jobs" / job["id"] / "output"
    credentials = json.loads((node.var / "orthanc" / "credentials.json").read_text())
    for name in ("seg.dcm", "sr.dcm"):
        result = dcmread(written / name)
        url = (
            f"http://127.0.0.1:{node.http_port}/dicom-web/studies/{result.StudyInstanceUID}"
            f"/series/{result.SeriesInstanceUID}/instances/{result.SOPInstanceUID}"
        )
        answer = httpx.get(url, auth=(credentials["user"], credentials["password"]), headers={
            "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'
        })  # fmt: skip
        assert answer.status_code == 200
        assert (written / name).read_bytes() in answer.content


def test_results_of_the_node_equal_those_of_mapnode_run(node, phantom_job, tmp_path):
    files, job = phantom_job
    written = node.var / "jobs" / job["id"] / "output"
    result = json.loads((written / "result.json").read_text())
    order = {"identity": result["identity"], "clock": result["clock"]}
    done = subprocess.run(
        [sys.executable, "-m", "mapnode", "run", APP, files[0].parent, tmp_path],
        env={**os.environ, "MAPNODE_JOB": json.dumps(order)},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    for name in ("seg.dcm", "sr.dcm", "key_image.png"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes(), name


def test_what_the_node_wrote_triggers_nothing(node, phantom_job):
    _, job = phantom_job
    for name in ("seg.dcm", "sr.dcm"):
        result = dcmread(node.var / "jobs" / job["id"] / "output" / name)
        (decision,) = node.decisions(result.SeriesInstanceUID)
        assert not decision.matched
        assert decision.job_id is None
        assert "not written by mapnode itself" in decision.clauses[-1]["text"]


def test_the_same_study_twice_gives_one_result(node, phantom_job):
    files, job = phantom_job
    before = len(node.jobs())
    assert node.send(files) == 0
    time.sleep(2.0)  # longer than the settle time: a second job would be there
    assert len(node.jobs()) == before
    assert node.command("jobs", "show", job["id"])["state"] == "done"


def test_the_right_series_of_a_study_is_chosen(node, tmp_path):
    axial = make_study(tmp_path / "axial", "several", slices=14, patient_id="P2")
    study = dcmread(axial[0]).StudyInstanceUID
    other = []
    for path in make_study(tmp_path / "scout", "several scout", slices=3, patient_id="P2"):
        dataset = dcmread(path)
        dataset.StudyInstanceUID, dataset.ImageType = study, ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.save_as(path)
        other.append(path)
    assert node.send([*other, *axial]) == 0
    node.ended_job(dcmread(axial[0]).SeriesInstanceUID)
    assert len([job for job in node.jobs() if job["study_instance_uid"] == study]) == 1
    scout = dcmread(other[0]).SeriesInstanceUID
    (decision,) = node.decisions(scout)
    assert decision.clauses[-1] == {"text": "instances range min 10", "held": False, "met": "3"}


def test_a_study_without_ct_makes_no_job_and_its_decision_is_recorded(node, shared_data):
    before = len(node.jobs())
    files = [p for p in sorted((shared_data / "odd_two_slices").iterdir()) if p.suffix not in {".md", ".json"}]
    assert node.send(files) == 0
    (decision,) = node.decisions(dcmread(files[0]).SeriesInstanceUID)
    assert (decision.matched, decision.clauses[-1]["met"]) == (False, "MR")
    assert len(node.jobs()) == before


@pytest.mark.parametrize("folder", ["ct_totalseg_nifti_full/dicom", "ct_totalseg_repaired"])
def test_real_ct_is_measured(node, shared_data, folder):
    files = [p for p in sorted((shared_data / folder).iterdir()) if p.suffix in {".dcm", ""}]
    uid = dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID
    assert node.send(files) == 0
    job = node.ended_job(uid)
    assert job["state"] == "done", job["reason"]
    output = node.var / "jobs" / job["id"] / "output"
    assert [dciodvfy_errors(output / name) for name in ("seg.dcm", "sr.dcm")] == [[], []]


def test_a_head_study_ends_as_not_applicable_with_its_reason(node, shared_data):
    files = [p for p in sorted((shared_data / "ct_study_philips_phantom").rglob("*")) if p.is_file() and not p.suffix]
    assert node.send(files) == 0

    def ended():
        return [job for job in node.jobs() if job["state"] == "not_applicable"]

    (job,) = wait_for(ended, 120, "the head study's job")
    assert "body part is BRAIN" in job["reason"]


def test_an_unknown_sender_and_a_wrong_called_title_are_refused(node, phantom_job):
    files, _ = phantom_job
    assert node.send(files, aet="STRANGER") != 0
    assert node.send(files, called="OTHER") != 0


def test_other_pixels_under_a_known_uid_replace_the_first_and_the_result(node, tmp_path):
    files = make_study(tmp_path / "study", "other pixels")
    assert node.send(files) == 0
    job = node.ended_job(dcmread(files[0]).SeriesInstanceUID)
    dataset = dcmread(files[0])
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(tmp_path / "other.dcm")
    node.send([tmp_path / "other.dcm"])
    wait_for(lambda: "with other content" in node.log, 10, "the report")
    assert dataset.SOPInstanceUID in node.log
    wait_for(lambda: node.command("jobs", "show", job["id"])["state"] == "superseded", 60, "the result to be rejected")
    with node.client() as client:
        (found,) = client.lookup(dataset.SOPInstanceUID)
        kept = dcmread(io.BytesIO(client.instance_file(found.id)))
    assert kept.PixelData == dataset.PixelData


def test_status_shows_the_node_and_its_parts(node, phantom_job):
    document = node.command("status")
    assert document["node"]["state"] == "running"
    assert document["orthanc"]["dicom_port"] == node.dicom_port
    assert document["orthanc"]["aet"] == "MAPNODE"
    assert document["workers"][0]["app"] == APP
    assert document["queues"][0]["jobs"]["done"] >= 1
    assert document["disk"]["free_bytes"] > 0


def test_a_second_node_on_the_same_folder_is_refused(node):
    command = [sys.executable, "-m", "mapnode", "up", "--config", node.config]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "another node runs on" in done.stderr


def test_a_port_in_use_is_refused_before_anything_starts(node, fresh_node):
    other = fresh_node()
    other.config.write_text(other.config.read_text().replace(str(other.dicom_port), str(node.dicom_port)))
    command = [sys.executable, "-m", "mapnode", "up", "--config", other.config]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"{node.dicom_port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_patient_name_is_in_the_log(node, phantom_job):
    files, _ = phantom_job
    assert str(dcmread(files[0]).PatientName) not in node.log


def test_without_the_plugin_studies_are_found_all_the_same(fresh_node, tmp_path):
    node = fresh_node(plugin=False)
    node.start()
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = node.ended_jobs()
    assert job["state"] == "done"


def test_a_worker_killed_in_the_middle_is_replaced_and_the_job_is_done(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    files = make_study(tmp_path / "study", slices=60)
    worker = node.wait_until_warm()
    assert node.send(files) == 0
    # A process that dies between two runs is replaced in silence: the app has to have said something.
    wait_for(lambda: [j for j in node.jobs() if j["state"] == "running" and j["progress"]], 30, "the app to run")
    os.kill(worker["pid"], signal.SIGKILL)
    (job,) = node.ended_jobs()
    assert job["state"] == "done", job["reason"]
    assert [step["state"] for step in job["steps"] if step["name"] == "run"] == ["failed", "done"]
    assert node.command("status")["workers"][0]["pid"] != worker["pid"]


def test_a_node_killed_while_a_job_runs_gives_one_result_after_its_restart(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    assert node.send(make_study(tmp_path / "study", slices=40)) == 0
    wait_for(lambda: [j for j in node.jobs() if j["state"] == "running"], 30, "the job to run")
    node.kill()
    node.start()
    (job,) = node.ended_jobs()
    assert job["state"] == "done", job["reason"]
    with node.client() as client:
        (study,) = client.lookup(job["study_instance_uid"])
        assert len(client.study(study.id).series_ids) == 3


def test_a_node_stopped_while_a_job_runs_finishes_it_after_its_restart(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    assert node.send(make_study(tmp_path / "study", slices=40)) == 0
    wait_for(lambda: [j for j in node.jobs() if [s["name"] for s in j["steps"]] == ["stage"]], 30, "the app to run")
    assert node.stop() == 0
    node.start()
    (job,) = node.ended_jobs()
    assert job["state"] == "done", job["reason"]


def test_a_change_log_behind_our_position_is_read_again_and_nothing_runs_twice(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    assert node.send(make_study(tmp_path / "one", "one")) == 0
    node.ended_jobs()
    assert node.stop() == 0
    position = node.var / "position.json"
    position.write_text(json.dumps({**json.loads(position.read_text()), "seq": 1_000_000}))
    node.start()
    assert node.send(make_study(tmp_path / "two", "two")) == 0
    jobs = node.ended_jobs(2)
    assert [job["state"] for job in jobs] == ["done", "done"]
    assert "reading Orthanc's change log from its beginning" in node.log


def test_orthanc_receives_while_the_node_is_dead_and_the_node_catches_up(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    node.kill()
    assert node.send(make_study(tmp_path / "study")) == 0
    node.start()
    (job,) = node.ended_jobs()
    assert job["state"] == "done", job["reason"]


def test_an_orthanc_that_dies_is_started_again_and_nothing_is_lost(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    files = make_study(tmp_path / "study")
    assert node.send(files[:6]) == 0
    os.kill(node.orthanc_pid(), signal.SIGKILL)
    wait_for(lambda: node.send(files[6:]) == 0, 120, "Orthanc to receive again")
    wait_for(lambda: [j for j in node.jobs() if j["state"] == "done"], 60, f"the job: {node.log}")
    assert "starting it again" in node.log


def test_other_pixels_that_were_answered_for_just_before_orthanc_was_killed_are_not_lost(fresh_node, tmp_path):
    node = fresh_node()
    node.start()
    files = make_study(tmp_path / "study", slices=60)
    assert node.send(files) == 0
    others, pixels = [], {}
    for file in files:
        dataset = dcmread(file)
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(tmp_path / file.name)
        others.append(tmp_path / file.name)
        pixels[str(dataset.SOPInstanceUID)] = dataset.PixelData
    assert node.send(others) == 0
    os.kill(node.orthanc_pid(), signal.SIGKILL)

    def stored() -> dict[str, bytes]:
        with node.client() as client:
            found = [one.id for uid in pixels for one in client.lookup(uid)]
            datasets = [dcmread(io.BytesIO(client.instance_file(name))) for name in found]
        return {str(dataset.SOPInstanceUID): dataset.PixelData for dataset in datasets}

    def is_in_place() -> bool:
        try:
            return stored() == pixels
        except PacsError:  # Orthanc starts, or an instance is being replaced
            return False

    wait_for(is_in_place, 120, f"all slices to be replaced: {node.log}")
    assert "starting it again" in node.log


def test_nothing_is_stored_of_a_series_that_was_deleted_meanwhile(fresh_node, tmp_path):
    node = fresh_node(publish_quiet_s=600.0)
    node.start()
    assert node.send(make_study(tmp_path / "study", slices=40)) == 0
    wait_for(lambda: [j for j in node.jobs() if j["state"] == "waiting"], 60, "the results to wait")
    credentials = json.loads((node.var / "orthanc" / "credentials.json").read_text())
    (job,) = node.jobs()
    with node.client() as client:
        (series,) = client.lookup(job["series_instance_uid"])
    url = f"http://127.0.0.1:{node.http_port}/series/{series.id}"
    assert httpx.delete(url, auth=(credentials["user"], credentials["password"])).status_code == 200
    (job,) = node.ended_jobs()
    assert job["state"] == "recalled"
    assert job["reason"] == "instances were deleted or replaced"
    with node.client() as client:
        assert client.lookup(job["study_instance_uid"]) == []
