"""The engine end to end, with a real Orthanc: late instances, superseding, shadow mode, switches, studies, chains."""

import io
import json
import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from mapnode.pacs.orthanc_configuration import load_credentials
from tests.judges import dciodvfy_errors
from tests.node_under_test import NodeUnderTest, is_followed, wait_for
from tests.test_node import make_study

pytestmark = pytest.mark.orthanc

APP = "threshold"
APPS = Path(__file__).parents[1] / "benchmarks" / "apps"
IS_CT = {"attribute": "Modality", "equals": "CT"}
RULE = {"name": "ct", "app": APP, "when": [IS_CT]}


@pytest.fixture(autouse=True)
def small_app(monkeypatch):
    """The node under test also knows the least of all apps."""
    monkeypatch.setenv("MAPNODE_APPS", str(APPS))


@pytest.fixture
def start_node(tmp_path):
    """Start a node with rules; what runs at the end is stopped."""
    made = []

    def start(*rules, **settings) -> NodeUnderTest:
        node = NodeUnderTest(tmp_path / f"node{len(made)}", rules={"rules": list(rules or [RULE])}, **settings)
        made.append(node)
        node.start()
        return node

    yield start
    for node in made:
        if node.process is not None and node.process.poll() is None:
            node.stop()
        node.end_orthanc()


def wait_for_states(node, *states, timeout_s=90):
    """The jobs, the newest first, once they are in these states; see `ended_jobs` about those that were called back."""

    def look():
        jobs = [job for job in node.jobs() if "recalled" in states or not is_followed(job)]
        return jobs if tuple(job["state"] for job in jobs) == states else None

    return wait_for(look, timeout_s, f"jobs in {states}; there are {[(j['state'], j['reason']) for j in node.jobs()]}")


def events(job):
    return [line["event"] for line in job["history"]]


def stored_objects(node, study_instance_uid, modality):
    """The objects of a modality in a study."""
    with node.client() as client:
        found = [one for one in client.lookup(study_instance_uid) if one.type == "Study"]
        datasets = [
            dcmread(io.BytesIO(client.instance_file(instance.id)))
            for study in found
            for series_id in client.study(study.id).series_ids
            for instance in client.series_instances(series_id)
        ]
    return [dataset for dataset in datasets if dataset.Modality == modality]


def delete(node, path):
    credentials = load_credentials(node.var / "orthanc")
    url = f"http://127.0.0.1:{node.http_port}{path}"
    assert httpx.delete(url, auth=(credentials.user, credentials.password)).status_code == 200


def test_every_start_wait_and_publication_stands_in_the_job_with_its_reason(start_node, tmp_path):
    node = start_node()
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "done")
    said = {line["event"]: line["detail"] for line in job["history"]}
    assert said["queued"] == "rule ct: all held"
    assert "a slot is free" in said["running"]
    assert said["waiting"] == "computed; waits until the source is complete"
    assert said["publishing"] == "nothing came for 1.5 s; nobody states a number"


def state_their_number(files):
    """Have the headers say how many images there are, as some archives do."""
    for path in files:
        dataset = dcmread(path)
        dataset.NumberOfSeriesRelatedInstances = len(files)
        dataset.save_as(path)
    return files


def test_a_series_that_states_its_number_is_published_at_once(start_node, tmp_path):
    node = start_node(publish_quiet_s=600.0)
    assert node.send(state_their_number(make_study(tmp_path / "study"))) == 0
    (job,) = wait_for_states(node, "done")
    assert job["reason"] == "complete: its own header states that the series has 12 instances, as we do"


def test_a_late_instance_calls_the_job_back_and_one_result_is_published(start_node, tmp_path):
    node = start_node(publish_quiet_s=600.0)
    files = state_their_number(make_study(tmp_path / "study"))
    assert node.send(files[:-1]) == 0
    wait_for(lambda: [job for job in node.jobs() if job["state"] == "waiting"], 60, "the first job to be computed")
    assert node.send(files[-1:]) == 0

    def newest_alone_is_done():
        jobs = node.jobs()
        states = [job["state"] for job in jobs]
        return jobs if states[0] == "done" and set(states[1:]) == {"recalled"} else None

    # More than one is called back where the sender paused.
    done, *recalled = wait_for(newest_alone_is_done, 120, "one result")
    assert {job["reason"] for job in recalled} == {"another instance came"}
    assert all(job["stored"] == [] for job in recalled)
    assert done["predecessor"] is None
    assert len(stored_objects(node, done["study_instance_uid"], "SEG")) == 1


