"""The goals of the turnaround benchmark fail where the figures do."""

import pytest

from benchmarks.burst import Burst
from benchmarks.turnaround_report import (
    CORROBORATED,
    NATIVE,
    OURS,
    PACED_NATIVE,
    PACED_PACKED,
    STOCK,
    Figures,
    goals,
)
from benchmarks.turnaround_runs import Row, Run


def row(contender, found_s, *, series=NATIVE, computed_s=1.0, corroborated=True):
    return Row(contender, series, 300, (Run(computed_s, found_s, 0.03, corroborated=corroborated),))


def holding(figures):
    return [holds for holds, _ in goals(figures)]


def native(*, complete_s=1.0, plain_s=5.4, stock_s=9.0, computed_s=1.0, corroborated=True):
    complete = row(CORROBORATED, complete_s, computed_s=computed_s, corroborated=corroborated)
    return Figures([complete, row(OURS, plain_s), row(STOCK, stock_s)])


def test_all_goals_hold_where_every_figure_is_within_its_limit():
    assert holding(native()) == [True] * 5


@pytest.mark.parametrize(
    ("figures", "failing"),
    [
        ({"computed_s": 1.04}, 0),
        ({"corroborated": False}, 1),
        ({"complete_s": 1.04}, 2),
        ({"plain_s": 5.6}, 3),
        ({"stock_s": 4.9}, 4),
    ],
)
def test_a_goal_fails_where_its_figure_is_beyond_the_limit(figures, failing):
    assert [number for number, holds in enumerate(holding(native(**figures))) if not holds] == [failing]


def test_what_was_not_measured_is_no_goal_that_holds():
    assert goals(Figures([row(OURS, 1.0)])) == []


@pytest.mark.parametrize(("packed_s", "holds"), [(1.2, True), (1.21, False)])
def test_jpeg_2000_at_a_scanners_pace_may_take_a_fifth_longer_than_native(packed_s, holds):
    figures = Figures([row(CORROBORATED, 1.0, series=PACED_NATIVE), row(CORROBORATED, packed_s, series=PACED_PACKED)])

    assert holding(figures) == [holds]


def test_intake_is_held_against_bare_orthanc_and_against_debians():
    figures = native()
    figures.intake_s = {"bare": 2.5, "node": 2.7, "Debian": 7.0}

    assert holding(figures)[-2:] == [False, True]


def test_a_burst_of_fewer_stock_studies_is_scaled_with_its_quiet_time_once():
    assert Burst(4, 25.0, 0).scaled_s(20, quiet_s=5.0) == 105.0


def test_a_study_that_was_not_done_once_fails_the_burst():
    figures = native()
    figures.ours_burst, figures.stock_burst, figures.wrong_jobs = Burst(20, 20.0, 0), Burst(20, 105.0, 0), 1

    assert holding(figures)[-2:] == [False, True]
