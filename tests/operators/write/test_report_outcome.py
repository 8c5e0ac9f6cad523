"""ReportOutcome: the record of the run says what the operators found."""

import dataclasses

import pytest
from pydicom import dcmread

from operators.core import codes
from operators.core.contract import Result, Status
from operators.core.measurements import LARGEST_AREA, DerivedValue, KeySlice, Measurement, NotComputed, Quantity
from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.measure.measure_key_slices import AREA
from operators.measure.measure_segments import MEAN_HU
from operators.runtime.outcome import Outcome
from operators.runtime.sdk import Application
from operators.write.report_outcome import ReportOutcome
from operators.write.written import WrittenFile
from tests.builders import (
    TISSUES,
    make_ct_series,
    make_identity,
    make_label_map,
    make_loaded_folder,
    make_measurements,
    make_quality,
    make_selection,
    make_slice_areas,
    make_volume,
)

RATIO = Quantity("bone_to_fat", "ratio", codes.RATIO, codes.RATIO_UNIT)
DERIVED = (
    DerivedValue(RATIO, "Bone to fat", "volume of Bone / volume of Fat", ("bone", "fat"), 0.75),
    DerivedValue(RATIO, "Muscle to fat", "volume of Muscle / volume of Fat", ("muscle", "fat"), None, "no muscle"),
)
KEY_SLICES = (
    KeySlice("fat", LARGEST_AREA, 5, "1.2.5", (Measurement(AREA, 12.5), Measurement(MEAN_HU, -101.5))),
    KeySlice("fat", "iliac_crest", 7, "1.2.7", (Measurement(AREA, 8.25), Measurement(MEAN_HU, -99.5))),
)


def example(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)
    first, second = make_ct_series(tmp_path, slices=2)
    inputs = {
        "folder": make_loaded_folder(volume),
        "selection": make_selection(volume),
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "derived": DERIVED,
        "key_slices": KEY_SLICES,
        "slice_areas": make_slice_areas(volume, label_map),
        "quality": make_quality(),
        "identity": make_identity(),
        "seg": WrittenFile(first, dcmread(first)),
        "sr": WrittenFile(second, dcmread(second)),
        "key_image": WrittenFile(tmp_path / "key_image.png"),
    }
    return Outcome(), inputs


@pytest.fixture
def reported(tmp_path):
    outcome, inputs = example(tmp_path)
    ReportOutcome(Application(), outcome).process(**inputs)
    return Result(app="test_app", version="1.2.3", status=Status.DONE, **outcome.fields), inputs


def test_every_number_is_recorded_once_with_its_unit(reported):
    result, inputs = reported

    recorded = [(m.segment, m.name, m.value, m.unit) for m in result.measurements]

    assert recorded == [
        (measured.segment_name, value.quantity.name, value.value, value.quantity.unit)
        for measured in inputs["measurements"]
        for value in measured.values
    ]
    assert len(recorded) == 3 * 3 + 1


def test_number_carries_the_codes_of_segment_concept_and_unit(reported):
    result, _ = reported

    fat_mean = next(m for m in result.measurements if (m.segment, m.name) == ("fat", "mean_hu"))

    values = {key: code.value for key, code in fat_mean.codes.items()}
    assert values == {
        "segment": TISSUES[2].type.value,
        "region": TISSUES[2].region.value,
        "concept": "112031",
        "derivation": "373098007",
        "unit": "[hnsf'U]",
    }


def test_derived_values_are_recorded_with_equation_or_reason(reported):
    result, _ = reported

    computed, missing = result.derived

    assert (computed.name, computed.value, computed.unit, computed.reason) == ("bone_to_fat", 0.75, "ratio", None)
    assert (computed.segments, computed.definition) == (("bone", "fat"), "volume of Bone / volume of Fat")
    assert {key: code.value for key, code in computed.codes.items()} == {"concept": "118586006", "unit": "{ratio}"}
    assert (missing.value, missing.reason) == (None, "no muscle")