def test_an_instance_after_the_publication_gives_a_result_that_supersedes_the_first(start_node, tmp_path):
    node = start_node()
    files = make_study(tmp_path / "study")
    assert node.send(files[:-1]) == 0
    wait_for_states(node, "done")
    assert node.send(files[-1:]) == 0
    done, superseded = wait_for_states(node, "done", "superseded")
    reports = stored_objects(node, done["study_instance_uid"], "SR")
    first, second = sorted(reports, key=lambda report: "PredecessorDocumentsSequence" in report)
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID
    (note,) = stored_objects(node, done["study_instance_uid"], "KO")
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    rejected = {
        one.ReferencedSOPInstanceUID
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert rejected == {one["sop_instance_uid"] for one in superseded["stored"]}
    note.save_as(tmp_path / "note.dcm")
    assert dciodvfy_errors(tmp_path / "note.dcm") == []


def test_instances_that_come_again_unchanged_call_nothing_back(start_node, tmp_path):
    node = start_node(publish_quiet_s=600.0)
    files = make_study(tmp_path / "study")
    assert node.send(files) == 0
    (job,) = wait_for_states(node, "waiting")
    assert node.send(files[:3]) == 0
    node.command("rerun", "1.2.3", code=2)  # there is no such study; answered after all that was told before
    (job,) = wait_for_states(node, "waiting")
    assert events(job).count("running") == 1


def test_a_deleted_instance_gives_a_result_without_it_that_supersedes_the_first(start_node, tmp_path):
    node = start_node()
    files = make_study(tmp_path / "study", slices=14)
    assert node.send(files) == 0
    (job,) = wait_for_states(node, "done")
    with node.client() as client:
        (last,) = client.lookup(dcmread(files[-1]).SOPInstanceUID)
    delete(node, f"/instances/{last.id}")
    done, _ = wait_for_states(node, "done", "superseded")
    assert done["predecessor"] is not None
    assert done["id"] != job["id"]


def test_results_are_rejected_when_what_became_of_their_source_is_refused(start_node, tmp_path):
    node = start_node()
    files = make_study(tmp_path / "study", slices=14)
    assert node.send(files) == 0
    wait_for_states(node, "done")
    with node.client() as client:
        (middle,) = client.lookup(dcmread(files[7]).SOPInstanceUID)
    delete(node, f"/instances/{middle.id}")
    refused, superseded = wait_for_states(node, "refused", "superseded")
    assert "missing_slices" in refused["reason"]
    assert "its source changed since" in superseded["reason"]
    assert len(stored_objects(node, refused["study_instance_uid"], "KO")) == 1


def test_results_whose_source_series_was_deleted_are_rejected(start_node, tmp_path):
    node = start_node()
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "done")
    with node.client() as client:
        (series,) = client.lookup(job["series_instance_uid"])
    delete(node, f"/series/{series.id}")
    (job,) = wait_for_states(node, "superseded")
    (note,) = stored_objects(node, job["study_instance_uid"], "KO")
    assert note.ConceptNameCodeSequence[0].CodeMeaning == "Rejected for Quality Reasons"


def test_a_shadow_rule_computes_and_publishes_only_when_released(start_node, tmp_path):
    node = start_node({**RULE, "mode": "shadow"})
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "shadow")
    assert stored_objects(node, job["study_instance_uid"], "SEG") == []
    assert (node.var / "jobs" / job["id"] / "output" / "seg.dcm").is_file()
    node.command("jobs", "release", job["id"])
    (job,) = wait_for_states(node, "done")
    assert len(stored_objects(node, job["study_instance_uid"], "SEG")) == 1


def test_a_rule_that_is_off_decides_nothing(start_node, tmp_path):
    node = start_node({**RULE, "mode": "off"}, {"name": "other", "app": APP, "when": [{**IS_CT, "equals": "MR"}]})
    files = make_study(tmp_path / "study")
    assert node.send(files) == 0
    decisions = node.decisions(dcmread(files[0]).SeriesInstanceUID)
    assert [decision.rule for decision in decisions] == ["other"]


