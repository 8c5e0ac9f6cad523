"""docs/phantom-accuracy.md is of the engines as they are, and its clean rows are what the phantoms give."""

import re

import numpy as np
import pytest

from benchmarks import leg_cases, trunk_cases
from benchmarks.phantom_accuracy import PAGE
from benchmarks.readings import Reading, allowed_of, cell_of, grouped, row_of, shells_cm2


def test_page_is_of_the_engines_constants():
    digests = re.findall("`([0-9a-f]{64})`", PAGE.read_text(encoding="utf-8"))

    legs, trunk = leg_cases.ENGINE.algorithm.digest, trunk_cases.ENGINE.algorithm.digest
    assert digests == [legs, legs, trunk], "run make phantom-accuracy"


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


@pytest.mark.chain
@pytest.mark.parametrize("seed", [2, 4])
def test_random_legs_hold(seed):
    assert [each for each in leg_cases.clean_readings(seed) if not each.holds] == []


def test_readings_are_grouped_in_their_order():
    readings = [Reading(name, 1.0, 1.0) for name in "bab"]

    assert {name: len(each) for name, each in grouped(readings).items()} == {"b": 2, "a": 1}