def test_key_slices_are_recorded_with_their_numbers(reported):
    result, _ = reported

    assert [(row.segment, row.role, row.index, row.sop_instance_uid, row.values) for row in result.key_slices] == [
        ("fat", "largest_area", 5, "1.2.5", {"area_cm2": 12.5, "mean_hu": -101.5}),
        ("fat", "iliac_crest", 7, "1.2.7", {"area_cm2": 8.25, "mean_hu": -99.5}),
    ]


def test_choice_of_series_is_recorded_with_its_reasons(reported):
    result, inputs = reported

    assert [(s.selected, s.score, s.reasons) for s in result.selection] == [
        (True, 2.0, ()),
        (False, None, ("slices: 2, at least 10 needed",)),
    ]
    assert result.selection[0].series_instance_uid == inputs["selection"].volume.series.uid


def test_skipped_files_quality_and_identity_are_recorded(reported):
    result, inputs = reported

    assert [(s.code, s.files) for s in result.skipped_files] == [("skipped", ("notes.txt",))]
    assert (result.quality.verdict, result.quality.findings[0].code) == ("caution", "in_the_thorax")
    assert (result.identity, result.clock) == (inputs["identity"].sha256, "2025-01-02T10:15:30")


def test_files_are_recorded_in_order(reported):
    result, inputs = reported

    assert [output.path for output in result.outputs] == ["ct_0000.dcm", "ct_0001.dcm", "key_image.png"]
    assert result.outputs[0].sop_instance_uid == inputs["seg"].dataset.SOPInstanceUID


def test_slice_table_has_a_row_a_slice(reported):
    result, inputs = reported

    assert [(row.index, row.area_cm2) for row in result.slices] == [
        (areas.index, pytest.approx(areas.area_cm2)) for areas in inputs["slice_areas"]
    ]


def test_recorded_result_survives_json(reported):
    result, _ = reported

    assert Result.model_validate_json(result.to_json()) == result


def test_a_result_that_is_held_leaves_the_verdict_and_the_file_that_withholds_alone(tmp_path):
    outcome, inputs = example(tmp_path)
    (tmp_path / "key_image.png").write_bytes(b"a picture with numbers")
    quality = QualityReport((QualityFinding("scale", "HU are shifted.", Severity.HOLD),), ("nothing else",))
    sr = dataclasses.replace(inputs["sr"], withholds=True)

    ReportOutcome(Application(), outcome).process(**inputs | {"quality": quality, "sr": sr})

    result = Result(app="test_app", version="1.2.3", status=Status.DONE, **outcome.fields)
    assert (result.measurements, result.derived, result.key_slices, result.slices) == ((), (), (), ())
    assert [output.path for output in result.outputs] == ["ct_0001.dcm"]
    assert {path.name for path in tmp_path.iterdir()} == {"ct_0001.dcm"}
    assert (result.quality.verdict, result.quality.not_checked) == ("hold", ("nothing else",))
    assert [(f.code, f.severity) for f in result.quality.findings] == [("scale", "hold")]


def test_level_reason_and_sides_are_recorded(tmp_path):
    outcome, inputs = example(tmp_path)
    lost = dataclasses.replace(DERIVED[1], reason_code=NotComputed.NO_LEVEL, level="vertebra_l3")
    sided = dataclasses.replace(inputs["slice_areas"][0], left_cm2={"fat": 1.0}, right_cm2={"fat": 2.0})
    ReportOutcome(Application(), outcome).process(**inputs | {"derived": (lost,), "slice_areas": (sided,)})

    (derived,), (row,) = outcome.fields["derived"], outcome.fields["slices"]

    assert (derived.reason_code, derived.level) == ("no_level", "vertebra_l3")
    assert (row.left_cm2, row.right_cm2) == ({"fat": 1.0}, {"fat": 2.0})