def test_a_paused_app_keeps_its_jobs_until_it_is_resumed(start_node, tmp_path):
    node = start_node()
    assert node.command("pause", "--app", APP, "--reason", "wrong numbers")["off"] == {f"app:{APP}": "wrong numbers"}
    assert node.send(make_study(tmp_path / "study")) == 0
    wait_for_states(node, "queued")
    assert node.command("status")["off"] == {f"app:{APP}": "wrong numbers"}
    assert node.command("resume", "--app", APP)["off"] == {}
    wait_for_states(node, "done")


def test_a_rerun_supersedes_what_was_there(start_node, tmp_path):
    node = start_node()
    assert node.send(make_study(tmp_path / "study")) == 0
    (first,) = wait_for_states(node, "done")
    node.command("rerun", first["study_instance_uid"])
    again, before = wait_for_states(node, "done", "superseded")
    assert (again["attempt"], before["id"]) == (1, first["id"])
    assert len(stored_objects(node, first["study_instance_uid"], "SEG")) == 2


def test_a_cancelled_job_is_not_stored(start_node, tmp_path):
    node = start_node(publish_quiet_s=300.0)
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "waiting")
    assert node.command("jobs", "cancel", job["id"])["state"] == "cancelled"
    assert stored_objects(node, job["study_instance_uid"], "SEG") == []


def test_a_study_rule_waits_for_all_series_that_it_needs(start_node, tmp_path):
    of_series = {"requires": [{"name": "axial", "when": [{"fact": "instances", "range": {"min": 12}}]},
                              {"name": "scout", "when": [{"fact": "instances", "range": {"max": 5}}]}]}  # fmt: skip
    node = start_node({"name": "both", "app": APP, "study": {**of_series, "quiet_s": 2}})
    axial = make_study(tmp_path / "axial", "axial", slices=14)
    scout = []
    for path in make_study(tmp_path / "scout", "scout", slices=3):
        dataset = dcmread(path)
        dataset.StudyInstanceUID = dcmread(axial[0]).StudyInstanceUID
        dataset.save_as(path)
        scout.append(path)
    assert node.send(axial) == 0
    (decision,) = node.decisions(dcmread(axial[0]).SeriesInstanceUID)
    assert (decision.matched, decision.clauses[-1]["text"]) == (False, "series scout: instances range max 5")
    assert node.send(scout) == 0
    (job,) = wait_for_states(node, "done")
    assert "nothing came for the study for 2 s" in {line["detail"] for line in job["history"]}


def test_a_result_leads_to_the_next_rule_once_and_never_to_its_own(start_node, tmp_path):
    of_seg = {"attribute": "Modality", "equals": "SEG"}
    chained = {"name": "of_seg", "app": APP, "own_results": True, "with_sources": True, "when": [of_seg]}
    node = start_node(RULE, chained)
    assert node.send(make_study(tmp_path / "study")) == 0
    second, first = wait_for_states(node, "done", "done")
    assert (first["rule"], second["rule"]) == ("ct", "of_seg")
    (seg,) = [one for one in second["stored"] if one["path"] == "seg.dcm"]
    with node.client() as client:
        uid = dcmread(io.BytesIO(client.instance_file(seg["orthanc_id"]))).SeriesInstanceUID
    decisions = node.decisions(uid)
    assert [(d.rule, d.matched) for d in decisions] == [("ct", False), ("of_seg", False)]
    assert decisions[1].clauses[-1]["met"] == "ct > of_seg"


def test_a_result_sent_back_under_another_title_without_its_marks_is_still_ours(start_node, tmp_path):
    node = start_node()
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "done")
    (seg,) = stored_objects(node, job["study_instance_uid"], "SEG")
    node.decisions(seg.SeriesInstanceUID)
    with node.client() as client:
        (found,) = client.lookup(seg.SOPInstanceUID)
    delete(node, f"/instances/{found.id}")
    seg.Manufacturer, seg.Modality = "SOMEBODY", "CT"
    del seg.ContributingEquipmentSequence
    seg.save_as(tmp_path / "back.dcm")
    assert node.send([tmp_path / "back.dcm"], aet="VIEWER") == 0

    def decided():
        found = [d for d in node.decisions(seg.SeriesInstanceUID) if d.clauses[-1]["met"] == "a result of mapnode"]
        return len(found) >= 2

    wait_for(decided, 120, "the decision")
    assert [one["state"] for one in node.jobs()] == ["done"]


