"""Arrivals: what is news, how fast a sender is, and what a change forgets."""

from mapnode.intake.arrivals import RECENT, SeriesArrivals
from mapnode.intake.completeness import Corroboration
from mapnode.pacs.events import InstanceEvent


def event(instance_id: str, md5: str = "m", calling_aet: str = "") -> InstanceEvent:
    return InstanceEvent(id=instance_id, at=0.0, series_id="s", md5=md5, calling_aet=calling_aet, called_aet="US")


def test_an_instance_that_came_again_unchanged_is_known():
    series = SeriesArrivals("s", 0.0)
    series.add(event("a"), 1.0)

    assert series.knows(event("a"))


def test_other_content_and_content_that_nobody_knows_are_news():
    series = SeriesArrivals("s", 0.0)
    series.add(event("a"), 1.0)
    series.add(event("b", md5=""), 1.0)

    assert not series.knows(event("a", md5="other"))
    assert not series.knows(event("b", md5=""))
    assert not series.knows(event("c"))


def test_gaps_are_those_between_new_instances():
    series = SeriesArrivals("s", 0.0)
    for name, now in (("a", 1.0), ("b", 1.5), ("b", 9.0), ("c", 9.25)):
        series.add(event(name, md5=""), now)

    assert list(series.gaps_s) == [0.5, 0.25]


def test_only_the_last_gaps_count():
    series = SeriesArrivals("s", 0.0)
    for number in range(100):
        series.add(event(str(number)), float(number))

    assert len(series.gaps_s) == RECENT


def test_an_instance_makes_its_series_wait_and_forget_what_was_said_of_it():
    series = SeriesArrivals("s", 0.0, pending=False, has_hole=True, is_unreadable=True)
    series.corroborations.append(Corroboration(1, "CT1"))

    series.add(event("a"), 3.0)

    assert (series.pending, series.last) == (True, 3.0)
    assert (series.has_hole, series.is_unreadable, series.corroborations) == (False, False, [])


def test_the_sender_is_the_first_that_anybody_named():
    series = SeriesArrivals("s", 0.0)
    for name, aet in (("a", ""), ("b", "CT1"), ("c", "CT2")):
        series.add(event(name, calling_aet=aet), 0.0)

    assert (series.calling_aet, series.called_aet) == ("CT1", "US")
