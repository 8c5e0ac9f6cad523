"""torchscript: the same mask as plain torch gives, tile by tile."""

import itertools

import numpy as np
import pytest
import torch
import yaml

from operators.core.errors import ModelError
from operators.core.model_folder import find_model
from operators.segment.networks import NetworkEngine, NetworkSettings
from tests.networks.monai_models import PATCH, WINDOW_HU, make_bundle, make_torchscript
from tests.networks.phantoms import NAMES, make_phantom, volume_of

PHANTOM = make_phantom(7, slices=8)
"""On the model's own grid: 8 slices of 32 x 32."""

pytestmark = pytest.mark.filterwarnings("default")
"""torch, MONAI and nnunetv2 warn of each other."""


def silent(_fraction, _step):
    """Nobody listens."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return make_torchscript(tmp_path_factory.mktemp("torchscript"))


def engine(folder, **settings) -> NetworkEngine:
    return NetworkEngine(find_model(folder), "1.0.0", NetworkSettings(**settings), NAMES)


def gaussian(shape, share=0.125) -> torch.Tensor:
    """Weight of a tile's voxels: a Gaussian about its middle, its standard deviation an eighth of its size, no less
    than a thousandth."""
    along = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * share)) ** 2) for n in shape]
    return torch.tensor(np.einsum("i,j,k->ijk", *along), dtype=torch.float32).clip(min=1e-3)


def test_a_module_gives_the_mask_of_plain_torch(folder):
    module = torch.jit.load(str(folder / "model.ts"))
    low, high = WINDOW_HU
    # RAS, columns first: the phantom runs to left and back.
    image = torch.tensor(np.ascontiguousarray(PHANTOM.hu.transpose(2, 1, 0)[::-1, ::-1]), dtype=torch.float32)
    image = ((image - low) / (high - low)).clip(0, 1)
    total, weights = torch.zeros(6, *image.shape), torch.zeros(image.shape)
    weight = gaussian(PATCH)
    # Half a tile apart, the last one at the border.
    starts = [range(0, size - patch + 1, patch // 2) for size, patch in zip(image.shape, PATCH, strict=True)]
    with torch.no_grad():
        for corner in itertools.product(*starts):
            place = tuple(slice(start, start + patch) for start, patch in zip(corner, PATCH, strict=True))
            total[(slice(None), *place)] += module(image[place][None, None])[0] * weight
            weights[place] += weight
    shares = torch.softmax(total / weights, dim=0).numpy()[:, ::-1, ::-1].transpose(0, 3, 2, 1)

    found = engine(folder).segment(volume_of(PHANTOM), silent)

    # Where two labels are equal but for rounding, either may win.
    clear = np.diff(np.sort(shares, axis=0)[-2:], axis=0)[0] > 1e-4
    assert clear.mean() > 0.99
    assert np.array_equal(found.array[clear], shares.argmax(axis=0)[clear])
    assert len(np.unique(found.array)) > 2
    for segment, array in zip(found.segments, found.probabilities.arrays, strict=True):
        assert np.allclose(array, shares[segment.labels[0]], atol=1e-4)


def test_on_another_grid_it_gives_the_mask_of_a_bundle_with_the_same_steps(folder, tmp_path):
    volume = volume_of(make_phantom(8, slices=8, spacing_mm=(7.0, 10.0, 10.0)))
    bundle = NetworkEngine(find_model(make_bundle(tmp_path)), "1", labels=NAMES)

    assert np.array_equal(engine(folder).segment(volume, silent).array, bundle.segment(volume, silent).array)


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (0,)), ((0, 1, 2), (2,)), ((2, 0, 1), (1, 2))])
def test_storage_order_does_not_change_a_label(folder, order, flips):
    straight = engine(folder).segment(volume_of(PHANTOM), silent).array

    stored = engine(folder).segment(volume_of(PHANTOM, order, flips), silent).array

    assert np.array_equal(np.flip(stored, flips), straight.transpose(order))


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("intensity", [300, -200], "lower and a higher"),
        ("labels", {"Bone": 0}, "channels from 1"),
        ("orientation", "XYZ", "orientation"),
        ("patchh", [1, 1, 1], "patchh"),
    ],
)
def test_a_wrong_description_names_its_key(folder, tmp_path, key, value, word):
    (tmp_path / "model.ts").write_bytes((folder / "model.ts").read_bytes())
    description = {**yaml.safe_load((folder / "model.yaml").read_text()), key: value}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(description))

    with pytest.raises(ModelError, match=word):
        engine(tmp_path).segment(volume_of(PHANTOM), silent)


def test_a_file_that_is_no_module_is_refused(folder, tmp_path):
    (tmp_path / "model.ts").write_text("weights")
    (tmp_path / "model.yaml").write_bytes((folder / "model.yaml").read_bytes())

    with pytest.raises(ModelError, match="no TorchScript"):
        engine(tmp_path).segment(volume_of(PHANTOM), silent)