def test_images_that_a_rejection_note_takes_out_of_use_are_no_input_any_more(start_node, tmp_path):
    from highdicom import ko
    from pydicom.sr.codedict import codes

    node = start_node()
    files = make_study(tmp_path / "study", slices=14)
    assert node.send(files) == 0
    (first,) = wait_for_states(node, "done")
    evidence = [dcmread(files[-1])]
    content = ko.KeyObjectSelection(codes.DCM.RejectedForQualityReasons, evidence)
    note = ko.KeyObjectSelectionDocument(evidence, content, "1.2.3.4", 99, "1.2.3.4.5", 1, manufacturer="PACS")
    note.save_as(tmp_path / "note.dcm")
    assert node.send([tmp_path / "note.dcm"], aet="VIEWER") == 0
    done, superseded = wait_for_states(node, "done", "superseded")
    assert superseded["id"] == first["id"]
    reports = [r for r in stored_objects(node, done["study_instance_uid"], "SR") if "PredecessorDocumentsSequence" in r]
    used = {one.ReferencedSOPInstanceUID for study in reports[0].CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence}  # fmt: skip
    assert evidence[0].SOPInstanceUID not in used


def test_a_drained_node_takes_no_study_until_it_is_resumed_not_even_by_an_orthanc_that_starts_anew(
    start_node, tmp_path
):
    def closed_times(count):
        return wait_for(
            lambda: node.log.count("no study is taken any more") == count, 60, f"intake closed {count} times"
        )

    node = start_node()
    files = make_study(tmp_path / "study")
    node.command("drain")
    closed_times(1)
    assert node.send(files) != 0
    os.kill(node.orthanc_pid(), signal.SIGKILL)
    closed_times(2)
    assert node.send(files) != 0
    node.command("resume")
    wait_for(lambda: "studies are taken again" in node.log, 30, "intake to open")
    assert node.send(files) == 0
    wait_for_states(node, "done")


def test_what_was_deleted_while_nobody_listened_is_measured_anew(start_node, tmp_path):
    node = start_node()
    files = make_study(tmp_path / "study")
    assert node.send(files) == 0
    (first,) = wait_for_states(node, "done")
    node.kill()
    with node.client() as client:
        (lost,) = client.lookup(str(dcmread(files[-1]).SOPInstanceUID))
    delete(node, f"/instances/{lost.id}")
    os.kill(node.orthanc_pid(), signal.SIGKILL)  # with what its plugin had to tell
    node.start()
    second, superseded = wait_for_states(node, "done", "superseded")
    assert superseded["id"] == first["id"]
    assert second["id"] != first["id"]


def test_an_upgrade_with_jobs_in_flight_loses_none(start_node, tmp_path, monkeypatch):
    apps = tmp_path / "apps"
    shutil.copytree(APPS / APP, apps / APP)
    monkeypatch.setenv("MAPNODE_APPS", str(apps))
    node = start_node()
    node.command("pause")
    studies = [make_study(tmp_path / f"study{n}", f"upgrade {n}", patient_id=f"P{n}") for n in range(20)]
    for files in studies:
        assert node.send(files) == 0
    wait_for(lambda: len(node.jobs()) == 20, 120, "20 queued jobs")
    node.command("resume")
    wait_for(lambda: any(job["state"] == "running" for job in node.jobs()), 30, "a running job")
    assert node.stop() == 0
    manifest = apps / APP / "app.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1.0.0", "version: 1.1.0"))
    node.start()

    def all_done():
        done = {job["series_instance_uid"] for job in node.jobs() if job["state"] == "done"}
        return done == {str(dcmread(files[0]).SeriesInstanceUID) for files in studies}

    wait_for(all_done, 240, "a result for each study")
    assert not [job for job in node.jobs() if job["state"] in {"failed", "quarantined"}]


def test_results_that_a_restored_orthanc_lacks_are_stored_again(start_node, tmp_path):
    node = start_node()
    assert node.send(make_study(tmp_path / "study")) == 0
    (job,) = wait_for_states(node, "done")
    (before,) = stored_objects(node, job["study_instance_uid"], "SEG")
    node.kill()  # Orthanc goes on, and nobody hears of what it loses
    with node.client() as client:
        lost = client.lookup(before.SOPInstanceUID)
    delete(node, f"/instances/{lost[0].id}")
    position = node.var / "position.json"
    position.write_text(json.dumps({**json.loads(position.read_text()), "seq": 1_000_000}))
    node.start()
    (after,) = wait_for(lambda: stored_objects(node, job["study_instance_uid"], "SEG"), 60, "the SEG to be back")
    assert after.SOPInstanceUID == before.SOPInstanceUID
