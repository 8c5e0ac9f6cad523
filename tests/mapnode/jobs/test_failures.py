"""Failures: each kind of error leads where it should, and nothing is tried for ever."""

import errno

import pytest
from pydantic import ValidationError

from mapnode.containers.errors import EngineUnreachable
from mapnode.jobs.current_app import AppChanged, AppElsewhere, AppOff
from mapnode.jobs.failures import MAX_TRIES, ORTHANC_TRIES, DatabaseAway, Ending, ending_of, last_cause
from mapnode.jobs.inputs import SourceChanged
from mapnode.jobs.lease import LeaseLost
from mapnode.jobs.work import Recalled, ResultConflict
from mapnode.pacs.errors import IntakeClosed, OrthancFailed, OrthancUnreachable
from mapnode.records import JobState
from mapnode.records.jobs import LONGEST_PAUSE_S
from mapnode.runners.worker import RunCancelled, WorkerLost, WorkerNotStarted
from operators.core.contract import Result

RUNNING, PUBLISHING = JobState.RUNNING, JobState.PUBLISHING
CLOSED = IntakeClosed("POST /instances", 403, "the disk is nearly full")
NO_ENGINE = EngineUnreachable("no container engine answers")
ELSEWHERE = AppElsewhere("a worker cannot do it")
OFF = AppOff("the app is switched off")
AWAY = DatabaseAway("the database broke off")
SILENT = OrthancUnreachable("http://127.0.0.1", "ConnectError")


def full(number: int) -> Exception:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = OSError(number, "no room")
    return wrapped


@pytest.mark.parametrize("error", [Recalled("r"), RunCancelled("c"), LeaseLost("l")])
def test_what_somebody_else_has_settled_is_left_alone(error):
    assert ending_of(error, RUNNING, 1) is None


@pytest.mark.parametrize("error", [SourceChanged("the source changed"), AppChanged("the app changed")])
@pytest.mark.parametrize("state", [RUNNING, PUBLISHING])
def test_what_is_not_what_it_was_is_called_back_with_the_reason(error, state):
    ending = ending_of(error, state, 1)

    assert (ending.state, ending.reason) == (JobState.RECALLED, str(error))


@pytest.mark.parametrize(
    "error", [SILENT, CLOSED, NO_ENGINE, AWAY, ELSEWHERE, OFF, full(errno.ENOSPC), full(errno.EDQUOT)]
)
@pytest.mark.parametrize(("state", "again"), [(RUNNING, JobState.QUEUED), (PUBLISHING, JobState.WAITING)])
def test_what_heals_by_itself_is_tried_again_however_often(error, state, again):
    ending = ending_of(error, state, 100)

    assert ending.state is again
    assert 60 <= ending.after_s <= LONGEST_PAUSE_S


@pytest.mark.parametrize("error", [WorkerLost("signal 9"), ResultConflict("another object")])
def test_poison_goes_to_quarantine_at_once(error):
    ending = ending_of(error, RUNNING, 1)

    assert ending.state is JobState.QUARANTINED
    assert str(error) in ending.reason


def test_a_worker_that_does_not_start_is_no_fault_of_the_input():
    error = WorkerNotStarted("ImportError: libcudart.so.13")

    assert ending_of(error, RUNNING, 1).state is JobState.QUEUED
    assert ending_of(error, RUNNING, MAX_TRIES) == Ending(JobState.FAILED, str(error))


@pytest.mark.parametrize(("state", "again"), [(RUNNING, JobState.QUEUED), (PUBLISHING, JobState.WAITING)])
def test_a_defect_is_tried_again_with_growing_pauses_and_then_no_more(state, again):
    endings = [ending_of(RuntimeError("DOE^JANE"), state, tries) for tries in range(1, MAX_TRIES + 1)]

    assert [ending.state for ending in endings] == [again, again, JobState.FAILED]
    assert endings[0].after_s < endings[1].after_s <= LONGEST_PAUSE_S
    assert endings[0].reason == "a defect: RuntimeError; try 2 of 3 follows"


@pytest.mark.parametrize(("state", "again"), [(RUNNING, JobState.QUEUED), (PUBLISHING, JobState.WAITING)])
def test_an_error_of_orthancs_own_is_waited_for_for_a_day_and_then_no_more(state, again):
    error = OrthancFailed("GET /series/a", 500, "The database is away")
    endings = [ending_of(error, state, tries) for tries in range(1, ORTHANC_TRIES + 1)]

    assert {ending.state for ending in endings[:-1]} == {again}
    assert 23 * 3600 < sum(ending.after_s for ending in endings[:-1]) < 25 * 3600
    assert max(ending.after_s for ending in endings) <= LONGEST_PAUSE_S
    assert endings[0].after_s <= 30
    assert endings[-1] == Ending(JobState.FAILED, str(error))


def test_foreign_words_are_not_repeated():
    assert "DOE" not in ending_of(RuntimeError("DOE^JANE"), RUNNING, 9).reason


def test_an_error_that_keeps_its_errors_in_a_way_of_its_own_is_a_defect_like_any_other():
    with pytest.raises(ValidationError) as caught:
        Result.model_validate({})

    assert ending_of(caught.value, RUNNING, 1).reason == "a defect: ValidationError; try 2 of 3 follows"


def test_of_a_step_that_was_tried_again_the_last_error_counts():
    class Exhausted(Exception):
        errors = (RuntimeError("first"), SILENT)

    assert last_cause(Exhausted()) is SILENT
    assert ending_of(Exhausted(), RUNNING, 1).state is JobState.QUEUED
