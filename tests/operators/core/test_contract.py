"""The runner contract: documents that survive JSON, statuses that have an exit code."""

import json
from datetime import datetime

import pytest
from pydantic import ValidationError

from operators.core.contract import (
    EXIT_CODES,
    Coded,
    ExitCode,
    Job,
    MeasurementRecord,
    Output,
    Progress,
    Quality,
    QualityFindingRecord,
    Reason,
    Result,
    SelectionRecord,
    SliceRecord,
    Status,
)


def make_result(**changed) -> Result:
    fat = Coded(value="55603005", scheme="SCT", meaning="Adipose tissue")
    values = {
        "app": "test_app",
        "version": "1.2.3",
        "status": Status.DONE,
        "reasons": (Reason(code="a", message="why", instances=("1.2",), files=("x.dcm",)),),
        "identity": "ab" * 32,
        "clock": "2025-01-02T10:15:30",
        "selection": (SelectionRecord(series_instance_uid="1.2", description="T", selected=True, score=33.0),),
        "skipped_files": (Reason(code="skipped", message="no DICOM", files=("notes.txt",)),),
        "outputs": (Output(path="seg.dcm", sop_instance_uid="1.2.3"),),
        "measurements": (MeasurementRecord(segment="fat", name="v", value=1.5, unit="mL", codes={"segment": fat}),),
        "slices": (SliceRecord(index=0, sop_instance_uid="1.2", position_mm=-3.5, area_cm2={"fat": 2.25}),),
        "quality": Quality(verdict="caution", findings=(QualityFindingRecord(code="n", message="noise"),)),
        "timings_s": {"LoadSeries": 0.5},
        "peak_memory_mb": 12.5,
    }
    return Result(**(values | changed))


def test_result_survives_json():
    result = make_result()

    assert Result.model_validate_json(result.to_json()) == result


def test_json_begins_with_the_name_of_its_schema():
    assert next(iter(json.loads(make_result().to_json()).items())) == ("schema", "mapnode.result/1")


def test_json_leaves_out_what_is_not_known():
    document = json.loads(Result(app="a", version="1.0.0", status=Status.FAILED).to_json())

    assert "identity" not in document
    assert "quality" not in document
    assert None not in document.values()


@pytest.mark.parametrize(
    ("status", "code"),
    [("done", 0), ("failed", 1), ("refused", 3), ("not_applicable", 4)],
)
def test_exit_code_follows_the_status(status, code):
    assert make_result(status=status).exit_code == code


def test_every_status_has_an_exit_code_of_its_own():
    assert set(EXIT_CODES) == set(Status)
    assert len(set(EXIT_CODES.values())) == len(Status)
    assert ExitCode.WRONG_USE not in EXIT_CODES.values()


def test_sentence_gives_codes_with_a_refusal_and_reasons_alone_without_one():
    reasons = (Reason(code="gantry_tilt", message="tilted"), Reason(code="no_dicom", message="empty"))

    refused, left = (make_result(status=status, reasons=reasons).sentence for status in ("refused", "not_applicable"))

    assert refused == "refused: gantry_tilt: tilted; no_dicom: empty"
    assert left == "not applicable: tilted; empty"


@pytest.mark.parametrize("fraction", [-0.01, 1.01])
def test_progress_lies_between_0_and_1(fraction):
    with pytest.raises(ValidationError):
        Progress(operator="LoadSeries", fraction=fraction)


@pytest.mark.parametrize(
    "document",
    [
        '{"speed": 1}',
        '{"identity": "short"}',
        '{"version": 2}',
        '{"clock": "soon"}',
        '{"clock": "2025-01-02T10:15:30Z"}',
        '{"predecessor": "x"}',
    ],
)
def test_job_that_cannot_be_is_refused(document):
    with pytest.raises(ValidationError):
        Job.model_validate_json(document)


def test_job_survives_json():
    job = Job(identity="ab" * 32, clock=datetime(2025, 1, 2), parameters={"threshold": 3})

    assert Job.model_validate_json(job.model_dump_json()) == job


def test_records_are_frozen_and_know_their_keys():
    with pytest.raises(ValidationError):
        make_result().app = "other"
    with pytest.raises(ValidationError):
        make_result(speed=1)
