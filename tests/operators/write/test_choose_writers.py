"""choose_writers: an app's manifest states objects, a run wants some of them, and each has one writer."""

import dataclasses

import pytest

from operators.core.contract import Job, ObjectKind
from operators.core.manifest import (
    ApplicationPart,
    Condition,
    Criteria,
    Manifest,
    Model,
    NodePart,
    OutputPart,
    Resources,
    VolumeProperty,
)
from operators.runtime.application import MapApplication, RunContext
from operators.runtime.monitor import Monitor
from operators.write import LABEL_MAP_WRITERS, WriteKeyImage, WriteMeasurementReport, WriteSegmentation, choose_writers
from operators.write.write_segmentation import SegmentationType

STATED = (
    OutputPart(kind=ObjectKind.KEY_IMAGE, description="picture"),
    OutputPart(kind=ObjectKind.SR, description="report"),
    OutputPart(kind=ObjectKind.SEG, description="mask", forms=("labelmap", "binary")),
    OutputPart(kind=ObjectKind.REPORT_PDF, description="page", default=False),
)


def context(tmp_path, job=None, outputs=STATED):
    node = NodePart(
        input=Criteria(must={VolumeProperty.MODALITY: Condition(any_of=("CT",))}),
        model=Model(engine="classical", licence="none"),
        outputs=outputs,
        intended_use="tests",
        refuses=(),
        weak_points=(),
    )
    manifest = Manifest(
        application=ApplicationPart(title="test", version="1.0.0", summary="test"), resources=Resources(), mapnode=node
    )
    return RunContext(tmp_path, tmp_path, None, manifest, job or Job())


def chosen(tmp_path, *arguments, **keywords):
    application = MapApplication(context(tmp_path, *arguments), Monitor())
    return choose_writers(application, **keywords)


def test_every_kind_of_object_has_a_writer_that_emits_it_on_the_port_of_its_name():
    assert set(LABEL_MAP_WRITERS) == set(ObjectKind)
    assert [writer.output for writer, _ in LABEL_MAP_WRITERS.values()] == [str(kind) for kind in LABEL_MAP_WRITERS]


def test_the_manifests_defaults_are_made_in_the_order_of_the_writers(tmp_path):
    assert [type(step) for step in chosen(tmp_path)] == [WriteSegmentation, WriteMeasurementReport, WriteKeyImage]


def test_a_job_chooses_other_objects_and_another_form(tmp_path):
    job = Job(objects={ObjectKind.KEY_IMAGE: False, ObjectKind.REPORT_PDF: True, ObjectKind.SEG: "binary"})

    steps = chosen(tmp_path, job)

    assert [step.output for step in steps] == ["seg", "sr", "report_pdf"]
    assert steps[0].parameters.segmentation_type is SegmentationType.BINARY


def test_writers_know_the_runs_folder_form_and_predecessor(tmp_path):
    seg, sr, picture = chosen(tmp_path, Job(predecessor="a" * 64))

    assert {step.parameters.folder for step in (seg, sr, picture)} == {tmp_path}
    assert seg.parameters.segmentation_type is SegmentationType.LABELMAP
    assert sr.parameters.predecessor == "a" * 64


def test_a_seg_is_binary_where_the_manifest_names_no_form(tmp_path):
    outputs = (OutputPart(kind=ObjectKind.SEG, description="mask"),)

    (seg,) = chosen(tmp_path, None, outputs)

    assert seg.parameters.segmentation_type is SegmentationType.BINARY


def test_ports_that_the_app_has_no_source_for_are_left_out(tmp_path):
    _, sr, _ = chosen(tmp_path, without=("derived", "key_slices"))

    assert not {"derived", "key_slices"} & set(sr.ports)


def test_an_object_that_the_manifest_states_and_nothing_writes_is_an_error_even_where_no_run_wants_it(tmp_path):
    writers = {kind: LABEL_MAP_WRITERS[kind] for kind in (ObjectKind.SEG, ObjectKind.SR, ObjectKind.KEY_IMAGE)}

    with pytest.raises(ValueError, match="report_pdf, which the app has no writer for"):
        chosen(tmp_path, writers=writers)


def test_parameters_are_frozen(tmp_path):
    for step in chosen(tmp_path):
        with pytest.raises(dataclasses.FrozenInstanceError):
            step.parameters.folder = None
