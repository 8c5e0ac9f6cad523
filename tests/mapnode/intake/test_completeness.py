"""Completeness: how long to wait for whom, and whom to believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.intake.completeness import Corroboration, Patience, ask_time_s, has_hole, may_publish, settle_time_s

PATIENCE = Patience(settle_s=0.5, publish_quiet_s=5.0, missing_wait_s=60.0)
GAPS = st.lists(st.floats(0, 100), max_size=20)
COUNTS = st.integers(0, 500)
SAID = st.lists(st.builds(Corroboration, instances=COUNTS, by=st.just("CT1")), max_size=4)


def said(*counts: int) -> list[Corroboration]:
    return [Corroboration(count, f"source {count}") for count in counts]


# settle time


def test_a_sender_without_pauses_is_given_the_shortest_silence():
    assert settle_time_s([0.0] * 20, 0, PATIENCE) == settle_time_s([], 0, PATIENCE) == 0.5


def test_a_slow_sender_is_given_five_of_its_pauses():
    assert settle_time_s([0.4] * 20, 0, PATIENCE) == pytest.approx(2.0)


def test_one_hiccup_of_a_fast_sender_does_not_slow_it_down():
    assert settle_time_s([0.01] * 19 + [3.0], 0, PATIENCE) == 0.5


def test_each_job_that_was_called_back_doubles_the_silence():
    assert [settle_time_s([], recalls, PATIENCE) for recalls in range(5)] == [0.5, 1.0, 2.0, 4.0, 5.0]


def test_a_hole_in_the_middle_is_given_the_longest_silence():
    assert settle_time_s([], 0, PATIENCE, has_hole=True) == 5.0


@given(gaps_s=GAPS, recalls=st.integers(0, 10**6), hole=st.booleans())
def test_the_settle_time_is_bounded_by_the_two_settings(gaps_s, recalls, hole):
    assert 0.5 <= settle_time_s(gaps_s, recalls, PATIENCE, has_hole=hole) <= 5.0


@given(gaps_s=GAPS, factor=st.floats(1, 10), recalls=st.integers(0, 20), more=st.integers(0, 5))
def test_a_slower_sender_and_more_recalls_never_shorten_the_settle_time(gaps_s, factor, recalls, more):
    before = settle_time_s(gaps_s, recalls, PATIENCE)

    assert settle_time_s([gap * factor for gap in gaps_s], recalls + more, PATIENCE) >= before


# holes


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1, 2, 3], False),
        ([3, 1, 2], False),
        ([1, 2, 4], True),
        ([5, 6, 8], True),
        ([1, 2, None, 4], True),
        ([10, 20, 30], False),
        ([1, 1, 3], False),
        ([7], False),
        ([None, None], False),
        ([], False),
    ],
)
def test_a_hole_is_a_number_left_out_of_dense_ones(numbers, expected):
    assert has_hole(numbers) is expected


@given(first=st.integers(-5, 50), count=st.integers(1, 60))
def test_every_beginning_of_an_ordered_send_has_no_hole(first, count):
    assert not has_hole(range(first, first + count))


# publishing


def test_results_go_out_at_once_where_the_source_has_as_many():
    verdict = may_publish(112, 0.0, said(112), PATIENCE)

    assert verdict.now
    assert verdict.reason == "complete: source 112 has 112 instances, as we do"


def test_without_anybodys_word_results_wait_for_the_quiet_time():
    before, after = may_publish(3, 4.9, [], PATIENCE), may_publish(3, 5.0, [], PATIENCE)

    assert (before.now, before.reason) == (False, "waits until nothing came for 5 s; nobody states a number")
    assert (after.now, after.reason) == (True, "nothing came for 5 s; nobody states a number")


def test_a_source_that_has_more_is_waited_for_longer_and_not_for_ever():
    before, after = may_publish(3, 59.9, said(4), PATIENCE), may_publish(3, 60.0, said(4), PATIENCE)

    assert (before.now, after.now) == (False, True)
    assert "source 4 has 4 instances, 3 came" in after.reason


def test_a_source_that_has_fewer_says_nothing():
    assert not may_publish(3, 4.9, said(2), PATIENCE).now
    assert may_publish(3, 5.0, said(2), PATIENCE).now


def test_of_two_who_disagree_the_one_that_has_more_is_believed():
    assert not may_publish(3, 5.0, said(3, 4), PATIENCE).now


@given(instances=COUNTS, quiet_s=st.floats(0, 59.99), corroborations=SAID)
def test_nothing_goes_out_before_its_limit_while_somebody_is_known_to_have_more(instances, quiet_s, corroborations):
    more = Corroboration(instances + 1, "CT1")

    assert not may_publish(instances, quiet_s, [*corroborations, more], PATIENCE).now


@given(instances=COUNTS, corroborations=SAID)
def test_nothing_waits_for_ever(instances, corroborations):
    assert may_publish(instances, 60.0, corroborations, PATIENCE).now


def test_a_missing_wait_below_the_quiet_time_does_not_shorten_it():
    patience = Patience(settle_s=0.5, publish_quiet_s=5.0, missing_wait_s=1.0)

    assert not may_publish(3, 4.9, said(4), patience).now


@pytest.mark.parametrize(("gap_s", "seconds"), [(0.0, 0.05), (0.01, 0.05), (0.1, 0.15), (2.0, 3.0)])
def test_a_slow_sender_is_not_asked_between_two_instances_whether_all_has_come(gap_s, seconds):
    assert ask_time_s([gap_s] * 20, 0, Patience()) == pytest.approx(seconds)


def test_each_question_in_vain_makes_the_next_one_come_later():
    assert [ask_time_s([], asked, Patience()) for asked in range(3)] == pytest.approx([0.05, 0.1, 0.2])
