"""Publisher: results go out when their source is complete as far as anybody can know, and not before."""

import pytest

from mapnode.intake.arrivals import SeriesArrivals
from mapnode.intake.completeness import Corroboration, Patience
from mapnode.jobs import publisher as module
from mapnode.jobs.publisher import Publisher
from mapnode.records import JobState
from mapnode.records.switches import JOBS, app_switch
from tests.mapnode.engine import APP, Clock, add_job


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def series():
    return {}


@pytest.fixture
def published():
    return []


@pytest.fixture
def modes():
    """Of rules, as they are now."""
    return {}


@pytest.fixture
def publisher(records, series, published, modes, clock):
    return Publisher(
        records, series, Patience(), {"study_rule": 30.0}.get, modes.get,
        lambda job, number: published.append((job.id, number)),
    )  # fmt: skip


def arrived(series, clock, number=0, looked=3, **changed) -> SeriesArrivals:
    known = SeriesArrivals(f"series-{number}", clock.now, pending=False, looked=looked, **changed)
    series[known.series_id] = known
    return known


def test_results_wait_for_the_quiet_time_and_then_go_out_with_the_reason(publisher, records, series, published, clock):
    job = add_job(records, state=JobState.WAITING)
    arrived(series, clock)
    clock.now += 4.9
    publisher.tick()
    before = list(published)
    clock.now += 0.1
    publisher.tick()

    assert (before, published) == ([], [(job, 1)])
    assert records.jobs.get(job).reason == "nothing came for 5 s; nobody states a number"


def test_a_corroborated_series_goes_out_at_once(publisher, records, series, published, clock):
    add_job(records, state=JobState.WAITING)
    arrived(series, clock).corroborations.append(Corroboration(3, "CT1"))

    publisher.tick()

    assert len(published) == 1


def test_a_series_whose_sender_asked_for_storage_commitment_goes_out_at_once(
    publisher, records, series, published, clock
):
    job = add_job(records, state=JobState.WAITING)
    arrived(series, clock, committed_at=clock.now)

    publisher.tick()

    assert published == [(job, 1)]
    assert "storage commitment" in records.jobs.get(job).reason


def test_a_series_that_changed_is_not_published(publisher, records, series, published, clock):
    add_job(records, state=JobState.WAITING)
    arrived(series, clock).pending = True
    clock.now += 1000

    publisher.tick()

    assert published == []


def test_a_rule_that_cannot_be_decided_keeps_back_no_results_of_other_rules(
    publisher, records, series, published, clock
):
    add_job(records, state=JobState.WAITING)
    arrived(series, clock, undecided=frozenset({"other"})).pending = True
    clock.now += 5

    publisher.tick()

    assert len(published) == 1


def test_of_several_series_the_slowest_decides(publisher, records, series, published, clock):
    add_job(records, state=JobState.WAITING, series_ids=("series-0", "series-1"))
    arrived(series, clock)
    clock.now += 10
    arrived(series, clock, 1)

    publisher.tick()

    assert published == []


def test_a_study_waits_for_its_own_silence_and_for_every_series(publisher, records, series, published, clock):
    add_job(records, state=JobState.WAITING, rule="study_rule", subject="study")
    arrived(series, clock, study_id="study")
    moving = arrived(series, clock, 1, study_id="study")
    moving.pending = True
    clock.now += 31
    publisher.tick()
    before = list(published)
    moving.pending = False
    publisher.tick()

    assert (before, len(published)) == ([], 1)


def test_a_series_that_cannot_be_read_holds_up_no_study_for_ever(publisher, records, series, published, clock):
    add_job(records, state=JobState.WAITING, rule="study_rule", subject="study")
    arrived(series, clock, study_id="study", is_unreadable=True).pending = True
    clock.now += 31

    publisher.tick()

    assert len(published) == 1


