"""Jobs of images: they run what they were made for, and nobody sees the results of a foreign MAP twice."""

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from mapnode.containers.runner import Containers
from mapnode.errors import NodeError, WrongUse
from mapnode.jobs import work
from mapnode.jobs.current_app import AppChanged, AppElsewhere
from mapnode.jobs.failures import ending_of
from mapnode.jobs.work import Workplace
from mapnode.records import JobState
from mapnode.share import import_root
from operators.core.contract import Output, Progress, Result, Status
from operators.core.manifest import read_manifest
from tests.mapnode.containers.test_confinement import image
from tests.mapnode.engine import add_job

FOREIGN = image()
OURS = dataclasses.replace(FOREIGN, own=read_manifest(import_root() / "apps" / "ct_body_composition" / "app.yaml"))

NEWER = dataclasses.replace(FOREIGN, app=FOREIGN.app.model_copy(update={"version": "2.0.0"}))


class Runner:
    """Gives its result another UID each time, as a MAP without our contract does."""

    def __init__(self):
        self.runs = 0
        self.says = None

    def run(self, source, target, job, *, timeout_s, on_progress, cancelled):
        if self.says is not None:
            on_progress(self.says)
        self.runs += 1
        result = Result(
            app="toy", version="1.0.0", status=Status.DONE,
            outputs=(Output(path="0001.dcm", sop_instance_uid=f"2.25.{self.runs}"),),
        )  # fmt: skip
        (target / "result.json").write_text(result.to_json())
        return result


@pytest.fixture
def make_place(records, tmp_path):
    def make(found) -> tuple[Workplace, Runner, str]:
        runner = Runner()
        images = SimpleNamespace(find=lambda name: found)
        containers = SimpleNamespace(images=images, of=lambda *_: runner)
        place = Workplace(SimpleNamespace(), records, tmp_path, SimpleNamespace(), 30.0, containers=containers)
        job = add_job(records, state=JobState.RUNNING, app="toy:1", app_version="1.0.0", image=FOREIGN.digest)
        return place, runner, job

    return make


def uid_of(result) -> str:
    return result["outputs"][0]["sop_instance_uid"]


def test_results_are_on_the_disk_before_the_run_counts_as_done(make_place, monkeypatch):
    place, _, job = make_place(FOREIGN)
    fsync, synced = os.fsync, []

    def note(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    work.run(place, job)
    inside = [path.rpartition("/")[2] for path in synced]

    assert inside[0] == "result.json"
    assert inside[1].startswith("output.")
    assert synced[-1] == str(place.job_folder(job))


def test_as_long_as_nothing_was_stored_a_replay_computes_again_and_replaces_all(make_place):
    place, _, job = make_place(FOREIGN)

    assert [uid_of(work.run(place, job)) for _ in range(2)] == ["2.25.1", "2.25.2"]
    assert "2.25.2" in (place.job_folder(job) / "output" / "result.json").read_text()


def test_what_may_be_in_the_pacs_is_never_computed_again(make_place):
    place, runner, job = make_place(FOREIGN)
    first = work.run(place, job)
    place.records.jobs.stored(job, [{"path": "0001.dcm", "sop_instance_uid": "2.25.1", "status": "on its way"}])

    assert work.run(place, job) == first
    assert runner.runs == 1


def test_where_its_files_are_gone_the_job_says_what_to_do(make_place):
    place, runner, job = make_place(FOREIGN)
    place.records.jobs.stored(job, [{"path": "0001.dcm", "sop_instance_uid": "2.25.1", "status": "Success"}])

    with pytest.raises(NodeError, match="mapnode rerun"):
        work.run(place, job)
    assert runner.runs == 0


def test_an_app_of_ours_gives_the_same_bytes_and_is_computed_again(make_place):
    place, runner, job = make_place(OURS)
    place.records.jobs.stored(job, [{"path": "0001.dcm", "sop_instance_uid": "2.25.1", "status": "Success"}])
    work.run(place, job)

    assert runner.runs == 1


@pytest.mark.parametrize(
    "changed",
    [{"digest": "sha256:" + "c" * 64}, {"app": NEWER.app}],
)
def test_another_image_than_the_job_was_made_for_does_not_run(make_place, changed):
    place, runner, job = make_place(dataclasses.replace(FOREIGN, **changed))

    with pytest.raises(AppChanged):
        work.run(place, job)
    assert runner.runs == 0


@pytest.mark.parametrize(
    "lacking", [{"containers": None}, {"containers": SimpleNamespace(images=SimpleNamespace(find=lambda _: NEWER))}]
)
def test_a_worker_that_has_not_what_the_node_has_leaves_the_job_to_others(make_place, lacking):
    place, _, job = make_place(FOREIGN)

    with pytest.raises(AppElsewhere) as failed:
        work.run(dataclasses.replace(place, is_node=False, **lacking), job)

    ending = ending_of(failed.value, JobState.RUNNING, 100)
    assert ending.state is JobState.QUEUED
    assert "start it again as the node is now" in ending.reason


def test_progress_that_cannot_be_kept_ends_no_run(make_place, monkeypatch):
    place, runner, job = make_place(FOREIGN)

    def fail(*_):
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr(place.records.jobs, "progress", fail)
    runner.says = Progress(operator="Load", fraction=0.5)

    assert uid_of(work.run(place, job)) == "2.25.1"


def test_a_process_that_may_run_no_container_says_so(make_place):
    place, _, job = make_place(FOREIGN)

    with pytest.raises(WrongUse, match="no container image may run here"):
        work.run(dataclasses.replace(place, containers=None), job)


def test_labels_say_whose_a_container_is(tmp_path):
    labels = Containers(SimpleNamespace(), tmp_path, "node-1", 0).describe("job-1")

    assert labels == {"mapnode.node": str(tmp_path), "mapnode.process": "node-1", "mapnode.job": "job-1"}
