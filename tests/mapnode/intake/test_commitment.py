"""Storage commitment: says that a series is complete where nothing but its own study can be meant."""

import pytest

from mapnode.intake.commitment import ASKED_AGAIN_S, ASKED_FOR_S
from mapnode.pacs.errors import OrthancUnreachable


@pytest.fixture
def make_node(make_node, clock):
    """Makes intakes that have run for long enough to know all that a request may be about."""

    def make():
        node = make_node()
        clock.now += ASKED_FOR_S
        return node

    return make


def arrive(node, orthanc, files, series_id, study_id) -> None:
    node.intake.take(orthanc.add(series_id, files, study_id))


def committed(node) -> list[str]:
    return [one.series_id for one in node.intake.series.values() if one.committed_at]


def test_a_request_vouches_for_every_series_of_the_one_study_that_came_from_its_sender(make_node, orthanc, files):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    arrive(node, orthanc, files[2:4], "b", "study-1")
    orthanc.calling_aet = "CT2"
    arrive(node, orthanc, files[4:], "c", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["a", "b"]


def test_a_request_for_one_study_vouches_for_none_while_another_of_its_sender_may_only_pause(
    make_node, orthanc, files, clock
):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    clock.now += 60
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == []


def test_a_study_that_was_vouched_for_makes_the_next_one_no_less_clear(make_node, orthanc, files, clock):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    node.intake.commitments.asked("SCANNER")
    clock.now += ASKED_AGAIN_S
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["a", "b"]


def test_a_sender_that_asks_series_by_series_vouches_for_no_study_that_it_began_meanwhile(
    make_node, orthanc, files, clock
):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    node.intake.commitments.asked("SCANNER")
    clock.now += 1
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["a"]


def test_a_study_that_grows_after_its_request_may_be_meant_by_the_next_one(make_node, orthanc, files):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    node.intake.commitments.asked("SCANNER")
    arrive(node, orthanc, files[2:3], "a", "study-1")
    arrive(node, orthanc, files[3:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == []


def test_a_study_that_nobody_asks_for_is_not_waited_with_for_ever(make_node, orthanc, files, clock):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    clock.now += ASKED_FOR_S
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["b"]


def test_a_series_that_is_gone_from_orthanc_makes_nothing_unclear(make_node, orthanc, files):
    node = make_node()
    arrive(node, orthanc, files[:2], "a", "study-1")
    orthanc.remove("a")
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["b"]


def test_a_request_waits_for_an_orthanc_that_does_not_say_what_a_series_is_of(make_node, orthanc, files):
    node = make_node()
    arrive(node, orthanc, files, "a", "study-1")
    orthanc.down = True

    with pytest.raises(OrthancUnreachable):
        node.intake.commitments.asked("SCANNER")

    assert committed(node) == []


def test_a_request_of_nobody_vouches_for_nothing(make_node, orthanc, files):
    node = make_node()
    orthanc.calling_aet = ""
    arrive(node, orthanc, files, "a", "study-1")

    node.intake.commitments.asked("")

    assert committed(node) == []


def test_after_a_start_a_request_that_may_be_about_what_came_before_vouches_for_nothing(
    make_node, orthanc, files, clock
):
    before = make_node()
    arrive(before, orthanc, files[:2], "a", "study-1")
    before.intake.decide_settled()
    node = make_node()
    clock.now -= 1
    arrive(node, orthanc, files[2:], "b", "study-2")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == []


def test_once_all_is_known_that_came_since_the_start_a_request_counts_again(make_node, orthanc, files):
    node = make_node()
    arrive(node, orthanc, files, "a", "study-1")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == ["a"]


def test_after_events_were_lost_a_request_that_may_be_about_what_they_told_vouches_for_nothing(
    make_node, orthanc, files, clock
):
    node = make_node()
    node.intake.commitments.doubt()
    clock.now += ASKED_FOR_S - 1
    arrive(node, orthanc, files, "a", "study-1")

    node.intake.commitments.asked("SCANNER")

    assert committed(node) == []


def test_what_a_request_said_before_a_start_does_not_hold_after_it(make_node, orthanc, files):
    before = make_node()
    arrive(before, orthanc, files, "a", "study-1")
    before.intake.commitments.asked("SCANNER")

    assert (committed(before), committed(make_node())) == (["a"], [])