def test_results_of_an_app_that_is_switched_off_are_kept_until_it_is_on_again(
    publisher, records, series, published, clock
):
    job = add_job(records, state=JobState.WAITING)
    records.switches.off(app_switch(APP), "wrong numbers")
    publisher.tick()
    before = list(published)
    records.switches.on(app_switch(APP))
    publisher.tick()

    assert (before, published) == ([], [(job, 1)])
    assert [line.detail for line in records.jobs.history([job])[job] if line.event == "wait"] == [
        f"{APP} is switched off: wrong numbers"
    ]


def test_a_paused_node_lets_out_what_was_computed(publisher, records, published):
    add_job(records, state=JobState.WAITING)
    records.switches.off(JOBS, "maintenance")

    publisher.tick()

    assert len(published) == 1


def test_a_shadow_job_goes_out_only_when_it_is_released(publisher, records, published, clock):
    job = add_job(records, state=JobState.SHADOW)
    clock.now += 10**6
    publisher.tick()
    before = list(published)

    assert publisher.release(records.jobs.get(job), "released on demand")
    assert (before, published) == ([], [(job, 1)])


def test_a_job_that_was_called_back_meanwhile_does_not_go_out(publisher, records, published):
    job = records.jobs.get(add_job(records, state=JobState.WAITING))
    records.jobs.move(job.id, JobState.RECALLED, "another instance came")

    assert not publisher.release(job, "complete")
    assert published == []


def test_every_publication_has_a_number_of_its_own(publisher, records, published):
    job = add_job(records, state=JobState.WAITING)
    for _ in range(2):
        publisher.tick()
        records.jobs.move(job, JobState.WAITING, "interrupted")

    assert published == [(job, 1), (job, 2)]


def test_a_job_that_was_put_off_waits_whatever_its_series_says(publisher, records, published, clock):
    job = add_job(records)
    records.jobs.move(job, JobState.WAITING, "tried again later", not_before=clock.time() + 30)
    publisher.tick()
    before = list(published)
    clock.now += 31
    publisher.tick()

    assert (before, len(published)) == ([], 1)


def test_only_some_go_out_at_the_same_time(publisher, records, published):
    for number in range(module.AT_ONCE + 3):
        add_job(records, number, state=JobState.WAITING)

    publisher.tick()

    assert len(published) == module.AT_ONCE


def test_a_wait_is_noted_once_for_each_reason_and_forgotten_with_its_job(publisher, records, series, clock):
    job = add_job(records, state=JobState.WAITING)
    known = arrived(series, clock)
    for _ in range(5):
        publisher.tick()
    known.corroborations.append(Corroboration(4, "CT1"))
    publisher.tick()
    waits = [line.detail for line in records.jobs.history([job])[job] if line.event == "wait"]
    records.jobs.move(job, JobState.RECALLED)
    publisher.tick()

    assert len(waits) == 2
    assert publisher._said == {}


# rules that were changed


@pytest.mark.parametrize(("mode", "words"), [("shadow", "in shadow mode"), ("off", "off")])
def test_what_a_rule_had_made_before_it_was_live_no_more_is_kept_for_somebody_to_release(
    publisher, records, modes, published, mode, words
):
    job = add_job(records, state=JobState.WAITING)
    modes["trunk"] = mode
    publisher.tick()
    held = records.jobs.get(job)
    before = list(published)
    publisher.release(held, "released on demand")

    assert (held.state, before, published) == ("shadow", [], [(job, 1)])
    assert held.reason == f"the rule is {words} now: `mapnode jobs release` publishes it"


def test_what_was_released_and_could_not_go_out_need_not_be_released_again(publisher, records, modes, published):
    job = add_job(records, state=JobState.SHADOW)
    modes["trunk"] = "shadow"
    publisher.release(records.jobs.get(job), "released on demand")
    records.jobs.move(job, JobState.WAITING, "Orthanc does not answer")
    publisher.tick()

    assert published == [(job, 1), (job, 2)]


@pytest.mark.parametrize("mode", ["live", None])
def test_what_a_live_rule_made_goes_out_and_what_one_made_that_is_gone(publisher, records, modes, published, mode):
    job = add_job(records, state=JobState.WAITING)
    modes["trunk"] = mode
    publisher.tick()

    assert published == [(job, 1)]
