"""ct_leg_tissue from DICOM files to results, judged against the phantom's truth and by readers that are not ours."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from benchmarks.readings import allowed_of, shells_cm2
from mapnode.phantom import build_trunk_phantom, write_ct_series
from mapnode.phantom.leg_anatomy import LegTissue
from mapnode.phantom.legs import (
    SIDES,
    TISSUES,
    LegPhantom,
    LegPhantomParameters,
    build_leg_phantom,
    leg_truth,
    random_leg_parameters,
)
from tests.judges import dciodvfy_errors

pytestmark = pytest.mark.chain

MAPNODE = Path(sys.executable).with_name("mapnode")
WHOLE = random_leg_parameters(np.random.default_rng(60), 5.0)
THIGH = replace(WHOLE, slices=12, centre_z_mm=220.0)


def run(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAPNODE, "run", "ct_leg_tissue", source, target, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def write(phantom: LegPhantom, folder: Path, flips=(), **attributes) -> Path:
    """The phantom as it is stored with some of its axes backwards."""
    affine = phantom.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (phantom.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    write_ct_series(
        np.flip(phantom.hu, flips),
        affine,
        folder,
        uid_seed=f"legs {flips}",
        attributes={"BodyPartExamined": "LEG"} | attributes,
    )
    return folder


def measured(done: subprocess.CompletedProcess[str], name: str) -> dict[str, float]:
    return {m["segment"]: m["value"] for m in json.loads(done.stdout)["measurements"] if m["name"] == name}


@pytest.fixture(scope="module")
def phantom():
    return build_leg_phantom(WHOLE)


@pytest.fixture(scope="module")
def result(phantom, tmp_path_factory):
    target = tmp_path_factory.mktemp("result")
    done = run(write(phantom, tmp_path_factory.mktemp("legs")), target)
    assert done.returncode == 0, done.stderr
    return target, done


def test_every_tissue_of_each_leg_is_measured_as_right_as_it_has_to_be(phantom, result):
    truth, volumes = leg_truth(WHOLE).volume_ml, measured(result[1], "volume_ml")

    for side, direction in SIDES.items():
        for name in TISSUES:
            mask = (phantom.truth_labels == LegTissue[name.upper()]) & (phantom.truth_side == direction)
            true_ml = truth[f"{name}_{side}"]
            shell_ml = float(shells_cm2(mask, 2.0).sum()) * 0.5
            assert volumes[f"leg_{name}_{side}"] == pytest.approx(true_ml, abs=allowed_of(true_ml, shell_ml))


def test_areas_are_stated_along_each_femur_for_its_own_side(result):
    document = json.loads(result[1].stdout)
    roles = {row["segment"]: set() for row in document["key_slices"]}
    for row in document["key_slices"]:
        roles[row["segment"]].add(row["role"])

    for side in SIDES:
        along = {f"femur_{percent}_{side}" for percent in (25, 50, 75)}
        assert all(roles[f"leg_{name}_{side}"] == {"largest_area", *along} for name in TISSUES)


def test_fat_fraction_is_that_of_the_stated_volumes(result):
    document, volumes = json.loads(result[1].stdout), measured(result[1], "volume_ml")
    derived = {each["name"]: each["value"] for each in document["derived"]}

    inside, muscle = volumes["leg_intermuscular_fat_left"], volumes["leg_skeletal_muscle_left"]
    assert derived["imat_fraction_left"] == pytest.approx(inside / (inside + muscle), rel=1e-6)
    assert len(derived) == 16
    assert None not in derived.values()


def test_objects_are_valid_and_say_the_side(result):
    target, _ = result
    assert dciodvfy_errors(target / "seg.dcm") == []
    assert dciodvfy_errors(target / "sr.dcm") == []
    sides = {
        item.SegmentLabel: item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning
        for item in pydicom.dcmread(target / "seg.dcm").SegmentSequence
    }
    assert len(sides) == 8
    assert all(side.lower() in label for label, side in sides.items())


@pytest.mark.parametrize(("flips", "position"), [((1, 2), "HFP"), ((0, 2), "FFS")], ids=["prone", "feet first"])
def test_position_on_the_table_changes_no_number(flips, position, tmp_path):
    phantom = build_leg_phantom(THIGH)

    supine = run(write(phantom, tmp_path / "supine"), tmp_path / "a")
    other = run(write(phantom, tmp_path / "other", flips, PatientPosition=position), tmp_path / "b")

    for name in ("volume_ml", "mean_hu"):
        assert measured(other, name) == measured(supine, name)


def test_thigh_alone_has_no_fractions_of_the_femur_and_says_why(tmp_path):
    done = run(write(build_leg_phantom(THIGH), tmp_path / "thigh"), tmp_path / "out")

    derived = {each["name"]: each for each in json.loads(done.stdout)["derived"]}
    assert derived["imat_fraction_left"]["value"] is not None
    assert derived["imat_fraction_femur_50_left"]["value"] is None
    assert "the femur is not complete in the scan" in derived["imat_fraction_femur_50_left"]["reason"]


def test_trunk_that_does_not_say_so_is_not_measured_as_legs(tmp_path):
    trunk = build_trunk_phantom()
    write_ct_series(trunk.hu, trunk.affine_lps, tmp_path / "in", uid_seed="t", attributes={"BodyPartExamined": None})

    done = run(tmp_path / "in", tmp_path / "out")

    assert done.returncode == 4
    assert "Two legs side by side" in done.stderr or "widest gap" in done.stderr


def test_one_leg_is_not_applicable(tmp_path):
    phantom = build_leg_phantom(LegPhantomParameters(slices=12, centre_z_mm=220.0))
    hu = np.where(phantom.truth_side == -1, -1000, phantom.hu).astype(np.int16)

    done = run(write(replace(phantom, hu=hu), tmp_path / "in"), tmp_path / "out")

    assert done.returncode == 4
