"""my_app: what its numbers are. Run with `pytest` in this folder."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mapnode.app_catalogue import App
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.runners.process import run_app
from operators.core.contract import Status
from operators.core.manifest import read_manifest

HERE = Path(__file__).parent
find = runpy.run_path(str(HERE / "app.py"))["find"]


def test_what_is_as_bright_and_large_is_labelled_and_nothing_else():
    hu = np.full((5, 20, 20), 40.0)
    hu[1:4, 5:10, 5:10] = 700
    hu[2, 15, 15] = 700

    labels = find(hu, 200, 10)

    assert np.array_equal(labels == 1, (hu > 200) & (np.arange(20) < 10))


def test_the_volume_is_that_of_the_bright_voxels(tmp_path):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=12))
    write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "study", uid_seed="my_app")

    result = run_app(App(HERE, read_manifest(HERE / "app.yaml")), tmp_path / "study", tmp_path / "results")

    assert result.status is Status.DONE
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"seg.dcm", "sr.dcm", "result.json"}
    (volume,) = (one for one in result.measurements if one.name == "volume_ml")
    voxel_ml = np.prod(np.linalg.norm(phantom.affine_lps[:3, :3], axis=0)) / 1000
    assert volume.unit == "mL"
    # Tips of ribs and processes are smaller than the least piece that counts.
    assert volume.value == pytest.approx((phantom.hu > 200).sum() * voxel_ml, rel=0.02)
