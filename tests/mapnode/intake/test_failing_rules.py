"""A rule whose job cannot be made keeps no other rule from its own, and is tried again."""

import logging

import pytest

from mapnode.app_catalogue import find_app
from mapnode.errors import WrongUse
from mapnode.intake import deciding
from mapnode.intake.intake import LONGEST_RETRY_S, RETRY_S
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records import JobState
from tests.mapnode.engine import SERIES
from tests.mapnode.intake.steps import IS_CT, PAIR, all_jobs, settle, states
from tests.mapnode.intake.studies import study_files

OTHER = "measure_segmentation"
RULES = ({"when": [IS_CT], "app": OTHER}, {"when": [IS_CT]})


@pytest.fixture
def gone(monkeypatch):
    """Apps that cannot be found, each with the error."""
    errors = {OTHER: WrongUse(f"there is no app '{OTHER}'")}

    def find(name, models=None):
        if name in errors:
            raise errors[name]
        return find_app(name, models)

    monkeypatch.setattr(deciding, "find_app", find)
    return errors


@pytest.fixture
def node(make_node, orthanc, files, clock, gone):
    node = make_node(*RULES)
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    return node


def rules_of(records) -> list[str]:
    return [job.spec.rule for job in all_jobs(records)]


def test_the_other_rules_are_decided_at_once_and_the_failing_one_when_it_can_be(node, records, clock, gone):
    before = rules_of(records)
    gone.clear()
    settle(node, clock, RETRY_S)

    assert (before, rules_of(records)) == (["rule_1"], ["rule_1", "rule_0"])
    assert [one.rule for one in records.decisions.all()] == ["rule_1", "rule_0"]
    assert records.pending.all() == []
    assert not node.intake.series[SERIES].pending


def test_it_waits_over_a_restart(node, make_node, records, clock, gone):
    gone.clear()

    settle(make_node(*RULES), clock)

    assert rules_of(records) == ["rule_1", "rule_0"]


def test_it_is_tried_less_and_less_often_and_said_by_name(node, records, clock, caplog):
    with caplog.at_level(logging.ERROR):
        for _ in range(24 * 60 * 2):
            settle(node, clock, 30)

    said = [record.getMessage() for record in caplog.records]
    assert 24 * 3600 / LONGEST_RETRY_S <= len(said) <= 24 * 3600 / LONGEST_RETRY_S + 5
    assert all(f"rule_0: there is no app '{OTHER}'" in one for one in said)
    assert rules_of(records) == ["rule_1"]
    assert len(records.decisions.all()) == 1
    assert len(node.said.asked) <= 2


def test_what_a_person_asked_for_runs_once_while_another_rule_fails(node, records, clock, gone):
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)
    node.intake.force(SERIES)
    for _ in range(5):
        settle(node, clock, LONGEST_RETRY_S)
    before = rules_of(records)
    assert states(records) == ["done", "queued"]
    gone.clear()
    settle(node, clock, LONGEST_RETRY_S)

    assert (before, rules_of(records)) == (["rule_1"] * 2, ["rule_1", "rule_1", "rule_0"])


def test_a_late_instance_calls_back_what_the_other_rules_led_to(make_node, orthanc, files, records, clock, gone):
    node = make_node(*RULES)
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    node.intake.take(orthanc.add(SERIES, files[4:]))
    before = states(records)
    settle(node, clock, 5)

    assert (before, states(records)) == (["recalled"], ["recalled", "queued"])


def test_a_job_whose_source_changed_under_it_is_made_again_with_the_next_try(node, orthanc, records, clock):
    records.jobs.move(all_jobs(records)[0].id, JobState.RECALLED, "the source changed")
    orthanc.remove(SERIES, 1)

    settle(node, clock, RETRY_S)
    settle(node, clock, 5)

    assert states(records) == ["recalled", "queued"]


def test_a_study_is_decided_though_a_rule_about_one_of_its_series_fails(
    make_node, orthanc, records, clock, gone, tmp_path
):
    node = make_node({"when": [{"fact": "instances", "range": {"max": 3}}], "app": OTHER}, {"study": PAIR})
    few, many = study_files(tmp_path)
    node.intake.take(orthanc.add("few", few))
    settle(node, clock)
    node.intake.take(orthanc.add("many", many))
    settle(node, clock)

    assert rules_of(records) == ["rule_1"]


def test_an_orthanc_that_does_not_answer_is_no_rules_fault(make_node, orthanc, files, records, clock, gone):
    gone[OTHER] = OrthancUnreachable("http://127.0.0.1", "ConnectError")
    node = make_node(*RULES)
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    before = rules_of(records)
    gone.clear()
    settle(node, clock, 1)

    assert (before, rules_of(records)) == ([], ["rule_0", "rule_1"])
