"""Workflow: jobs end as their app says, nothing stale stays, and what fails is tried as often as it makes sense.

One process lives through everything (`story.py`); the tests read what it saw.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import make_ct_series

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    make_ct_series(folder / "source", slices=3)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("story.py"), folder / "var", folder / "source"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def seen(story):
    return story["seen"]


def test_a_computed_job_waits_with_its_results_and_nothing_of_it_is_stored(seen):
    job = seen["computed"]

    assert (job["state"], job["in_orthanc"], job["folder"]) == ("waiting", 0, ["output"])
    assert job["steps"] == ["stage", "run", "check"]


def test_a_published_job_is_done_and_names_what_was_stored(seen):
    job = seen["done"]

    assert (job["state"], job["in_orthanc"]) == ("done", 2)
    assert [(one["path"], one["status"]) for one in job["stored"]] == [("0.dcm", "Success"), ("1.dcm", "Success")]
    assert job["steps"] == ["stage", "run", "check", "confirm", "store", "reject"]


def test_the_app_gets_the_whole_input_and_the_jobs_identity(seen):
    _, identity, instances = seen["done/order"]

    assert (len(identity), instances) == (64, 3)


def test_a_job_that_its_app_refuses_says_why_and_stores_nothing(seen):
    job = seen["refused"]

    assert (job["state"], job["stored"]) == ("refused", [])
    assert "3 slices are missing" in job["reason"]


def test_a_shadow_job_waits_for_somebody_to_release_it(seen):
    job = seen["shadow"]

    assert (job["state"], job["in_orthanc"]) == ("shadow", 0)
    assert "mapnode jobs release" in job["reason"]


def test_an_app_that_is_switched_off_while_its_results_go_out_puts_nothing_out_until_it_is_on_again(seen):
    held, out = seen["off"], seen["on_again"]

    assert (held["state"], held["in_orthanc"]) == ("waiting", 0)
    assert held["reason"].startswith("ct_body_composition is switched off: wrong numbers")
    assert (out["state"], out["in_orthanc"]) == ("done", 2)


def test_a_result_of_another_patient_goes_to_quarantine(seen):
    job = seen["stranger"]

    assert (job["state"], job["in_orthanc"]) == ("quarantined", 0)
    assert {"0.dcm", "1.dcm", "input", "job.json", "reasons.json"} <= set(job["quarantine"])


def test_input_that_ends_every_worker_goes_to_quarantine_after_three_tries(story):
    job = story["seen"]["lost"]

    assert (job["state"], story["calls"].count("lost")) == ("quarantined", 3)
    assert {"input", "job.json", "reasons.json"} <= set(job["quarantine"])


def test_a_database_that_broke_off_in_a_step_costs_no_try_of_the_job(story):
    job = story["seen"]["away"]

    assert (job["state"], story["calls"].count("away")) == ("waiting", 2)


@pytest.mark.parametrize(("name", "kind"), [("breaks", "RuntimeError"), ("unstorable", "ValidationError")])
def test_a_defect_is_tried_again_after_a_pause_whatever_it_is(seen, name, kind):
    job = seen[name]

    assert (job["state"], job["reason"]) == ("queued", f"a defect: {kind}; try 2 of 3 follows")
    assert 0 < job["waits_s"] <= 30


@pytest.mark.parametrize("name", ["breaks", "unstorable"])
def test_the_history_repeats_no_foreign_words(seen, name):
    assert "DOE" not in json.dumps(seen[name])


def test_a_job_that_is_called_back_while_it_runs_stays_called_back(seen):
    assert (seen["recalled"]["state"], seen["recalled"]["reason"]) == ("recalled", "another instance came")


def test_a_job_that_was_called_back_before_it_began_is_not_begun(story):
    assert story["seen"]["called_back"]["state"] == "recalled"
    assert "called_back" not in story["calls"]


def test_a_source_that_changed_calls_its_job_back_and_waits_to_be_decided(seen):
    assert (seen["changed"]["state"], seen["changed"]["pending"]) == ("recalled", True)


def test_an_orthanc_that_falls_silent_between_two_results_has_them_stored_later(seen):
    job = seen["half_stored"]

    assert (job["state"], job["in_orthanc"]) == ("waiting", 1)
    assert job["waits_s"] > 60


def test_what_a_changed_source_left_half_stored_is_rejected(seen):
    before, after = seen["half_stored"], seen["half"]

    assert (after["state"], after["pending"]) == ("recalled", True)
    assert after["notes"] == before["notes"] + 1


def test_what_was_to_be_made_again_of_a_source_that_changed_is_rejected(seen):
    before, after = seen["published"], seen["again"]

    assert (before["state"], after["state"], after["pending"]) == ("done", "recalled", True)
    assert after["notes"] == before["notes"] + 1


def test_results_that_cannot_be_published_are_not_tried_for_ever(seen):
    assert [seen[f"broken_{number}"]["state"] for number in range(3)] == ["waiting", "waiting", "failed"]


def test_a_result_under_a_corrected_patient_supersedes_the_earlier_one_with_a_note_for_patient_safety(seen):
    assert (seen["newer"]["state"], seen["superseded"]["state"]) == ("done", "superseded")
    assert seen["newer"]["safety_notes"] == seen["again"]["safety_notes"] + 1
    assert seen["newer"]["notes"] == seen["again"]["notes"]


def test_a_result_whose_source_is_gone_is_rejected_and_its_series_is_looked_at_again(seen):
    job = seen["withdrawn"]

    assert (job["state"], job["pending"]) == ("superseded", True)
    assert job["notes"] == seen["newer"]["notes"] + 1


def test_steps_of_workflows_that_ended_before_a_moment_are_forgotten(seen):
    assert seen["workflows"] > 20
    assert (seen["purged_old"], seen["purged"], seen["left"]) == (0, seen["workflows"], 0)
