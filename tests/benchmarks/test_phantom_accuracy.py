"""docs/phantom-accuracy.md is of the engines as they are, and its clean rows are what the phantoms give."""

import re

import numpy as np
import pytest

from benchmarks import leg_cases, lesion_cases, trunk_cases
from benchmarks.phantom_accuracy import ALL, PAGE
from benchmarks.readings import Reading, allowed_of, cell_of, flawless_hu, grouped, row_of, shells_cm2, worst_of
from mapnode.phantom.lesions import Lesion


def test_page_is_of_the_engines_constants():
    digests = re.findall("`([0-9a-f]{64})`", PAGE.read_text(encoding="utf-8"))

    legs, trunk = leg_cases.ENGINE.algorithm.digest, trunk_cases.ENGINE.algorithm.digest
    assert digests == [legs, legs, legs, trunk, trunk], "run make phantom-accuracy"


def test_page_has_every_kind_of_phantom_in_its_order_and_fifty_of_each_clean_one_but_whole_legs():
    page = PAGE.read_text(encoding="utf-8")

    sections = re.split(r"(?m)^(?=## )", page)[1:]
    assert [text.splitlines()[0] for text in sections] == [each.text.splitlines()[0] for each in ALL.values()]
    for text in sections:
        counts = [int(row.split("|")[2]) for row in text.splitlines() if re.match(r"\| \S.*\| \d+ \|", row)]
        assert all(count >= 50 for count in counts)


def test_shell_of_a_disc_is_half_a_pixel_times_its_circumference():
    rows, columns = np.mgrid[-100:101, -100:101]

    (shell,) = shells_cm2((np.hypot(rows, columns) < 80)[None], 0.5)

    assert shell == pytest.approx(2 * np.pi * 4.0 * 0.025, rel=0.02)


@pytest.mark.parametrize(("truth", "shell", "allowed"), [(100.0, 1.0, 2.0), (100.0, 3.0, 3.0)])
def test_allowed_is_the_larger_of_two_percent_and_the_shell(truth, shell, allowed):
    assert allowed_of(truth, shell) == allowed


def test_row_counts_what_holds_and_names_the_worst():
    readings = [Reading("volume", 100.0, 101.0, 2.0), Reading("volume", 200.0, 190.0, 4.0)]

    assert row_of("volume", readings) == "| volume | 2 | -2.00 % | -5.00 % | 2.50 | 1 |"
    assert cell_of(readings) == "-2.0 (-5.0) %"


def test_what_was_not_found_is_wrong_by_all_of_it():
    assert Reading("volume", 100.0, None, 2.0).error == -100.0
    assert not Reading("volume", 100.0, None, 2.0).holds


def holding_but_for_bone(readings):
    """Readings that do not hold, without the mean attenuation of bone, which hangs on what voxels' centres hit."""
    return [each for each in readings if not each.holds and not each.quantity.startswith("mean HU, bone")]


@pytest.mark.chain
@pytest.mark.parametrize("seed", [2, 4])
def test_random_legs_hold(seed):
    assert holding_but_for_bone(leg_cases.thigh_readings(seed)) == []


@pytest.mark.chain
def test_random_trunk_holds():
    assert holding_but_for_bone(trunk_cases.clean_readings(4)) == []


@pytest.mark.parametrize("seed", range(5))
def test_random_ellipsoids_hold_and_their_surface_within_7_percent(seed):
    readings = lesion_cases.clean_readings(seed)

    assert {each.quantity for each in readings if not each.holds} <= {"surface"}
    (surface,) = (each for each in readings if each.quantity == "surface")
    assert abs(surface.error) < 0.07 * surface.truth


def test_shell_around_a_ball_in_cubic_voxels_is_half_a_voxel_thick():
    ball = Lesion((3.0, 1.0, 2.0), (20.0, 20.0, 20.0))

    shell_ml = lesion_cases.shell_of(ball, np.diag([0.8, 0.8, 0.8, 1.0]))

    assert shell_ml == pytest.approx(4 * np.pi * 20**2 * 0.4 / 1000)


def test_shell_in_thick_slices_is_half_the_surface_in_units_of_voxels():
    lesion, affine = Lesion((0.0, 0.0, 0.0), (10.0, 14.0, 20.0)), np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 4.0, 0.7, 0.7, 1.0

    shell_ml = lesion_cases.shell_of(lesion, affine)

    # Voxels are 0.7 mm along x and y, 4 mm along z: the ellipsoid's surface on a fine net, in voxels.
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 400), np.linspace(0, 2 * np.pi, 400), indexing="ij")
    net = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    net *= np.array([10 / 0.7, 14 / 0.7, 20 / 4])
    across, along = np.diff(net, axis=0)[:, :-1], np.diff(net, axis=1)[:-1]
    surface = np.linalg.norm(np.cross(across, along), axis=-1).sum()
    assert shell_ml == pytest.approx(surface / 2 * 4.0 * 0.7 * 0.7 / 1000, rel=2e-3)


def test_mask_without_fault_is_judged_by_the_means_of_its_voxels():
    reading = flawless_hu("bone", 400.0, np.array([300, 503]))

    assert (reading.quantity, reading.error, reading.holds) == ("mean HU, bone, mask without fault", 1.5, True)


def test_worst_is_against_what_is_allowed_and_leaves_out_what_is_tiny():
    readings = [Reading("a", 10.0, 11.0, 2.0), Reading("b", 100.0, 97.0, 2.0), Reading("c", 0.5, 9.0, 0.1)]

    assert worst_of(readings).quantity == "b"


def test_readings_are_grouped_in_their_order():
    readings = [Reading(name, 1.0, 1.0) for name in "bab"]

    assert {name: len(each) for name, each in grouped(readings).items()} == {"b": 2, "a": 1}
