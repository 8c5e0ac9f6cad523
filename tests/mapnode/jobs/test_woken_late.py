"""A process that was stopped, given up and woken up again leaves no trace on what another one did meanwhile."""

from types import SimpleNamespace

import pytest
from pydicom import dcmread

from mapnode.intake.source import SourceReader
from mapnode.jobs.lease import LeaseLost
from mapnode.jobs.work import Recalled, Workplace, store
from mapnode.records import JobState
from mapnode.records.jobs import REJECTED
from operators.core.contract import Output, Result, Status
from tests.mapnode.engine import APP, FakeOrthanc, add_job


class SlowOrthanc(FakeOrthanc):
    """Another process publishes the job while this one waits for an answer."""

    def __init__(self, storage, then) -> None:
        super().__init__(storage)
        self.then = then

    def store(self, content):
        outcome = super().store(content)
        self.then()
        return outcome


@pytest.fixture
def job(records):
    return add_job(records, state=JobState.PUBLISHING)


@pytest.fixture
def place(records, tmp_path, job):
    from tests.builders import make_ct_series

    output = tmp_path / "jobs" / job / "output"
    files = make_ct_series(output, slices=2)
    outputs = tuple(Output(path=path.name, sop_instance_uid=dcmread(path).SOPInstanceUID) for path in files)
    result = Result(app=APP, version="1", status=Status.DONE, outputs=outputs)
    (output / "result.json").write_text(result.model_dump_json(by_alias=True))
    orthanc = SlowOrthanc(tmp_path / "storage", lambda: None)
    reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
    return Workplace(reader, records, tmp_path, SimpleNamespace(), 30.0)


@pytest.mark.parametrize(("state", "status"), [(JobState.DONE, "Success"), (JobState.SUPERSEDED, REJECTED)])
def test_what_another_process_published_or_rejected_since_is_not_overwritten(place, records, job, state, status):
    others = [{"path": "a", "orthanc_id": "b", "sop_instance_uid": "1.2", "status": status}]

    def meanwhile():
        records.jobs.stored(job, others)
        records.jobs.move(job, state)

    place.client.then = meanwhile
    with pytest.raises(Recalled):
        store(place, job)

    assert (records.jobs.get(job).stored, records.jobs.state(job)) == (others, state)


def test_a_process_that_was_given_up_says_nothing_of_results_before_it_stores_any(place, records, job):
    def lost():
        raise LeaseLost("another process does it")

    others = [{"path": "a", "orthanc_id": "b", "sop_instance_uid": "1.2", "status": "Success"}]
    records.jobs.stored(job, others)

    with pytest.raises(LeaseLost):
        store(Workplace(place.reader, records, place.folder, place.workers, 30.0, require_lease=lost), job)

    assert records.jobs.get(job).stored == others


def test_results_that_go_out_undisturbed_are_all_kept_with_their_place(place, records, job):
    stored = store(place, job)

    assert [one["status"] for one in stored] == ["Success", "Success"]
    assert records.jobs.get(job).stored == stored
