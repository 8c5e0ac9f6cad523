"""The warm worker with real apps: the bytes of the process runner, refusals, and runs that are called back."""

import shutil
import threading
from datetime import datetime
from pathlib import Path

import pytest

from mapnode.app_catalogue import App, find_app
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.runners import worker as worker_module
from mapnode.runners.process import run_app
from mapnode.runners.worker import RunCancelled, WarmWorker
from mapnode.share import APPS_VARIABLE
from mapnode.staging import Stager
from operators.core.contract import Job, Status
from operators.core.manifest import read_manifest

pytestmark = pytest.mark.slow

MANIFEST = Path(__file__).parents[3] / "apps" / "ct_body_composition" / "app.yaml"
STAGED_WITHIN_S = 30.0


def test_it_writes_the_same_bytes_as_the_process_runner_each_time(tmp_path):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=12, spacing_mm=(5.0, 3.0, 3.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "in", description="axial", uid_seed="warm")
    app, job = find_app("ct_body_composition"), Job(clock=datetime(2025, 1, 2, 10, 15, 30))
    assert run_app(app, tmp_path / "in", tmp_path / "alone", job=job).status is Status.DONE
    worker = WarmWorker(app)
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            assert worker.run(tmp_path / "in", tmp_path / name, job, timeout_s=300).status is Status.DONE
    finally:
        worker.stop()

    alone = {p.name: p.read_bytes() for p in (tmp_path / "alone").iterdir() if p.name != "result.json"}
    assert set(alone) == {"seg.dcm", "sr.dcm", "key_image.png"}
    for name in ("first", "second"):
        files = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.name != "result.json"}
        assert files == alone


@pytest.mark.parametrize("missing", [0, 5], ids=["all staged", "some staged"])
def test_staged_run_writes_the_same_bytes_as_the_process_runner_without_a_stage(tmp_path, monkeypatch, missing):
    monkeypatch.setenv(APPS_VARIABLE, str(MANIFEST.parents[2] / "benchmarks" / "apps"))
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=12, spacing_mm=(5.0, 3.0, 3.0)))
    paths = write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "in", description="axial", uid_seed="staged")
    (tmp_path / "linked").mkdir()
    (tmp_path / "warm").mkdir()
    for path in paths:
        (tmp_path / "linked" / path.name).hardlink_to(path)
    app, job = find_app("threshold"), Job(clock=datetime(2025, 1, 2, 10, 15, 30))
    worker, staging = WarmWorker(app), Stager(tmp_path / "stages")
    try:
        for path in paths[missing:]:
            staging.add("series", path)
        assert staging.wait("series", STAGED_WITHIN_S)
        staged_job = job.model_copy(update={"staged": str(staging.folder("series"))})
        warm = worker.run(tmp_path / "linked", tmp_path / "warm", staged_job, timeout_s=300)
    finally:
        worker.stop()
        staging.stop()
    alone = run_app(app, tmp_path / "in", tmp_path / "alone", job=job)

    assert (warm.status, alone.status) == (Status.DONE, Status.DONE)
    assert warm.measurements == alone.measurements
    for name in ("seg.dcm", "sr.dcm"):
        assert (tmp_path / "warm" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_it_refuses_and_goes_on(tmp_path):
    (tmp_path / "in").mkdir()
    worker = WarmWorker(find_app("ct_body_composition"))
    try:
        statuses = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            result = worker.run(tmp_path / "in", tmp_path / name, Job(), timeout_s=300)
            statuses.append((result.status, [path.name for path in (tmp_path / name).iterdir()], worker.runs))
    finally:
        worker.stop()

    assert statuses == [(Status.REFUSED, ["result.json"], 1), (Status.REFUSED, ["result.json"], 2)]


WAITING_APP = """
import sys, time
from pathlib import Path
from operators.runtime.application import MapApplication, main
from operators.runtime.step import Step

PREPARED = []

class Wait(Step):
    @classmethod
    def prepare(cls, model):
        PREPARED.append(model)

    def process(self):
        folder = self.parameters
        if (folder / "wait").exists():
            while True:
                self.report(0.5)
                time.sleep(0.01)
        raise RuntimeError(f"prepared {len(PREPARED)} times")

class WaitingApp(MapApplication):
    def compose(self):
        self.connect(Wait(self, self.run_context.input_folder))
"""


def test_a_run_that_is_cancelled_ends_and_its_process_runs_on(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "CANCEL_GRACE_S", 300.0)
    folders = source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    app_folder = tmp_path / "waiting"
    app_folder.mkdir()
    (app_folder / "app.py").write_text(WAITING_APP)
    worker = WarmWorker(App(app_folder, read_manifest(MANIFEST)))
    (app_folder / "app.yaml").write_text(MANIFEST.read_text())
    (source / "wait").touch()
    cancelled = threading.Event()

    def on_progress(progress):
        if progress.fraction > 0:
            cancelled.set()

    try:
        with pytest.raises(RunCancelled):
            worker.run(*folders, Job(), timeout_s=300, on_progress=on_progress, cancelled=cancelled)
        pid = worker.pid
        (source / "wait").unlink()
        result = worker.run(*folders, Job(), timeout_s=300)
    finally:
        worker.stop()

    assert (worker.runs, pid is not None) == (2, True)
    assert "prepared 1 times" in result.reasons[0].message


def test_its_process_outlives_a_disk_that_is_full(tmp_path, monkeypatch):
    monkeypatch.setenv(APPS_VARIABLE, str(MANIFEST.parents[2] / "benchmarks" / "apps"))
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=12, spacing_mm=(5.0, 3.0, 3.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "in", description="axial", uid_seed="full")
    for name in ("full", "next"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "result.json").symlink_to("/dev/full")
    worker = WarmWorker(find_app("threshold"))
    try:
        with pytest.raises(OSError, match="could not write its results"):
            worker.run(tmp_path / "in", tmp_path / "full", Job(), timeout_s=60)
        pid = worker.pid
        result = worker.run(tmp_path / "in", tmp_path / "next", Job(), timeout_s=60)
    finally:
        worker.stop()

    assert result.status is Status.DONE
    assert pid is not None


def test_a_module_beside_the_app_is_found(tmp_path, monkeypatch):
    folder = shutil.copytree(MANIFEST.parent, tmp_path / "apps" / "with_helper")
    code = (folder / "app.py").read_text()
    (folder / "app.py").write_text(code.replace("import sys\n", "import sys\n\nimport helper_of_mine\n", 1))
    (folder / "helper_of_mine.py").write_text("")
    app = App(folder, read_manifest(MANIFEST))
    worker = WarmWorker(app)
    try:
        worker.warm_up()
        assert worker.pid is not None
    finally:
        worker.stop()
