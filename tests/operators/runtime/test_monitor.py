"""Monitor: progress of the whole run, never backwards, 1 at the end."""

import pytest

from operators.runtime.monitor import Monitor


def heard_by(shares, reports=(0.0, 0.5)) -> list[float]:
    heard = []
    monitor = Monitor(heard.append)
    for name, share in shares.items():
        monitor.expect(name, share)
    for name in shares:
        for fraction in reports:
            monitor.report(name, fraction)
        monitor.finish(name, 0.25)
    return [progress.fraction for progress in heard]


@pytest.mark.parametrize("shares", [{"a": 1}, {"a": 1, "b": 30, "c": 4}, {"a": 0.1, "b": 0.2, "c": 0.7}])
def test_progress_never_goes_back_and_ends_at_1(shares):
    fractions = heard_by(shares)

    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


def test_steps_count_by_their_share():
    assert heard_by({"a": 1, "b": 3}, reports=(0.5,)) == [0.125, 0.25, 0.625, 1.0]


def test_message_and_operator_are_passed_on():
    heard = []
    monitor = Monitor(heard.append)
    monitor.expect("Segment", 1)

    monitor.report("Segment", 0.5, "spine")

    assert (heard[0].operator, heard[0].message) == ("Segment", "spine")


def test_timings_keep_the_order_of_the_ends():
    monitor = Monitor()
    for name in ("b", "a"):
        monitor.expect(name, 1)
        monitor.finish(name, 0.25)

    assert list(monitor.timings_s.items()) == [("b", 0.25), ("a", 0.25)]


def test_nobody_has_to_listen():
    monitor = Monitor()
    monitor.expect("a", 1)

    monitor.report("a", 0.5)

    assert monitor.timings_s == {}
