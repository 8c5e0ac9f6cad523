"""A process that lives through all that can become of jobs, and prints what it saw: python story.py VAR SOURCE.

DBOS is one a process; `test_workflow.py` and `test_work.py` read what this one saw.
"""

import json
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from dbos import DBOS
from pydicom import dcmread
from sqlalchemy.exc import OperationalError

from mapnode.app_catalogue import find_app
from mapnode.database import place_of
from mapnode.intake.source import SourceReader
from mapnode.jobs import work, workflow
from mapnode.jobs.spec import input_identity
from mapnode.jobs.takeover import Presence
from mapnode.jobs.work import Workplace
from mapnode.jobs.workflow import QUEUE, JobRunner
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records import JobState, Records
from mapnode.records.switches import app_switch
from mapnode.runners.worker import RunCancelled, WorkerLost
from operators.core.contract import Output, Reason, Result, Status
from operators.core.identity import derived_uid
from tests.mapnode.engine import APP, FakeOrthanc, make_spec

var, source = Path(sys.argv[1]), Path(sys.argv[2])
var.mkdir()
files = sorted(source.iterdir())
VERSION = find_app(APP).manifest.application.version
workflow.ORTHANC_ATTEMPTS = 1
calls, seen = [], {}


class Orthanc(FakeOrthanc):
    """Falls silent at the second result of one job."""

    silent_from = 10**9

    def store(self, content):
        if len([one for one in self.held if one.startswith("results-")]) >= self.silent_from:
            raise OrthancUnreachable("http://127.0.0.1", "ConnectError")
        return super().store(content)


orthanc = Orthanc(var / "storage")
place_ = place_of(var, None)
records = Records(place_.records)


def result_of(folder: Path, name: str) -> Result:
    """Two files of the source, under UIDs of their own, stand for results."""
    outputs = []
    for number in range(2):
        dataset = dcmread(files[number])
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = derived_uid(f"{name}/{number}")
        dataset.SeriesInstanceUID = derived_uid(name)
        dataset.save_as(folder / f"{number}.dcm")
        outputs.append(Output(path=f"{number}.dcm", sop_instance_uid=dataset.SOPInstanceUID))
    result = said(Status.DONE, outputs=tuple(outputs))
    (folder / "result.json").write_text(result.model_dump_json(by_alias=True))
    return result


def said(status: Status, *reasons: Reason, **more: object) -> Result:
    return Result(app=APP, version=VERSION, status=status, reasons=reasons, **more)


class Worker:
    """What it does is in the name of the job's series."""

    def run(self, source, output, order, *, timeout_s, on_progress, cancelled):
        name = records.jobs.get(output.parent.name).subject
        calls.append(name)
        if name == "refused":
            return said(Status.REFUSED, Reason(code="missing_slices", message="3 slices are missing"))
        if name == "breaks":
            raise RuntimeError("DOE^JANE")
        if name == "unstorable":
            return Result.model_validate({"status": "DOE^JANE"})
        if name == "away" and calls.count(name) == 1:
            broken = sqlite3.OperationalError("database is locked")
            broken.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("UPDATE jobs", {}, broken)
        if name == "lost":
            raise WorkerLost("the worker ended by signal 9")
        if name == "recalled":
            records.jobs.move(output.parent.name, JobState.RECALLED, "another instance came")
            assert cancelled()
            raise RunCancelled("cancelled")
        seen[f"{name}/order"] = [str(order.clock), order.identity, len(list(source.iterdir()))]
        return result_of(output, name)


def check(place, job, result):
    return ["PatientID is not the source's"] if place.record(job).subject == "stranger" else []


work.check = check
reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
place = Workplace(reader, records, var, SimpleNamespace(of=lambda app: Worker()), timeout_s=30.0)
runner = JobRunner(place, place_, Presence(records.engine, "node", [QUEUE]))
runner.launch(1)


def compute(job: str, tries: int = 1) -> None:
    records.jobs.move(job, JobState.RUNNING, "a slot is free", tries=tries)
    runner.compute(records.jobs.get(job))
    settle(f"{job}.{tries}")


