"""network: progress, and a time budget that is kept."""

import pytest

from operators.core.errors import TimeBudgetExceeded
from operators.segment.networks import network
from operators.segment.networks.network import Watch


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [0.0]
    monkeypatch.setattr(network.time, "monotonic", lambda: now[0])
    return now


def tiles(watch, clock, seconds_each, total=100):
    for done in range(1, total + 1):
        clock[0] += seconds_each
        watch.tile(done, total)


def test_within_the_budget_every_tile_is_heard_of(clock):
    heard = []

    tiles(Watch(lambda fraction, _: heard.append(fraction), 100.0), clock, 0.9)

    assert len(heard) == 100
    assert heard == sorted(heard)


def test_what_would_clearly_take_too_long_ends_early(clock):
    with pytest.raises(TimeBudgetExceeded) as ended:
        tiles(Watch(lambda *_: None, 100.0), clock, 5.0)

    assert clock[0] < 100
    assert ended.value.expected_s == pytest.approx(500, rel=0.05)


def test_what_takes_a_little_too_long_ends_when_the_budget_is_used_up(clock):
    with pytest.raises(TimeBudgetExceeded):
        tiles(Watch(lambda *_: None, 100.0), clock, 1.5)

    assert 100 < clock[0] < 103


def test_without_a_budget_nothing_ends(clock):
    heard = []

    tiles(Watch(lambda fraction, _: heard.append(fraction)), clock, 1e6)

    assert len(heard) == 100
