"""Intake: what rests is decided once, what grows calls jobs back, and nothing that waits is lost."""

import logging
from types import SimpleNamespace

import pytest
from pydicom import Dataset, dcmread

from mapnode.app_catalogue import find_app
from mapnode.intake import Corroboration, Intake, Patience
from mapnode.intake import intake as module
from mapnode.intake.deciding import Decider, identified
from mapnode.intake.source import SourceReader
from mapnode.jobs.inputs import current_input
from mapnode.pacs.orthanc_client import attachment_path
from mapnode.records import JobState
from mapnode.rules import RuleSet
from operators.core.identity import derived_uid
from tests.builders import make_ct_series
from tests.mapnode.engine import APP, SERIES, Clock, FakeOrthanc, FakeStager

IS_CT = {"attribute": "Modality", "equals": "CT"}
IS_MR = {"attribute": "Modality", "equals": "MR"}
ANY = {"attribute": "SOPInstanceUID", "exists": True}
PAIR = {"requires": [{"name": "few", "when": [{"fact": "instances", "range": {"max": 3}}, IS_CT]},
                     {"name": "many", "when": [{"fact": "instances", "range": {"min": 4}}, IS_CT]}]}  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def orthanc(tmp_path):
    return FakeOrthanc(tmp_path / "storage")


@pytest.fixture
def files(tmp_path):
    return make_ct_series(tmp_path / "source", slices=5)


@pytest.fixture
def make_node(orthanc, records, clock):
    """Makes an intake with rules; `said` has what it told others."""

    def make(*rules: dict, **patience: float) -> SimpleNamespace:
        named = [{"name": f"rule_{n}", "app": APP, **rule} for n, rule in enumerate(rules or [{"when": [IS_CT]}])]
        reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
        said = SimpleNamespace(asked=[], outlooks=[], withdrawn=[])
        decider = Decider(reader, records, RuleSet.model_validate({"rules": named}), {}, max_chain_depth=3)
        stager = FakeStager()
        intake = Intake(
            reader, records, decider, Patience(**patience),
            on_outlook=lambda outlook: said.outlooks.append(outlook.apps),
            ask=lambda known, last, aet: said.asked.append((known.source.id, last, aet)),
            on_withdrawn=lambda job, _: said.withdrawn.append(job),
            stager=stager,
        )  # fmt: skip
        return SimpleNamespace(intake=intake, said=said, stager=stager)

    return make


def settle(node, clock, seconds=0.5) -> None:
    clock.now += seconds
    node.intake.decide_settled()


def states(records) -> list[str]:
    return [str(job.state) for job in reversed(records.jobs.newest())]


def all_jobs(records):
    return list(reversed(records.jobs.newest()))


# waiting


def test_what_came_is_stored_before_anything_is_made_of_it(make_node, orthanc, files, records):
    make_node().intake.take(orthanc.add(SERIES, files))

    assert [one.orthanc_id for one in records.pending.all()] == [SERIES]
    assert states(records) == []


def test_a_series_is_decided_at_the_settle_time_and_not_before(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))

    settle(node, clock, 0.49)
    before = states(records)
    settle(node, clock, 0.01)

    assert (before, states(records)) == ([], ["queued"])
    assert records.pending.all() == []


def test_the_settle_time_counts_from_the_last_instance(make_node, orthanc, files, records, clock):
    node = make_node()
    for file in files:
        node.intake.take(orthanc.add(SERIES, [file]))
        settle(node, clock, 0.1)

    before = states(records)
    settle(node, clock, 0.5)

    assert (before, states(records)) == ([], ["queued"])


def test_a_series_with_a_hole_is_given_more_time(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, [files[0], files[1], files[3]]))
    settle(node, clock, 0.5)
    before = states(records)

    settle(node, clock, 4.5)

    assert (before, states(records)) == ([], ["queued"])


