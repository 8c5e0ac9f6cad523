"""CheckFieldOfView: where the scan leaves the abdomen, whatever the order of its slices."""

from dataclasses import replace

import numpy as np
import pytest

from operators.core.quality import Verdict
from operators.qc.check_field_of_view import check_field_of_view
from operators.segment.classical.leg_engine import PELVIS
from operators.segment.classical.trunk_engine import ILIAC_CREST, THORAX
from tests.builders import AXIAL, AXIAL_FEET, make_affine, make_label_map, make_volume


def checked(directions=AXIAL, **landmarks):
    volume = make_volume(affine_lps=make_affine(directions, origin_mm=(0, 0, 40)))
    return check_field_of_view(volume, make_label_map(volume, landmarks=landmarks))


def example(_tmp_path):
    volume = make_volume()
    return None, {"volume": volume, "label_map": make_label_map(volume, landmarks={ILIAC_CREST: 2, THORAX: 9})}


def test_scan_without_landmarks_passes():
    report = checked()

    assert (report.verdict, report.findings) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("directions", "index", "z_mm", "count"),
    [(AXIAL, 0, 40, 1), (AXIAL, 2, 46, 3), (AXIAL_FEET, 9, 13, 3), (AXIAL_FEET, 11, 7, 1)],
)
def test_slices_from_the_iliac_crest_downwards_are_counted(directions, index, z_mm, count):
    report = checked(directions, **{ILIAC_CREST: index})

    (finding,) = report.findings
    assert report.verdict is Verdict.CAUTION
    assert finding.code == "field_of_view_below_iliac_crest"
    assert f"z = {z_mm}.0 mm downwards ({count} of 12)" in finding.message


@pytest.mark.parametrize(
    ("directions", "index", "z_mm", "count"),
    [(AXIAL, 11, 73, 1), (AXIAL, 9, 67, 3), (AXIAL_FEET, 2, 34, 3), (AXIAL_FEET, 0, 40, 1)],
)
def test_slices_from_the_thorax_upwards_are_counted(directions, index, z_mm, count):
    report = checked(directions, **{THORAX: index})

    (finding,) = report.findings
    assert report.verdict is Verdict.CAUTION
    assert finding.code == "field_of_view_in_thorax"
    assert f"z = {z_mm}.0 mm upwards ({count} of 12 slices)" in finding.message


@pytest.mark.parametrize(("directions", "index", "count"), [(AXIAL, 9, 3), (AXIAL_FEET, 2, 3)])
def test_slices_from_the_pelvis_upwards_are_counted(directions, index, count):
    (finding,) = checked(directions, **{PELVIS: index}).findings

    assert finding.code == "field_of_view_in_pelvis"
    assert f"upwards ({count} of 12) hold no labels" in finding.message


def test_scan_that_reaches_both_says_both():
    report = checked(**{ILIAC_CREST: 1, THORAX: 10})

    assert [finding.code for finding in report.findings] == [
        "field_of_view_below_iliac_crest",
        "field_of_view_in_thorax",
    ]


def test_a_body_cut_by_the_border_of_the_image_asks_for_caution():
    volume = make_volume(array=np.zeros((12, 60, 60), dtype=np.int16))
    labels = np.zeros((12, 60, 60), dtype=np.uint8)
    labels[:, 10:50, 10:50] = 1
    assert check_field_of_view(volume, make_label_map(volume, labels)).findings == ()

    labels = labels.copy()
    labels[:4, 10:50, 50:] = 1
    (finding,) = check_field_of_view(volume, make_label_map(volume, labels)).findings

    assert finding.code == "body_cut_by_field_of_view"
    assert "in 4 of 12 slices" in finding.message


@pytest.mark.parametrize("declared", [True, False], ids=["padding", "circle"])
def test_a_body_cut_by_the_reconstructed_circle_asks_for_caution(declared):
    shape = (12, 60, 60)
    places = (np.arange(60) - 29.5) ** 2
    outside = np.broadcast_to(np.sqrt(places[:, None] + places) > 30, shape)
    hu = np.random.default_rng(1).normal(-1000, 10, shape).astype(np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[:, 15:45, 12:48] = 1
    hu[labels > 0] = 40
    hu[outside] = -2000
    volume = make_volume(hu, make_affine(spacing_mm=(3.0, 0.8, 0.8)))
    volume = replace(volume, padding=outside.copy() if declared else None)
    assert check_field_of_view(volume, make_label_map(volume, labels)).findings == ()

    labels = labels.copy()
    labels[:4, 8:52, 2:58] = 1
    labels[outside] = 0
    (finding,) = check_field_of_view(volume, make_label_map(volume, labels)).findings

    assert finding.code == "body_cut_by_field_of_view"
    assert "4 of 12 slices" in finding.message
