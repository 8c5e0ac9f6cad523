"""monai_bundle: the same mask as MONAI's own workflow writes for the same image."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from monai.inferers import SlidingWindowInferer

from operators.core.errors import GeometryError, ModelError
from operators.core.model_folder import find_model
from operators.segment.networks import NetworkEngine, NetworkSettings
from tests.networks.monai_models import inference, make_bundle
from tests.networks.nnunet_model import write_image
from tests.networks.phantoms import NAMES, make_phantom, volume_of

PHANTOM = make_phantom(7, slices=8, spacing_mm=(7.0, 10.0, 10.0))

pytestmark = pytest.mark.filterwarnings("default")
"""torch, MONAI and nnunetv2 warn of each other."""


def silent(_fraction, _step):
    """Nobody listens."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.set_num_threads(1)
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def engine(folder: Path, **settings) -> NetworkEngine:
    return NetworkEngine(find_model(folder), "1.0.0", NetworkSettings(**settings), NAMES)


def edited(bundle: Path, target: Path, edit) -> Path:
    """A copy of the bundle with another configuration."""
    folder = shutil.copytree(bundle, target / "model")
    config = inference()
    edit(config)
    (folder / "configs/inference.json").write_text(json.dumps(config))
    return folder


def written_by_monai(bundle: Path, work: Path) -> np.ndarray:
    """What `monai.bundle run` writes for a NIfTI file that SimpleITK wrote."""
    from monai.bundle import ConfigWorkflow

    folder = shutil.copytree(bundle, work / "bundle")
    (folder / "input").mkdir()
    write_image(PHANTOM.hu, PHANTOM.affine_lps, folder / "input/case.nii")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workflow = ConfigWorkflow(
            str(folder / "configs/inference.json"),
            str(folder / "configs/metadata.json"),
            None,
            workflow_type="inference",
            bundle_root=str(folder),
        )
        workflow.initialize()
        workflow.run()
    (written,) = (folder / "output").rglob("*.nii.gz")
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(written)))


def test_a_bundle_gives_the_mask_that_monais_own_workflow_writes(bundle, tmp_path):
    expected = written_by_monai(bundle, tmp_path)

    found = engine(bundle).segment(volume_of(PHANTOM), silent)

    assert len(np.unique(expected)) > 2
    assert np.array_equal(found.array, expected)


def test_probabilities_are_those_that_the_labels_were_chosen_by(bundle):
    found = engine(bundle).segment(volume_of(PHANTOM), silent)

    arrays = np.array(found.probabilities.arrays)
    background = 1 - arrays.sum(axis=0)
    assert np.array_equal(np.argmax([background, *arrays], axis=0), found.array)


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (0,)), ((0, 1, 2), (2,)), ((2, 0, 1), (1, 2))])
def test_storage_order_does_not_change_a_label(bundle, order, flips):
    straight = engine(bundle).segment(volume_of(PHANTOM), silent).array

    stored = engine(bundle).segment(volume_of(PHANTOM, order, flips), silent).array

    assert np.array_equal(np.flip(stored, flips), straight.transpose(order))


def test_another_overlap_holds_for_one_run_only(bundle):
    before, dense, after = (
        engine(bundle, tile_overlap=overlap).segment(volume_of(PHANTOM), silent).array for overlap in (None, 0.75, None)
    )

    assert np.array_equal(before, after)
    assert not np.array_equal(before, dense)


def test_labels_that_do_not_come_back_onto_the_images_grid_are_refused(bundle, tmp_path):
    folder = edited(bundle, tmp_path, lambda config: config["postprocessing"]["transforms"].pop(1))

    with pytest.raises(GeometryError, match="Invertd"):
        engine(folder).segment(volume_of(PHANTOM), silent)


def test_labels_that_a_bundle_gives_as_a_channel_each_are_the_same_labels(bundle, tmp_path):
    def one_hot(config):
        config["postprocessing"]["transforms"][2] |= {"to_onehot": 6}

    folder = edited(bundle, tmp_path, one_hot)

    found, expected = (
        NetworkEngine(find_model(each), "1", labels=NAMES).segment(volume_of(PHANTOM), silent)
        for each in (folder, bundle)
    )

    assert np.array_equal(found.array, expected.array)


def test_channels_that_may_overlap_are_segments_that_may_overlap(bundle, tmp_path):
    def threshold(config):
        steps = config["postprocessing"]["transforms"]
        steps[0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
        steps[2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}

    folder = edited(bundle, tmp_path, threshold)
    names = {**NAMES, "background": "liver"}

    found = NetworkEngine(find_model(folder), "1", labels=names).segment(volume_of(PHANTOM), silent)

    masks = np.array([found.mask(segment) for segment in found.segments])
    assert masks.sum(axis=0).max() > 1
    for mask, probability in zip(masks, found.probabilities.arrays, strict=True):
        assert np.array_equal(mask, probability >= 0.5)


def test_an_image_too_large_for_a_gpu_is_gone_through_by_tiles_with_the_same_result(bundle, monkeypatch):
    straight = engine(bundle).segment(volume_of(PHANTOM), silent).array
    given, whole = [], SlidingWindowInferer.__call__

    def short_of_memory(self, inputs, network, *args, **kwargs):
        given.append(self.sw_device)
        if len(given) == 1:
            raise torch.OutOfMemoryError("as a GPU would")
        return whole(self, inputs, network, *args, **kwargs)

    monkeypatch.setattr(SlidingWindowInferer, "__call__", short_of_memory)

    found = engine(bundle).segment(volume_of(PHANTOM), silent)

    assert given == [None, torch.device("cpu")]
    assert np.array_equal(found.array, straight)


def test_nothing_is_written(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    engine(bundle).segment(volume_of(PHANTOM), silent)

    assert not list(tmp_path.iterdir())
    assert not (bundle / "output").exists()


def test_weights_with_code_in_them_are_refused(bundle, tmp_path):
    folder = edited(bundle, tmp_path, lambda _: None)
    torch.save({"trap": print}, folder / "models/model.pt")

    with pytest.raises(ModelError, match="weights and plain values alone"):
        engine(folder).segment(volume_of(PHANTOM), silent)


def test_weights_of_another_network_are_refused(bundle, tmp_path):
    folder = edited(bundle, tmp_path, lambda config: config["network_def"].update(channels=[4, 8, 16]))

    with pytest.raises(ModelError, match="cannot be used"):
        engine(folder).segment(volume_of(PHANTOM), silent)