def test_the_next_look_is_when_the_first_series_has_settled(make_node, orthanc, files, clock):
    node = make_node()
    nothing = node.intake.next_look_s()
    node.intake.take(orthanc.add(SERIES, files))
    clock.now += 0.2

    assert nothing is None
    assert node.intake.next_look_s() == pytest.approx(0.3)


def test_what_waited_at_a_crash_is_decided_after_it(make_node, orthanc, files, records, clock):
    make_node().intake.take(orthanc.add(SERIES, files))
    restarted = make_node()

    settle(restarted, clock)

    assert states(records) == ["queued"]


def test_a_series_that_another_thread_made_wait_is_decided_without_a_restart(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.RECALLED, "the source changed while it ran")

    records.pending.grew([SERIES], 0.0)
    node.intake.adopt()
    settle(node, clock, 5)

    assert states(records) == ["recalled", "queued"]
    assert records.pending.all() == []


def test_while_orthanc_is_silent_it_is_not_asked_at_every_look(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    orthanc.down = True
    clock.now += 1
    for _ in range(50):
        node.intake.decide_settled()
        clock.now += 0.001

    asked, orthanc.down = orthanc.asked, False
    settle(node, clock, 2)

    assert asked <= 2
    assert states(records) == ["queued"]


def test_a_series_that_cannot_be_read_keeps_nobody_else_waiting(make_node, orthanc, files, records, clock, caplog):
    node = make_node()
    (event,) = orthanc.add("broken", files[:1])
    orthanc.contents[event.id] = b"no DICOM"
    attachment_path(event.file_uuid, orthanc.storage).write_bytes(b"no DICOM")
    node.intake.take([event, *orthanc.add(SERIES, files[1:])])

    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        settle(node, clock)
        node.intake.decide_settled()

    assert states(records) == ["queued"]
    assert [one.orthanc_id for one in records.pending.all()] == ["broken"]


# deciding


def test_a_job_knows_its_rule_its_app_and_its_input(make_node, orthanc, files, records, clock):
    header = dcmread(files[0])
    node = make_node({"when": [IS_CT], "priority": "stat", "parameters": {"a": 1}, "mode": "shadow"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    (job,) = all_jobs(records)
    spec = job.spec
    assert (job.priority, job.source, job.subject) == (1, "SCANNER", SERIES)
    assert (spec.rule, spec.app, spec.parameters, spec.mode) == ("rule_0", APP, {"a": 1}, "shadow")
    assert spec.app_version == find_app(APP).manifest.application.version
    assert (spec.study_instance_uid, spec.series_instance_uid) == (header.StudyInstanceUID, header.SeriesInstanceUID)
    assert (spec.series_ids, spec.attempt, spec.predecessor, spec.replaces) == ((SERIES,), 0, None, ())
    assert {(one[0], one[2]) for one in node.said.asked} == {(SERIES, "SCANNER")}


def test_a_series_that_no_rule_wants_is_recorded_with_the_clause_that_decided(
    make_node, orthanc, files, records, clock
):
    node = make_node({"when": [IS_CT, IS_MR]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    (decision,) = records.decisions.all()
    assert (decision.matched, decision.job_id, [c["held"] for c in decision.clauses]) == (False, None, [True, False])
    assert (states(records), node.said.asked) == ([], [])


def test_a_rule_that_is_off_is_not_asked(make_node, orthanc, files, records, clock):
    node = make_node({"when": [IS_CT], "mode": "off"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    assert (records.decisions.all(), states(records)) == ([], [])


def test_the_same_instances_again_make_no_second_job(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)

    node.intake.take(events)
    settle(node, clock, 60)

    assert states(records) == ["queued"]
    assert len(records.decisions.all()) == 1


def test_a_done_series_that_is_told_again_after_a_restart_does_not_run_twice(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    restarted = make_node()
    restarted.intake.take(events)
    settle(restarted, clock, 60)

    assert states(records) == ["done"]


# late instances


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.SHADOW])
def test_a_late_instance_calls_back_what_is_not_published_and_a_new_job_follows(
    make_node, orthanc, files, records, clock, state
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, state)

    node.intake.take(orthanc.add(SERIES, files[4:]))
    at_once = states(records)
    settle(node, clock, 5)

    assert at_once == ["recalled"]
    assert states(records) == ["recalled", "queued"]
    assert len({job.spec.identity for job in all_jobs(records)}) == 2


def test_a_series_that_grew_while_a_result_goes_out_is_decided_after_that(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.PUBLISHING)
    node.intake.take(orthanc.add(SERIES, files[4:]))
    settle(node, clock, 5)
    during = states(records)
    records.jobs.move(job.id, JobState.DONE)

    settle(node, clock, 1)

    assert during == ["publishing"]
    assert states(records) == ["done", "queued"]


def test_a_job_after_a_late_instance_supersedes_the_published_one(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)

    node.intake.take(orthanc.add(SERIES, files[4:]))
    settle(node, clock, 5)

    second = all_jobs(records)[1]
    assert (second.spec.predecessor, second.spec.replaces) == (first.spec.identity, (first.id,))


def test_the_same_input_after_it_was_taken_back_is_a_further_attempt(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.SUPERSEDED)

    node.intake.changed(SERIES, "it was resent")
    settle(node, clock, 5)

    second = all_jobs(records)[1]
    assert (second.spec.attempt, second.state) == (1, "queued")
    assert second.spec.identity != first.spec.identity


def test_a_forced_series_runs_once_more_and_only_once(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)
    records.jobs.stored(first.id, [])

    node.intake.force(SERIES)
    settle(node, clock)
    settle(node, clock, 60)

    _, second = all_jobs(records)
    assert (second.spec.attempt, second.spec.replaces) == (1, (first.id,))


def test_a_forced_series_takes_the_place_of_its_job_under_way(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.RUNNING)

    node.intake.force(SERIES)
    settle(node, clock)

    assert states(records) == ["recalled", "queued"]


def test_a_forced_series_is_forced_after_a_crash_too(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)
    node.intake.force(SERIES)

    settle(make_node(), clock)

    assert states(records) == ["done", "queued"]


# the source changes


def test_a_deleted_series_calls_back_and_withdraws(make_node, orthanc, files, records, clock):
    node = make_node({"when": [IS_CT]}, {"when": [IS_CT]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    done, waiting = all_jobs(records) if len(all_jobs(records)) == 2 else (all_jobs(records)[0], None)
    records.jobs.move(done.id, JobState.DONE)

    node.intake.touched([SERIES, *orthanc.remove(SERIES)], "it was deleted")
    settle(node, clock, 5)

    assert node.said.withdrawn == [done.id]
    assert waiting is None or records.jobs.state(waiting.id) is JobState.RECALLED
    assert records.pending.all() == []


def test_a_deleted_instance_has_the_series_measured_anew(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)

    node.intake.touched(orthanc.remove(SERIES, 1), "instances were deleted")
    settle(node, clock, 5)

    first, second = all_jobs(records)
    assert second.spec.replaces == (first.id,)


def rejection_of(files, title="113001") -> bytes:
    note = Dataset()
    note.file_meta = dcmread(files[0]).file_meta
    source = dcmread(files[0], stop_before_pixels=True)
    note.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
    note.SOPInstanceUID, note.SeriesInstanceUID = derived_uid("note"), derived_uid("notes")
    note.StudyInstanceUID, note.PatientID, note.Modality = source.StudyInstanceUID, source.PatientID, "KO"
    code, series, study = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = title, "DCM", "Rejected"
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedSOPSequence = [_reference(file) for file in files]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = source.StudyInstanceUID, [series]
    note.ConceptNameCodeSequence, note.CurrentRequestedProcedureEvidenceSequence = [code], [study]
    note.file_meta.MediaStorageSOPClassUID = note.SOPClassUID
    note.file_meta.MediaStorageSOPInstanceUID = note.SOPInstanceUID
    path = files[0].with_name("note.bin")
    note.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    path.unlink()
    return content


def _reference(file) -> Dataset:
    header, item = dcmread(file, stop_before_pixels=True), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return item


def test_rejected_instances_are_no_input_any_more(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)

    node.intake.take(orthanc.add("notes", [rejection_of(files[3:])]))
    settle(node, clock)
    settle(node, clock, 5)

    first, second = all_jobs(records)
    assert second.spec.replaces == (first.id,)


def test_a_series_that_was_rejected_as_a_whole_is_withdrawn(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    node.intake.take(orthanc.add("notes", [rejection_of(files)]))
    settle(node, clock)
    settle(node, clock, 5)

    assert node.said.withdrawn == [job.id]


# study rules


def study_files(tmp_path):
    return [make_ct_series(tmp_path / seed, slices=slices, uid_seed=seed) for seed, slices in (("b", 2), ("a", 6))]


def test_a_study_rule_makes_one_job_once_all_its_series_rest(make_node, orthanc, tmp_path, records, clock):
    node = make_node({"study": PAIR})
    few, many = study_files(tmp_path)
    node.intake.take(orthanc.add("few", few))
    settle(node, clock)
    before = states(records)
    node.intake.take(orthanc.add("many", many))
    settle(node, clock)

    (job,) = all_jobs(records)
    assert before == []
    assert sorted(job.spec.series_ids) == ["few", "many"]
    assert job.subject == "study-1"


def test_the_second_result_of_a_study_replaces_the_first_whichever_series_grew(
    make_node, orthanc, tmp_path, records, clock
):
    node = make_node({"study": PAIR})
    few, many = study_files(tmp_path)
    node.intake.take(orthanc.add("many", many[:5]))
    settle(node, clock)
    node.intake.take(orthanc.add("few", few))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)

    node.intake.take(orthanc.add("many", many[5:]))
    settle(node, clock, 5)

    second = all_jobs(records)[1]
    assert second.spec.replaces == (first.id,)
    assert second.spec.predecessor == first.spec.identity
    assert second.spec.series_instance_uid == first.spec.series_instance_uid


def test_rejected_instances_are_no_input_of_a_study_either(make_node, orthanc, tmp_path, records, clock):
    node = make_node({"study": PAIR})
    few, many = study_files(tmp_path)
    records.rejections.add([str(dcmread(many[0]).SOPInstanceUID)], "1.2", "Rejected for Quality Reasons")
    node.intake.take(orthanc.add("many", many))
    settle(node, clock)
    node.intake.take(orthanc.add("few", few))
    settle(node, clock)

    (job,) = all_jobs(records)
    reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
    assert sum(len(one.instances) for one in current_input(reader, job.spec)) == 7


def test_a_study_result_is_withdrawn_with_one_of_its_series(make_node, orthanc, tmp_path, records, clock):
    node = make_node({"study": PAIR})
    few, many = study_files(tmp_path)
    node.intake.take([*orthanc.add("few", few), *orthanc.add("many", many)])
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    node.intake.touched(["few", *orthanc.remove("few")], "it was deleted")
    settle(node, clock, 5)

    assert node.said.withdrawn == [job.id]


def test_a_series_that_cannot_be_read_does_not_hold_up_its_study_for_ever(
    make_node, orthanc, files, tmp_path, records, clock, caplog
):
    node = make_node({"study": PAIR})
    (event,) = orthanc.add("broken", files[:1])
    orthanc.contents[event.id] = b"no DICOM"
    attachment_path(event.file_uuid, orthanc.storage).write_bytes(b"no DICOM")
    few, many = study_files(tmp_path)
    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        node.intake.take([*orthanc.add("few", few), *orthanc.add("many", many)])
        node.intake.take([event])
        settle(node, clock)
        settle(node, clock)

    assert states(records) == ["queued"]


# the same UIDs under another patient


def under_another_patient(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)
    copies = []
    for file in files:
        dataset = dcmread(file)
        dataset.PatientID = "ANOTHER"
        dataset.save_as(file)
        copies.append(file)
    return node, first, copies


def test_a_copy_for_research_takes_the_place_of_nothing(make_node, orthanc, files, records, clock):
    node, _, copies = under_another_patient(make_node, orthanc, files, records, clock)

    node.intake.take(orthanc.add("copy", copies, "other-study"))
    settle(node, clock)

    assert all_jobs(records)[1].spec.replaces == ()


def test_a_corrected_study_takes_the_place_of_what_it_corrects(make_node, orthanc, files, records, clock):
    node, first, copies = under_another_patient(make_node, orthanc, files, records, clock)
    orthanc.remove(SERIES)

    node.intake.take(orthanc.add("corrected", copies, "other-study"))
    settle(node, clock)

    assert all_jobs(records)[1].spec.replaces == (first.id,)


# what cannot be stored


def test_instances_that_could_not_be_stored_are_news_when_they_are_told_again(
    make_node, orthanc, files, records, clock, monkeypatch
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    late = orthanc.add(SERIES, files[4:])

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(records.pending, "grew", fail)
        with pytest.raises(OSError, match="No space"):
            node.intake.take(late)
    node.intake.take(late)

    assert states(records) == ["recalled"]
    assert [one.orthanc_id for one in records.pending.all()] == [SERIES]


# corroboration


def test_what_is_said_of_a_series_holds_until_another_instance_comes(make_node, orthanc, files, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    known = node.intake.series[SERIES]
    node.intake.corroborate(SERIES, known.last, Corroboration(4, "CT1"))
    before = list(known.corroborations)
    node.intake.take(orthanc.add(SERIES, files[4:]))

    assert (before, known.corroborations) == ([Corroboration(4, "CT1")], [])


def test_what_was_asked_of_a_series_before_it_grew_or_of_an_unknown_one_counts_for_nothing(
    make_node, orthanc, files, clock
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    asked = node.intake.series[SERIES].last
    clock.now += 0.1
    node.intake.take(orthanc.add(SERIES, files[4:]))

    node.intake.corroborate(SERIES, asked, Corroboration(5, "CT1"))
    node.intake.corroborate("unknown", asked, Corroboration(4, "CT1"))

    assert node.intake.series[SERIES].corroborations == []


def test_whether_a_series_is_complete_is_asked_once_a_tenth_of_the_silence_is_over(make_node, orthanc, files, clock):
    node = make_node(settle_s=0.4)
    node.intake.take(orthanc.add(SERIES, files))
    last = node.intake.series[SERIES].last
    asked = []
    for _ in range(3):
        settle(node, clock, 0.03)
        asked.append(list(node.said.asked))

    assert asked == [[], [(SERIES, last, "SCANNER")], [(SERIES, last, "SCANNER")]]
    assert node.said.outlooks == [{APP}]


def test_what_was_seen_ahead_is_decided_on_without_asking_orthanc_again(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 0.2)
    asked = orthanc.asked
    settle(node, clock, 0.3)

    assert (states(records), orthanc.asked) == (["queued"], asked)


def test_what_was_seen_ahead_counts_for_nothing_once_another_instance_came(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock, 0.2)
    node.intake.take(orthanc.add(SERIES, files[4:]))
    node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(5, "CT1"))
    settle(node, clock, 0.0)

    (job,) = all_jobs(records)
    digests = SourceReader(orthanc, orthanc.storage, records.rejections.among).series(SERIES).digests
    assert (len(digests), identified(job.spec, digests)) == (5, job.spec)


def test_what_was_seen_ahead_too_long_ago_is_not_decided_on(make_node, orthanc, files, records, clock):
    node = make_node(settle_s=5.0, publish_quiet_s=5.0)
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 1.0)
    orthanc.remove(SERIES)
    settle(node, clock, 4.0)

    assert states(records) == []


def test_a_series_of_which_somebody_says_that_all_has_come_is_not_waited_for(make_node, orthanc, files, records, clock):
    node = make_node(settle_s=10.0)
    node.intake.take(orthanc.add(SERIES, files))
    node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(5, "CT1"))
    settle(node, clock, 0.1)

    assert states(records) == ["queued"]
    assert node.said.asked == []


@pytest.mark.parametrize("counts", [[4], [6], [5, 6]])
def test_a_series_of_which_somebody_says_another_count_is_waited_for(make_node, orthanc, files, records, clock, counts):
    node = make_node(settle_s=10.0)
    node.intake.take(orthanc.add(SERIES, files))
    for count in counts:
        node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(count, "CT1"))
    settle(node, clock, 5.0)

    assert states(records) == []


def test_a_series_that_waits_already_is_not_written_down_with_every_instance(
    make_node, orthanc, files, records, clock, monkeypatch
):
    node, written = make_node(), []
    grew = records.pending.grew
    monkeypatch.setattr(records.pending, "grew", lambda ids, at: (written.append(set(ids)), grew(ids, at)))
    for file in files:
        node.intake.take(orthanc.add(SERIES, [file]))

    assert written == [{SERIES}]


# chains


def own(files, tmp_path, name="result"):
    """A file that says that mapnode made it."""
    dataset = dcmread(files[0])
    dataset.ImageType, dataset.Manufacturer = ["DERIVED", "PRIMARY"], "mapnode"
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = derived_uid(f"{name}/1"), derived_uid(name)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path = tmp_path / f"{name}.dcm"
    dataset.save_as(path)
    return path


def run_chain(node, orthanc, records, clock, tmp_path, files, most=12) -> list[str]:
    """Have every job make a result that comes back, as long as jobs follow; the rules that ran."""
    ran = []
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 5)
    while len(ran) < most and (job := next(iter(records.jobs.in_states({JobState.QUEUED})), None)):
        ran.append(job.spec.rule)
        result = own(files, tmp_path, f"result-{len(ran)}")
        records.jobs.made(job.id, [str(dcmread(result).SOPInstanceUID)])
        records.jobs.move(job.id, JobState.DONE)
        node.intake.take(orthanc.add(f"result-{len(ran)}", [result]))
        settle(node, clock, 5)
    return ran


def test_a_result_starts_no_rule_that_did_not_ask_for_results(make_node, orthanc, files, records, clock, tmp_path):
    node = make_node({"when": [ANY]})

    assert run_chain(node, orthanc, records, clock, tmp_path, files) == ["rule_0"]


def test_a_rule_is_never_started_by_its_own_result(make_node, orthanc, files, records, clock, tmp_path):
    node = make_node({"when": [ANY], "own_results": True})

    assert run_chain(node, orthanc, records, clock, tmp_path, files) == ["rule_0"]


def test_rules_that_lead_to_each_other_end(make_node, orthanc, files, records, clock, tmp_path):
    both = {"when": [ANY], "own_results": True}
    node = make_node(both, {**both, "parameters": {"a": 1}})

    assert sorted(run_chain(node, orthanc, records, clock, tmp_path, files)) == ["rule_0"] * 2 + ["rule_1"] * 2


def test_a_chain_is_no_deeper_than_it_may_be(make_node, orthanc, files, records, clock, tmp_path):
    rules = [{"when": [IS_CT, {"attribute": "ImageType", "equals": "ORIGINAL"}]}]
    rules += [{"when": [ANY], "own_results": True, "parameters": {"a": n}} for n in range(5)]
    node = make_node(*rules)

    run_chain(node, orthanc, records, clock, tmp_path, files, most=200)

    assert max(len(job.spec.chain) for job in all_jobs(records)) == 3


def test_a_result_that_comes_back_under_another_ae_title_after_a_restart_is_known(
    make_node, orthanc, files, records, clock, tmp_path
):
    rules = {"when": [ANY], "own_results": True}
    assert run_chain(make_node(rules), orthanc, records, clock, tmp_path, files) == ["rule_0"]
    stripped = dcmread(own(files, tmp_path, "result-1"))
    stripped.Manufacturer, stripped.SeriesDescription = "PACS", "coerced"
    stripped.save_as(tmp_path / "coerced.dcm")
    orthanc.remove("result-1")
    orthanc.calling_aet = "PACS"

    restarted = make_node(rules)
    restarted.intake.take(orthanc.add("result-1", [tmp_path / "coerced.dcm"]))
    settle(restarted, clock, 5)

    assert states(records) == ["done"]


# memory


def test_what_rests_for_long_is_forgotten_and_what_has_a_job_to_come_is_not(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:2]))
    node.intake.take(orthanc.add("other", files[2:]))
    settle(node, clock)
    records.jobs.move(records.jobs.of_subject("other")[0].id, JobState.DONE)

    clock.now += module.FORGET_S + 1
    node.intake.forget()

    assert set(node.intake.series) == {SERIES}


def test_a_shadow_job_that_nobody_releases_keeps_nothing_in_memory(make_node, orthanc, files, records, clock):
    node = make_node({"when": [IS_CT], "mode": "shadow"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.SHADOW)

    clock.now += module.FORGET_S + 1
    node.intake.forget()

    assert node.intake.series == {}
    assert make_node().intake.series == {}


def test_what_is_kept_in_memory_is_bounded_by_instances(make_node, orthanc, files, records, clock, monkeypatch):
    monkeypatch.setattr(module, "KEPT_INSTANCES", 6)
    node = make_node({"when": [IS_MR]})
    for number in range(4):
        node.intake.take(orthanc.add(f"series-{number}", files[:3]))
        settle(node, clock, 5)

    node.intake.forget()

    assert set(node.intake.series) == {"series-2", "series-3"}
    assert node.stager.dropped == ["series-0", "series-1"] or set(node.stager.dropped) >= {"series-0", "series-1"}


def test_a_stage_of_a_series_at_rest_is_given_back(make_node, orthanc, files, clock):
    node = make_node({"when": [IS_MR]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    clock.now += module.STAGE_S + 1

    node.intake.forget()
    node.intake.forget()

    assert node.stager.dropped == [SERIES]


def test_a_result_is_withdrawn_when_its_rule_wants_the_changed_series_no_more(
    make_node, orthanc, files, records, clock
):
    node = make_node({"when": [IS_CT, {"fact": "instances", "range": {"min": len(files)}}]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    orthanc.remove(SERIES, 1)
    node.intake.changed(SERIES, "an instance was deleted")
    settle(node, clock, 5)

    assert node.said.withdrawn == [job.id]


def test_a_result_stays_when_only_the_rules_changed(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    other = make_node({"when": [{**IS_CT, "equals": "MR"}]})
    other.intake.force(SERIES)
    settle(other, clock, 5)

    assert other.said.withdrawn == []


def test_after_lost_events_what_changed_is_decided_again_and_what_did_not_goes_on(
    make_node, orthanc, files, records, clock
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    node.intake.take(orthanc.add("same", files))
    settle(node, clock)
    before = {job.spec.subject: job.id for job in all_jobs(records)}

    orthanc.remove(SERIES, 1)
    node.intake.doubt()
    settle(node, clock, 5)

    assert [job.state for job in records.jobs.of_subject("same", set(JobState))] == ["queued"]
    of_changed = records.jobs.of_subject(SERIES, set(JobState))
    assert [(job.id == before[SERIES], job.state) for job in of_changed] == [(True, "recalled"), (False, "queued")]
