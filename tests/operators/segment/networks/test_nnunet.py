"""nnunet: the same mask as nnU-Net's own predictor gives for the same image."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from operators.core.errors import ModelError, TimeBudgetExceeded
from operators.core.model_folder import find_model
from operators.segment.networks import NetworkEngine, NetworkSettings
from operators.segment.networks import nnunet as module
from tests.networks.nnunet_model import make_untrained_model, write_image
from tests.networks.phantoms import NAMES, make_phantom, volume_of

PHANTOM = make_phantom(7, slices=8, spacing_mm=(7.0, 10.0, 10.0))
"""On another grid than the models were planned for, so that there is something to resample."""

pytestmark = pytest.mark.filterwarnings("default")
"""torch, MONAI and nnunetv2 warn of each other."""


def silent(_fraction, _step):
    """Nobody listens."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models of two folds, in three and in two dimensions."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("nnunet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for configuration in ("3d_fullres", "2d"):
            make_untrained_model(root / configuration, configuration, folds=(0, 1))
    return root


def predicted_by_nnunet(folder: Path, work: Path, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities as nnU-Net writes them for a NIfTI file that SimpleITK wrote."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    write_image(PHANTOM.hu, PHANTOM.affine_lps, work / "case_0000.nii.gz")
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False, **settings)
    predictor.initialize_from_trained_model_folder(str(folder), None, "checkpoint_final.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictor.predict_from_files_sequential(
            [[str(work / "case_0000.nii.gz")]], [str(work / "case")], save_probabilities=True
        )
    labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(work / "case.nii.gz")))
    return labels, np.load(work / "case.npz")["probabilities"]


def engine(folder: Path, **settings) -> NetworkEngine:
    return NetworkEngine(find_model(folder), "1.0.0", NetworkSettings(**settings), NAMES)


@pytest.mark.parametrize("configuration", ["3d_fullres", "2d"])
def test_an_ensemble_gives_the_mask_and_the_probabilities_of_nnunets_own_predictor(folders, tmp_path, configuration):
    labels, probabilities = predicted_by_nnunet(folders / configuration, tmp_path)

    found = engine(folders / configuration).segment(volume_of(PHANTOM), silent)

    assert len(np.unique(labels)) > 2
    assert np.array_equal(found.array, labels)
    for channel, array in enumerate(found.probabilities.arrays, start=1):
        assert np.allclose(array, probabilities[channel], atol=1e-6)


def test_overlap_and_mirroring_are_nnunets_own(folders, tmp_path):
    labels, _ = predicted_by_nnunet(folders / "3d_fullres", tmp_path, tile_step_size=0.75, use_mirroring=False)

    found = engine(folders / "3d_fullres", tile_overlap=0.25, mirroring=False).segment(volume_of(PHANTOM), silent)

    assert np.array_equal(found.array, labels)


def test_logits_in_a_file_change_nothing(folders, monkeypatch):
    volume = volume_of(PHANTOM)
    in_memory = engine(folders / "3d_fullres").segment(volume, silent)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)

    in_file = engine(folders / "3d_fullres", probabilities_mb=0).segment(volume, silent)

    assert np.array_equal(in_file.array, in_memory.array)
    assert in_file.probabilities is None


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (0,)), ((0, 1, 2), (2,)), ((2, 0, 1), (1, 2))])
def test_storage_order_does_not_change_a_label(folders, order, flips):
    engine_2d = engine(folders / "2d", mirroring=False)
    straight = engine_2d.segment(volume_of(PHANTOM), silent).array

    stored = engine_2d.segment(volume_of(PHANTOM, order, flips), silent).array

    assert np.array_equal(np.flip(stored, flips), straight.transpose(order))


def test_a_model_of_ras_files_gets_the_image_as_ras(folders):
    from operators.core.orientation import canonical

    model, volume = find_model(folders / "2d"), volume_of(PHANTOM)
    turned = volume_of(PHANTOM, flips=(1, 2))
    as_stored = NetworkEngine(model, "1", NetworkSettings(mirroring=False), NAMES, "stored").segment(turned, silent)

    found = NetworkEngine(model, "1", NetworkSettings(mirroring=False), NAMES, "RAS").segment(volume, silent)

    assert canonical(volume.affine_lps, "RAS").flips == (1, 2)
    assert np.array_equal(np.flip(found.array, (1, 2)), as_stored.array)


def test_progress_grows_and_names_tiles(folders):
    heard = []

    engine(folders / "2d", mirroring=False).segment(volume_of(PHANTOM), lambda f, s: heard.append((f, s)))

    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert any(step.startswith("tile ") for _, step in heard)


def test_a_run_beyond_its_time_budget_ends_and_says_what_to_do(folders):
    with pytest.raises(TimeBudgetExceeded, match="time_budget_s"):
        engine(folders / "3d_fullres", time_budget_s=1e-6).segment(volume_of(PHANTOM), silent)


def copy_of(folder: Path, target: Path) -> Path:
    return shutil.copytree(folder, target / "model")


def test_a_checkpoint_with_code_in_it_is_refused(folders, tmp_path):
    folder = copy_of(folders / "2d", tmp_path)
    torch.save({"network_weights": {}, "trap": print}, folder / "fold_0/checkpoint_final.pth")

    with pytest.raises(ModelError, match="weights and plain values alone"):
        engine(folder).segment(volume_of(PHANTOM), silent)


def test_plans_that_name_a_class_from_elsewhere_are_refused(folders, tmp_path):
    folder = copy_of(folders / "2d", tmp_path)
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["network_class_name"] = "os.system"
    (folder / "plans.json").write_text(json.dumps(plans))

    with pytest.raises(ModelError, match=r"names the class os\.system"):
        engine(folder).segment(volume_of(PHANTOM), silent)


def test_a_model_of_two_images_is_refused(folders, tmp_path):
    folder = copy_of(folders / "2d", tmp_path)
    dataset = json.loads((folder / "dataset.json").read_text())
    dataset["channel_names"] = {"0": "CT", "1": "PET"}
    (folder / "dataset.json").write_text(json.dumps(dataset))

    with pytest.raises(ModelError, match="needs 2 images"):
        engine(folder).segment(volume_of(PHANTOM), silent)


def test_a_label_that_the_catalogue_does_not_know_is_refused_before_the_network_runs(folders):
    heard = []

    with pytest.raises(ModelError, match=r"mapnode\.model\.labels"):
        NetworkEngine(find_model(folders / "2d"), "1").segment(
            volume_of(PHANTOM), lambda fraction, _step: heard.append(fraction)
        )

    assert heard == [0.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.gpu
def test_a_gpu_gives_the_mask_of_a_cpu_but_for_ties(folders):
    on_cpu, on_gpu = (
        engine(folders / "3d_fullres", device=device).segment(volume_of(PHANTOM), silent).array
        for device in ("cpu", "cuda")
    )

    assert (on_cpu == on_gpu).mean() > 0.99


def test_a_trainer_that_nnunet_does_not_have_is_named(folders, tmp_path):
    folder = copy_of(folders / "2d", tmp_path)
    path = folder / "fold_0/checkpoint_final.pth"
    torch.save({**torch.load(path, weights_only=False), "trainer_name": "nnUNetTrainerOfAnotherHouse"}, path)

    with pytest.raises(ModelError, match="nnUNetTrainerOfAnotherHouse"):
        engine(folder).segment(volume_of(PHANTOM), silent)
