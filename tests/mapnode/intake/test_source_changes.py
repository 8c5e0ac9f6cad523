"""Source changes: what is deleted, rejected, corrected or of a study is measured anew; old results are withdrawn."""

import logging

from pydicom import Dataset, dcmread

from mapnode.intake.source import SourceReader
from mapnode.jobs.inputs import current_input
from mapnode.pacs.resources import FoundResource, attachment_path
from mapnode.records import JobState
from operators.core.identity import derived_uid
from tests.mapnode.engine import SERIES
from tests.mapnode.intake.steps import IS_CT, PAIR, all_jobs, settle, states
from tests.mapnode.intake.studies import study_files

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


def test_a_series_that_is_deleted_while_its_result_goes_out_is_withdrawn_after_that(
    make_node, orthanc, files, records, clock
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.PUBLISHING)
    node.intake.touched([SERIES, *orthanc.remove(SERIES)], "it was deleted")
    settle(node, clock, 5)
    records.jobs.move(job.id, JobState.DONE)

    settle(node, clock, 1)

    assert node.said.withdrawn == [job.id]


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


def test_a_result_that_goes_out_while_its_rule_ceases_to_want_the_series_is_withdrawn(
    make_node, orthanc, files, records, clock
):
    node = make_node({"when": [IS_CT, {"fact": "instances", "range": {"min": 5}}]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.PUBLISHING)
    node.intake.touched(orthanc.remove(SERIES, 1), "instances were deleted")
    settle(node, clock, 5)
    records.jobs.move(job.id, JobState.DONE)

    settle(node, clock, 1)

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


# results that Orthanc lost


def of_the_study_of(other, path):
    image = dcmread(path)
    image.StudyInstanceUID = dcmread(other).StudyInstanceUID
    image.save_as(path)
    return path


def keep_lost_result(records, job):
    records.jobs.stored(job.id, [{"path": "seg.dcm", "sop_instance_uid": "1.2.3", "orthanc_id": "a1", "status": ""}])
    records.jobs.move(job.id, JobState.DONE)


def lost_result(node, orthanc, files, records, clock):
    """A published job whose result Orthanc has no more, and the events of its series."""
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)
    (job,) = all_jobs(records)
    keep_lost_result(records, job)
    return job, events


def test_what_orthanc_lost_is_made_by_the_same_job_however_slowly_its_log_is_read_again(
    make_node, orthanc, files, records, clock
):
    job, events = lost_result(make_node(), orthanc, files, records, clock)

    node = make_node()
    for event in events:  # from the change log, one question an instance: there may be a pause between any two
        node.intake.take([event])
        settle(node, clock, 5)

    assert [one.id for one in all_jobs(records)] == [job.id]
    assert states(records) == ["queued"]


def test_what_somebody_rejected_before_it_was_deleted_is_not_made_again(make_node, orthanc, files, records, clock):
    job, events = lost_result(make_node(), orthanc, files, records, clock)
    records.rejections.add(["1.2.3"], "1.2.4", "Rejected for Quality Reasons")

    node = make_node()
    node.intake.take(events)
    settle(node, clock)

    assert [(one.id, one.state) for one in all_jobs(records)] == [(job.id, "done")]


def test_what_is_made_again_is_superseded_where_the_series_grows_meanwhile(make_node, orthanc, files, records, clock):
    job, events = lost_result(make_node(), orthanc, files[1:], records, clock)

    node = make_node()
    node.intake.take(events)
    settle(node, clock)
    node.intake.take(orthanc.add(SERIES, files[:1]))
    settle(node, clock, 5)

    assert states(records) == ["done", "queued"]
    assert all_jobs(records)[1].spec.replaces == (job.id,)


def test_what_is_made_again_is_superseded_where_its_study_rule_applies_to_another_series(
    make_node, orthanc, tmp_path, records, clock
):
    rule = {"study": {"requires": [{"name": "few", "when": [{"fact": "instances", "range": {"max": 3}}, IS_CT]}]}}
    few, many = study_files(tmp_path)
    node = make_node(rule)
    node.intake.take(orthanc.add("few", few))
    settle(node, clock)
    (job,) = all_jobs(records)
    keep_lost_result(records, job)
    records.jobs.move(job.id, JobState.QUEUED, "its results are no longer in Orthanc")

    orthanc.remove("few")
    node.intake.take(orthanc.add("other", [of_the_study_of(few[0], path) for path in many[:2]]))
    settle(node, clock, 5)

    assert states(records) == ["done", "queued"]
    assert all_jobs(records)[1].spec.replaces == (job.id,)


def test_what_could_not_be_made_again_is_superseded_where_the_series_grows(make_node, orthanc, files, records, clock):
    job, _ = lost_result(make_node(), orthanc, files[1:], records, clock)
    records.jobs.move(job.id, JobState.FAILED, "a defect")

    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:1]))
    settle(node, clock, 5)

    assert all_jobs(records)[1].spec.replaces == (job.id,)


def test_what_was_only_on_its_way_is_called_back_and_replaces_nothing(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[1:]))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.stored(job.id, [{"path": "seg.dcm", "sop_instance_uid": "1.2.3", "orthanc_id": "", "status": ""}])
    records.jobs.move(job.id, JobState.WAITING, "the disk is full")
    node.intake.take(orthanc.add(SERIES, files[:1]))
    settle(node, clock, 5)

    assert states(records) == ["recalled", "queued"]
    assert all_jobs(records)[1].spec.replaces == ()


def test_what_arrived_though_orthanc_fell_silent_over_it_is_superseded(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[1:]))
    settle(node, clock)
    (job,) = all_jobs(records)
    stored = [
        {"path": name, "sop_instance_uid": uid, "orthanc_id": "", "status": "on its way"}
        for name, uid in {"seg.dcm": "1.2.3", "sr.dcm": "1.2.4"}.items()
    ]
    records.jobs.stored(job.id, stored)
    records.jobs.move(job.id, JobState.WAITING, "Orthanc does not answer")
    orthanc.uids["1.2.3"] = [FoundResource(id="a1", type="Instance", path="/instances/a1")]
    node.intake.take(orthanc.add(SERIES, files[:1]))
    settle(node, clock, 5)

    assert states(records) == ["done", "queued"]
    assert all_jobs(records)[1].spec.replaces == (job.id,)
    assert [one["orthanc_id"] for one in records.jobs.get(job.id).stored] == ["a1", ""]
