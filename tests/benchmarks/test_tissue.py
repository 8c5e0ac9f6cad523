"""Tissue benchmark: the contenders find what they say, and the table has medians and errors against the truth."""

import numpy as np
import pytest

from benchmarks.tissue import CONTENDER, Runs, table
from benchmarks.tissue_contenders import Clock, legs, segmentation, trunk
from mapnode.phantom.legs import LegPhantomParameters, build_leg_phantom, leg_truth
from mapnode.phantom.lesions import Lesion, lesion_mask
from mapnode.phantom.series import write_ct_series
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom
from tests.segmented import make_seg


def test_contender_finds_fat_of_a_trunk_and_calls_organs_muscle(tmp_path):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=6, spacing_mm=(5.0, 2.0, 2.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "ct", uid_seed="t")

    found = trunk(tmp_path, Clock())

    truth = phantom.truth_volume_ml
    assert found["subcutaneous_fat"]["volume_ml"] == pytest.approx(truth["subcutaneous_fat"], rel=0.15)
    assert found["skeletal_muscle"]["volume_ml"] > 1.3 * truth["skeletal_muscle"]


def test_contender_tells_left_from_right(tmp_path):
    parameters = LegPhantomParameters(slices=4, spacing_mm=(5.0, 2.0, 2.0), centre_z_mm=230.0, right_shift_mm=60.0)
    phantom = build_leg_phantom(parameters)
    write_ct_series(phantom.hu, phantom.affine_lps, tmp_path / "ct", uid_seed="l")

    found = legs(tmp_path, Clock())

    truth = leg_truth(parameters).volume_ml
    for side in ("left", "right"):
        assert found[f"skeletal_muscle_{side}"]["volume_ml"] == pytest.approx(
            truth[f"skeletal_muscle_{side}"], rel=0.05
        )


def test_contender_measures_a_segment_where_it_lies(tmp_path):
    shape, affine = (12, 40, 40), np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 3.0, 1.0, 1.0, 1.0
    lesion = Lesion((21.0, 16.0, 15.0), (9.0, 6.0, 10.0))
    mask = lesion_mask(shape, affine, lesion)
    images = write_ct_series(np.where(mask, 70, -100).astype(np.int16), affine, tmp_path / "ct", uid_seed="s")
    make_seg(tmp_path / "seg.dcm", images, {"Lesion": mask})

    found = segmentation(tmp_path, Clock())["Lesion"]

    assert found["mean_hu"] == 70
    assert found["volume_ml"] == pytest.approx(mask.sum() * 3.0 / 1000)
    assert found["long_axis_mm"] == pytest.approx(lesion.longest_axial_diameter_mm, abs=1.5)


def test_table_has_medians_and_the_errors_of_volumes():
    runs = Runs("app", CONTENDER, [3.0, 1.0, 2.0], [4.0, 3.5, 3.0], [0.5, 0.7, 0.6], [100.0, 300.0, 200.0], [0.1, -0.3])

    assert (
        table([runs]).splitlines()[-1] == f"| app | {CONTENDER} | 2.0 | 1.0 to 3.0 | 3.5 | 0.6 | 200 | 20.0% | 30.0% |"
    )
