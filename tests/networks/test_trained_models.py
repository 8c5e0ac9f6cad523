"""Networks that were trained on phantoms, in the genuine format of each ecosystem, from DICOM files to SEG and SR."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mapnode.app_catalogue import App, find_app
from mapnode.phantom import write_ct_series
from mapnode.runners.process import run_app
from mapnode.runners.worker import WarmWorker
from mapnode.share import APPS_VARIABLE
from operators.core.contract import Job, Status
from operators.core.model_folder import find_model
from tests.networks.phantoms import LABELS, NAMES, make_phantom

pytestmark = pytest.mark.filterwarnings("default")
ROOT = Path(__file__).parents[2]
TRAININGS = {
    "nnunet": ("tests.networks.nnunet_model", "FOLDER", "--steps", "500"),
    "monai-bundle": ("tests.networks.monai_models", "bundle", "FOLDER", "--steps", "600"),
    "torchscript": ("tests.networks.monai_models", "torchscript", "FOLDER", "--steps", "600"),
}
JOB = Job(clock=datetime(2025, 1, 2, 10, 15, 30))
PHANTOM = make_phantom(7)


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setenv(APPS_VARIABLE, str(ROOT / "benchmarks" / "apps"))
    return find_app("network")


def train(form: str, folder: Path) -> Path:
    arguments = [str(folder) if part == "FOLDER" else part for part in TRAININGS[form]]
    subprocess.run([sys.executable, "-W", "ignore", "-m", *arguments], cwd=ROOT, check=True, capture_output=True)
    return folder


def dice(seg_file: Path) -> dict[str, float]:
    """Overlap of each segment of a SEG file with the phantom's truth; pydicom alone reads the file."""
    seg = pydicom.dcmread(seg_file)
    frames = seg.pixel_array
    heights = {round(float(z), 3): index for index, z in enumerate(_heights())}
    masks = np.zeros((len(seg.SegmentSequence) + 1, *PHANTOM.hu.shape), bool)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        masks[number, heights[round(float(position[2]), 3)]] = frame > 0
    overlaps = {}
    for name, value in LABELS.items():
        truth = value == PHANTOM.truth_labels
        found = masks[value]
        overlaps[name] = float(2 * (truth & found).sum() / (truth.sum() + found.sum()))
    return overlaps


def _heights():
    return PHANTOM.affine_lps[2, 3] + PHANTOM.affine_lps[2, 0] * np.arange(PHANTOM.hu.shape[0])


@pytest.mark.training
@pytest.mark.parametrize("form", TRAININGS)
def test_a_trained_model_finds_the_tissues_of_a_phantom_that_it_never_saw(app, tmp_path, form):
    model = train(form, tmp_path / "model")
    write_ct_series(PHANTOM.hu, PHANTOM.affine_lps, tmp_path / "in", description="axial", uid_seed=form)

    result = run_app(app, tmp_path / "in", tmp_path / "out", model=model, job=JOB)

    assert result.status is Status.DONE, result.reasons
    assert {m.segment for m in result.measurements} == {NAMES.get(n, n.lower().replace(" ", "_")) for n in LABELS}
    overlaps = dice(tmp_path / "out" / "seg.dcm")
    assert min(overlaps.values()) > 0.75, overlaps
    assert np.mean(list(overlaps.values())) > 0.9, overlaps


@pytest.mark.chain
def test_a_warm_worker_with_a_model_writes_the_bytes_of_the_process_runner_each_time(app, tmp_path):
    from tests.networks.monai_models import make_torchscript

    model = make_torchscript(tmp_path / "model")
    write_ct_series(PHANTOM.hu, PHANTOM.affine_lps, tmp_path / "in", description="axial", uid_seed="warm")
    assert run_app(app, tmp_path / "in", tmp_path / "alone", model=model, job=JOB).status is Status.DONE
    worker = WarmWorker(App(app.folder, app.manifest, find_model(model)))
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            assert worker.run(tmp_path / "in", tmp_path / name, JOB, timeout_s=300).status is Status.DONE
    finally:
        worker.stop()

    for file in ("seg.dcm", "sr.dcm"):
        assert len({(tmp_path / name / file).read_bytes() for name in ("alone", "first", "second")}) == 1