def publish(job: str) -> None:
    records.jobs.move(job, JobState.PUBLISHING, "complete")
    number = records.jobs.times_in(job, JobState.PUBLISHING)
    runner.publish(records.jobs.get(job), number)
    settle(f"{job}.publish.{number}")


def settle(workflow_id: str) -> None:
    deadline = time.monotonic() + 60
    while runner.is_under_way(workflow_id):
        assert time.monotonic() < deadline, workflow_id
        time.sleep(0.01)


def look(name: str, job: str) -> None:
    record, history = records.jobs.get(job), records.jobs.history([job])[job]
    seen[name] = {
        "state": record.state,
        "reason": record.reason,
        "waits_s": max(0.0, record.not_before - time.time()),
        "stored": record.stored,
        "details": [line.detail for line in history],
        "steps": [line.event for line in history if line.event in workflow.STEPS],
        "in_orthanc": len([one for one in record.stored if orthanc.lookup(one["sop_instance_uid"])]),
        "pending": record.subject in {one.orthanc_id for one in records.pending.all()},
        "folder": sorted(p.name for p in place.job_folder(job).iterdir()) if place.job_folder(job).is_dir() else [],
        "quarantine": sorted(p.name for p in (var / "quarantine" / job).glob("*")),
        "notes": sum(b"113001" in content for content in orthanc.contents.values()),
        "safety_notes": sum(b"113037" in content for content in orthanc.contents.values()),
    }


def run(name: str, **changed: object) -> str:
    job = add(name, **changed)
    compute(job)
    look(name, job)
    return job


def add(name: str, **changed: object) -> str:
    """A job on a series of that name."""
    if name not in orthanc.held:
        orthanc.add(name, files)
    parameters = {"of": name}
    digests = reader.series(name).digests
    identity = input_identity(APP, VERSION, parameters, {}, digests, attempt=changed.get("attempt", 0))
    values = {**changed, "parameters": parameters}
    spec = make_spec(subject=name, series_ids=(name,), app_version=VERSION, identity=identity, **values)
    records.jobs.add(spec.job_id, spec, 2, "CT1", "the rule matched")
    return spec.job_id


for name in ("refused", "breaks", "unstorable", "away", "lost", "recalled", "stranger"):
    run(name)
run("shadow", mode="shadow")

done = run("done")
seen["computed"] = seen["done"]
publish(done)
look("done", done)

changed = add("changed")
orthanc.remove("changed", 1)
compute(changed)
look("changed", changed)

called_back = add("called_back")
records.jobs.move(called_back, JobState.RECALLED, "another instance came", tries=1)
runner.compute(records.jobs.get(called_back))
settle(f"{called_back}.1")
look("called_back", called_back)

half = run("half")
orthanc.silent_from = len([one for one in orthanc.held if one.startswith("results-")]) + 1
publish(half)
look("half_stored", half)
orthanc.silent_from = 10**9
orthanc.remove("half", 1)
publish(half)
look("half", half)

off = run("off")
records.switches.off(app_switch(APP), "wrong numbers")
publish(off)
look("off", off)
records.switches.on(app_switch(APP))
publish(off)
look("on_again", off)

again = run("again")
publish(again)
look("published", again)
orthanc.remove("again", 1)
compute(again, tries=2)
look("again", again)

broken = run("broken")
(place.job_folder(broken) / "output" / "result.json").unlink()
for number in range(3):
    publish(broken)
    look(f"broken_{number}", broken)

# The same images under a corrected patient are another series to Orthanc.
newer = run("newer", replaces=(done,), predecessor=records.jobs.get(done).spec.identity)
publish(newer)
look("newer", newer)
look("superseded", done)

orthanc.remove("newer")
runner.withdraw(newer, "the source series is no longer in Orthanc")
settle(f"{newer}.withdraw")
look("withdrawn", newer)

seen["workflows"] = len(DBOS.list_workflows(load_input=False, load_output=False))
seen["purged_old"] = runner.purge(datetime.now(UTC) - timedelta(days=1))
seen["purged"] = runner.purge(datetime.now(UTC) + timedelta(days=1))
seen["left"] = len(DBOS.list_workflows(load_input=False, load_output=False))
sys.stdout.write(json.dumps({"seen": seen, "calls": calls}) + "\n")
sys.stdout.flush()
records.close()
runner.stop()
