"""WriteMeasurementReport: every number is in the SR with its code, unit and segment (PS3.16 TID 1500)."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from operators.core.object_checks import check_object
from operators.runtime.sdk import Application
from operators.write.marking import save
from operators.write.write_measurement_report import WriteMeasurementReport, build_report
from operators.write.write_segmentation import WriteParameters, build_segmentation
from operators.write.written import WrittenFile
from tests.builders import (
    ALGORITHM,
    TISSUES,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_selection,
    make_volume,
)

MAY_BE_ABSENT = (
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesNumber",
    "SliceThickness",
    "Manufacturer",
    "PositionReferenceIndicator",
    "InstanceNumber",
)
"""Type 2 and 3 of CT images (PS3.3 A.3): scanners, and whoever removes names, leave them out."""
READER = Path(sys.executable).parent / "tid1500reader"
MEAN, STANDARD_DEVIATION = "373098007", "386136009"


def make_inputs(folder, volume=None):
    volume = volume or make_volume()
    label_map, identity = make_label_map(volume), make_identity()
    seg = build_segmentation(volume, label_map, identity)
    save(seg, folder / "seg.dcm")
    return {
        "volume": volume,
        "label_map": label_map,
        "seg": WrittenFile(folder / "seg.dcm", seg),
        "measurements": make_measurements(label_map),
        "quality": make_quality(),
        "selection": make_selection(volume),
        "identity": identity,
    }


def example(tmp_path):
    return WriteParameters(tmp_path), make_inputs(tmp_path)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("in"))


@pytest.fixture(scope="module")
def path(inputs, tmp_path_factory):
    return write(tmp_path_factory.mktemp("out"), inputs)


@pytest.fixture(scope="module")
def report(path):
    return dcmread(path)


def write(folder, inputs) -> Path:
    return WriteMeasurementReport(Application(), WriteParameters(folder)).process(**inputs).path


def walk(item):
    yield item
    for child in item.get("ContentSequence", []):
        yield from walk(child)


def concept(item) -> str:
    return item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""


def groups(report):
    """Measurement Group containers (125007, DCM)."""
    return [item for item in walk(report) if item.ValueType == "CONTAINER" and concept(item) == "125007"]


def child(group, code):
    return next(item for item in group.ContentSequence if concept(item) == code)


def group_of(report, inputs, segment):
    number = inputs["label_map"].segments.index(segment) + 1
    for group in groups(report):
        for item in group.ContentSequence:
            if concept(item) == "121191" and item.ReferencedSOPSequence[0].ReferencedSegmentNumber == number:
                return group
    raise AssertionError(f"no group for {segment.name}")


def numbers(group) -> list[tuple[str, str, float, str]]:
    """Concept, derivation, value, unit of each NUM."""
    found = []
    for item in walk(group):
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            modifiers = [c.ConceptCodeSequence[0].CodeValue for c in walk(item) if concept(c) == "121401"]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found.append((concept(item), "".join(modifiers), float(value.NumericValue), unit))
    return found


@pytest.mark.parametrize("segment", TISSUES[:3], ids=lambda s: s.name)
def test_every_number_stands_in_the_group_of_its_segment(report, inputs, segment):
    (measured,) = [m for m in inputs["measurements"] if m.segment_name == segment.name]
    volume, mean, deviation = (value.value for value in measured.values)

    assert sorted(numbers(group_of(report, inputs, segment))) == sorted([
        ("118565006", "", volume, "cm3"),
        ("112031", MEAN, mean, "[hnsf'U]"),
        ("112031", STANDARD_DEVIATION, deviation, "[hnsf'U]"),
    ])


def test_no_other_number_is_in_the_report(report, inputs):
    expected = sum(len(measured.values) for measured in inputs["measurements"] if measured.voxels)

    assert len(numbers(report)) == expected


@pytest.mark.parametrize("segment", TISSUES[:3], ids=lambda s: s.name)
def test_group_references_the_segment_and_shares_its_tracking(report, inputs, segment):
    seg = inputs["seg"].dataset
    group = group_of(report, inputs, segment)

    reference = child(group, "121191").ReferencedSOPSequence[0]
    item = seg.SegmentSequence[reference.ReferencedSegmentNumber - 1]

    assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == seg.SOPClassUID
    assert item.SegmentLabel == segment.label
    assert item.TrackingUID == child(group, "112040").UID
    assert child(group, "112039").TextValue == item.TrackingID
    assert child(group, "121071").ConceptCodeSequence[0].CodeValue == segment.type.value
    assert inputs["volume"].slices[0].header.SeriesInstanceUID == child(group, "121232").UID


def test_text_says_what_a_reader_has_to_know(report, inputs):
    texts = [item.TextValue for item in walk(report) if item.ValueType == "TEXT" and concept(item) == "121106"]

    assert "Research use only. Not for diagnosis." in texts
    assert "Muscle: not found." in texts
    assert "The scan reaches into the thorax." in texts
    assert "Quality verdict: caution." in texts
    chosen = inputs["selection"].series.series.uid
    assert any(chosen in text and "12 images" in text for text in texts)
    assert not any(text.startswith(("Body", "Bone", "Fat")) for text in texts)


def test_evidence_lists_every_source_and_the_seg_and_nothing_else(report, inputs):
    evidence = [
        instance.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]

    sources = [source.header.SOPInstanceUID for source in inputs["volume"].slices]
    assert sorted(evidence) == sorted([*sources, inputs["seg"].dataset.SOPInstanceUID])


def test_report_is_complete_unverified_and_preliminary(report):
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )


def test_observer_is_the_algorithm(report):
    texts = {concept(item): item.TextValue for item in walk(report) if item.ValueType == "TEXT"}

    assert texts["121013"] == ALGORITHM.name
    assert texts["111001"] == ALGORITHM.name
    assert texts["111003"] == ALGORITHM.version


def test_patient_and_study_are_those_of_the_source(report, inputs):
    source = inputs["volume"].slices[0].header

    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"):
        assert report[keyword].value == source[keyword].value


def test_uids_and_clock_derive_from_the_identity(report, inputs):
    identity = inputs["identity"]

    assert report.SOPInstanceUID == identity.uid("sr/instance")
    assert report.SeriesInstanceUID == identity.uid("sr/series")
    dates = {str(element.value)[:8] for element in report.iterall() if element.VR in {"DA", "DT"} and element.value}
    assert dates == {"20250102"}


def test_two_builds_give_identical_bytes(inputs, path, tmp_path):
    assert write(tmp_path, inputs).read_bytes() == path.read_bytes()


def test_empty_segment_has_no_group(report):
    labels = [child(group, "112039").TextValue for group in groups(report)]

    assert sorted(labels) == ["test_app/body", "test_app/bone", "test_app/fat", "test_app/remarks"]


def test_long_fractions_fit_a_decimal_string(inputs):
    third = tuple(
        dataclasses.replace(m, values=tuple(dataclasses.replace(v, value=100000 / 3) for v in m.values))
        for m in inputs["measurements"]
    )

    built = build_report(inputs["volume"], inputs["label_map"], inputs["seg"].dataset, third, ["x"], inputs["identity"])

    values = [value for _, _, value, _ in numbers(built)]
    assert values == pytest.approx([100000 / 3] * 9, rel=1e-9)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 144", "Иванов^Пётр"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう")],
)
def test_name_survives_in_its_own_letters(tmp_path, character_set, name):
    def rename(header, _index):
        header.SpecificCharacterSet = character_set
        header.PatientName = name

    written = dcmread(write(tmp_path, make_inputs(tmp_path, make_volume(edit=rename))))

    assert str(written.PatientName) == name
    texts = [item.TextValue for item in walk(written) if item.ValueType == "TEXT"]
    assert "Research use only. Not for diagnosis." in texts


@pytest.mark.parametrize("keyword", MAY_BE_ABSENT)
def test_source_may_lack_what_a_ct_may_lack(tmp_path, keyword):
    def strip(header, _index):
        delattr(header, keyword)

    inputs = make_inputs(tmp_path) | {"volume": make_volume(edit=strip)}

    assert check_object(dcmread(write(tmp_path, inputs))) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(path):
    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)

    lines = (judged.stdout + judged.stderr).splitlines()
    assert lines, "dciodvfy names at least the IOD"
    assert [line for line in lines if line.startswith("Error")] == []


@pytest.mark.skipif(not READER.exists(), reason="dcmqi is not installed")
def test_dcmqi_reads_the_same_values(path, inputs, tmp_path):
    out = tmp_path / "report.json"

    done = subprocess.run(
        [READER, "--inputDICOM", path, "--outputMetadata", out], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    read = {}
    for group in json.loads(out.read_text())["Measurements"]:
        for item in group.get("measurementItems", []):
            derivation = item.get("derivationModifier", {}).get("CodeValue", "")
            read[group["TrackingIdentifier"], item["quantity"]["CodeValue"], derivation] = float(item["value"])
    expected = {}
    for measured in inputs["measurements"]:
        for value in measured.values if measured.voxels else ():
            quantity = value.quantity
            derivation = quantity.derivation.value if quantity.derivation else ""
            expected[f"test_app/{measured.segment_name}", quantity.concept.value, derivation] = value.value
    assert read == expected
