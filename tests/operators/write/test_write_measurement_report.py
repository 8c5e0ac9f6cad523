"""WriteMeasurementReport: every number is in the SR with its code, unit and segment (PS3.16 TID 1500)."""

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from mapnode.judges import VALIDATOR
from operators.core import codes
from operators.core.contract import Result, Status
from operators.core.errors import GeometryError
from operators.core.geometry import examine
from operators.core.measurements import LARGEST_AREA, DerivedValue, Quantity
from operators.core.object_checks import check_object
from operators.core.pixels import read_volume
from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.core.reading import Series
from operators.measure.measure_key_slices import measure_key_slices
from operators.measure.measure_segments import measure_segments
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.runtime.outcome import Outcome
from operators.runtime.sdk import Application
from operators.write.marking import save
from operators.write.report_outcome import ReportOutcome
from operators.write.write_measurement_report import (
    Findings,
    ReportParameters,
    WriteMeasurementReport,
    build_report,
)
from operators.write.write_segmentation import build_segmentation
from operators.write.written import WrittenFile
from tests.builders import (
    ALGORITHM,
    TISSUES,
    make_identity,
    make_label_map,
    make_loaded_folder,
    make_measurements,
    make_multiframe,
    make_quality,
    make_selection,
    make_volume,
    read_only_series,
)
from tests.judges import dciodvfy_errors

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
VOLUME, ATTENUATION, AREA, RATIO = "118565006", "112031", "42798000", "118586006"
ROOT = Path(__file__).parents[3]
DCMJS = Path(os.environ.get("MAPNODE_DCMJS", ROOT / "build" / "dcmjs"))
PREDECESSOR = "cd" * 32
DERIVED = (
    DerivedValue(
        Quantity("bone_to_fat", "ratio", codes.RATIO, codes.RATIO_UNIT),
        "Bone to fat", "volume of Bone / volume of Fat", ("bone", "fat"), 0.6923076923,
    ),
    DerivedValue(
        Quantity("muscle_to_fat", "ratio", codes.RATIO, codes.RATIO_UNIT),
        "Muscle to fat", "volume of Muscle / volume of Fat", ("muscle", "fat"), None, "no muscle was found",
    ),
)  # fmt: skip


def make_inputs(folder, volume=None):
    volume = volume or make_volume()
    label_map, identity = make_label_map(volume, landmarks={"iliac_crest": 6}), make_identity()
    seg = build_segmentation(volume, label_map, identity)
    save(seg, folder / "seg.dcm")
    return {
        "volume": volume,
        "label_map": label_map,
        "seg": WrittenFile(folder / "seg.dcm", seg),
        "measurements": make_measurements(label_map),
        "derived": DERIVED,
        "key_slices": measure_key_slices(volume, label_map, measure_slice_areas(volume, label_map)),
        "quality": make_quality(),
        "selection": make_selection(volume),
        "identity": identity,
    }


def example(tmp_path):
    return ReportParameters(tmp_path), make_inputs(tmp_path)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("in"))


@pytest.fixture(scope="module")
def path(inputs, tmp_path_factory):
    return write(tmp_path_factory.mktemp("out"), inputs)


@pytest.fixture(scope="module")
def report(path):
    return dcmread(path)


def write(folder, inputs, predecessor=None) -> Path:
    return WriteMeasurementReport(Application(), ReportParameters(folder, predecessor)).process(**inputs).path


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


def tracked(report, identifier):
    (group,) = [group for group in groups(report) if child(group, "112039").TextValue == identifier]
    return group


def evaluations(report):
    """The container Qualitative Evaluations (C0034375, UMLS)."""
    return child(report, "C0034375")


def comments(item) -> list[str]:
    return [child.TextValue for child in walk(item) if child.ValueType == "TEXT" and concept(child) == "121106"]


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


def stated(inputs) -> dict[tuple[str, str, str], tuple[float, str]]:
    """Every number that the report has to have: by tracking, concept, derivation; value and unit."""
    rows = [(f"test_app/{m.segment_name}", v) for m in inputs["measurements"] if m.voxels for v in m.values]
    rows += [(f"test_app/{k.segment_name}/{k.role}", v) for k in inputs["key_slices"] for v in k.values]
    found = {
        (tracking, v.quantity.concept.value, v.quantity.derivation.value if v.quantity.derivation else ""): (
            v.value,
            v.quantity.ucum.value,
        )
        for tracking, v in rows
    }
    return found | {("test_app/derived/bone_to_fat", RATIO, ""): (0.6923076923, "{ratio}")}


def test_every_number_stands_in_its_group_and_no_other_does(report, inputs):
    found = {
        (child(group, "112039").TextValue, name, derivation): (value, unit)
        for group in groups(report)
        for name, derivation, value, unit in numbers(group)
    }

    assert found == stated(inputs)
    assert len(found) == len(numbers(report)) == 3 * 3 + 3 * 2 * 2 + 1


@pytest.mark.parametrize("segment", TISSUES[:3], ids=lambda s: s.name)
def test_volume_is_in_cubic_centimetres(report, inputs, segment):
    (measured,) = [m for m in inputs["measurements"] if m.segment_name == segment.name]
    volume, mean, deviation = (value.value for value in measured.values)

    assert sorted(numbers(group_of(report, inputs, segment))) == sorted([
        (VOLUME, "", volume, "cm3"),
        (ATTENUATION, MEAN, mean, "[hnsf'U]"),
        (ATTENUATION, STANDARD_DEVIATION, deviation, "[hnsf'U]"),
    ])


def test_numbers_are_those_of_result_json(tmp_path):
    inputs = make_inputs(tmp_path)
    volume, label_map = inputs["volume"], inputs["label_map"]
    rows = {"measurements": measure_segments(volume, label_map), "slice_areas": measure_slice_areas(volume, label_map)}
    written = WrittenFile(write(tmp_path, inputs | {"measurements": rows["measurements"]}))
    outcome = Outcome()
    known = inputs | rows | {"folder": make_loaded_folder(volume), "sr": written, "key_image": written}
    ReportOutcome(Application(), outcome).process(**{port: known[port] for port in ReportOutcome.inputs})

    document = json.loads(Result(app="test_app", version="1.2.3", status=Status.DONE, **outcome.fields).to_json())

    report = {
        (child(group, "112039").TextValue, name, derivation): value
        for group in groups(dcmread(written.path))
        for name, derivation, value, _ in numbers(group)
    }
    for row in document["measurements"]:
        key = (row["codes"]["concept"]["value"], row["codes"].get("derivation", {}).get("value", ""))
        if row["segment"] != "muscle":
            assert report[f"test_app/{row['segment']}", *key] == row["value"]
    for row in document["key_slices"]:
        tracking = f"test_app/{row['segment']}/{row['role']}"
        assert report[tracking, AREA, ""] == row["values"]["area_cm2"]
        assert report[tracking, AREA, ""] == document["slices"][row["index"]]["area_cm2"][row["segment"]]
        assert report[tracking, ATTENUATION, MEAN] == row["values"]["mean_hu"]
    assert [report.get((f"test_app/derived/{row['name']}", RATIO, "")) for row in document["derived"]] == [
        row.get("value") for row in document["derived"]
    ]


def test_no_number_is_without_its_value(report):
    assert all(len(item.MeasuredValueSequence) == 1 for item in walk(report) if item.ValueType == "NUM")


def test_every_group_has_one_place_on_an_image(report):
    """OHIF 3.13 fails on a report with a group of Imaging Measurements that has none."""
    for group in groups(report):
        (place,) = [item for item in walk(group) if item.ValueType == "SCOORD"]
        (image,) = place.ContentSequence
        assert image.ReferencedSOPSequence[0].ReferencedSOPClassUID == CTImageStorage


def test_report_without_any_segment_found_has_evaluations_alone(inputs, tmp_path):
    volume = inputs["volume"]
    nothing = make_label_map(volume, np.zeros(volume.array.shape, np.uint8))
    found = {"label_map": nothing, "measurements": measure_segments(volume, nothing), "derived": (), "key_slices": ()}

    written = dcmread(write(tmp_path, inputs | found))

    assert groups(written) == []
    assert [concept(item) for item in written.ContentSequence if item.ValueType == "CONTAINER"] == ["C0034375"]
    assert len([item for item in walk(written) if concept(item) == "121052"]) == len(nothing.segments)
    assert check_object(written) == []


@pytest.mark.parametrize(
    ("modality", "code"),
    [
        ("CT", ("25045-6", "LN")),
        ("MR", ("25056-3", "LN")),
        ("PT", ("44136-0", "LN")),
        ("NM", ("49118-3", "LN")),
        ("DX", ("43468-8", "LN")),
        ("XA", ("77343006", "SCT")),
        ("US", ("363679005", "SCT")),
        ("OT", ("363679005", "SCT")),
    ],
)
def test_procedure_reported_is_that_of_the_sources_modality(inputs, modality, code):
    def of_modality(header, _index):
        header.Modality = modality

    volume = make_volume(edit=of_modality)
    findings = Findings(inputs["measurements"], inputs["quality"])

    built = build_report(volume, inputs["label_map"], inputs["seg"].dataset, findings, inputs["identity"])

    (value,) = child(built, "121058").ConceptCodeSequence
    assert (value.CodeValue, value.CodingSchemeDesignator) == code


def test_no_two_groups_share_a_tracking_uid(report):
    """OHIF 3.13 makes one measurement of the groups that share one."""
    uids = [child(group, "112040").UID for group in groups(report)]

    assert len(set(uids)) == len(uids) == 3 + 1 + 3 * 2


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
    texts = comments(report)

    assert "Research use only. Not for diagnosis." in texts
    chosen = inputs["selection"].volume.series.uid
    assert any(chosen in text and "12 images" in text for text in texts)


@pytest.mark.parametrize(
    ("quality", "code"), [(make_quality(), "QUALITY-CAUTION"), (QualityReport(()), "QUALITY-PASS")]
)
def test_verdict_on_quality_is_coded_and_its_findings_are_text(inputs, tmp_path, quality, code):
    written = dcmread(write(tmp_path, inputs | {"quality": quality}))

    said = evaluations(written)
    (verdict,) = child(said, "111050").ConceptCodeSequence
    findings = [item.TextValue for item in said.ContentSequence if concept(item) == "111052"]

    assert (verdict.CodeValue, verdict.CodingSchemeDesignator) == (code, "99MAPNODE")
    assert findings == [finding.message for finding in quality.findings]
    (scheme,) = written.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99MAPNODE"


def test_segment_that_was_not_found_is_coded_as_absent(report):
    absent = child(evaluations(report), "121052")

    (presence,) = absent.ConceptCodeSequence
    assert (presence.CodeValue, presence.CodingSchemeDesignator) == ("272519000", "SCT")
    finding = child(absent, "121071")
    assert (finding.ConceptCodeSequence[0].CodeValue, finding.RelationshipType) == (
        TISSUES[3].type.value,
        "HAS CONCEPT MOD",
    )
    assert comments(absent) == ["Muscle: not found by the algorithm in the images measured."]


def test_nothing_else_is_coded_as_absent(report):
    present = [item for item in walk(report) if concept(item) == "121052"]

    assert len(present) == 1


def test_derived_value_states_its_equation(report):
    group = tracked(report, "test_app/derived/bone_to_fat")
    (number,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]

    equation = child(number, "121420")

    assert equation.RelationshipType == "INFERRED FROM"
    assert equation.TextValue == "volume of Bone / volume of Fat"
    assert comments(group) == ["Bone to fat"]


def test_derived_value_without_a_number_says_why(report):
    not_computed = child(evaluations(report), RATIO)

    assert not_computed.ConceptCodeSequence[0].CodeValue == "114007"
    assert comments(not_computed) == [
        "Muscle to fat: volume of Muscle / volume of Fat.",
        "Muscle to fat: not computed, because no muscle was found.",
    ]


def image_of(place):
    return place.ContentSequence[0].ReferencedSOPSequence[0]


def test_frames_of_a_multi_frame_image_are_drawn_on_and_the_image_is_evidence_once(inputs, tmp_path):
    source = make_multiframe(tmp_path / "ct.dcm", make_volume().array, sop_class=EnhancedCTImageStorage)
    (instance,) = read_only_series(tmp_path).instances
    volume = read_volume(examine(Series("", (instance,))).volumes[0])
    seg = copy.deepcopy(inputs["seg"].dataset)
    seg.StudyInstanceUID = instance.header.StudyInstanceUID
    label_map = make_label_map(volume)
    key_slices = measure_key_slices(volume, label_map, measure_slice_areas(volume, label_map))
    findings = Findings(measure_segments(volume, label_map), inputs["quality"], (), key_slices)

    save(build_report(volume, label_map, seg, findings, inputs["identity"]), tmp_path / "sr.dcm")

    written = dcmread(tmp_path / "sr.dcm")
    drawn, points = (
        [image_of(item) for item in walk(written) if item.get("GraphicType") == kind] for kind in ("POLYLINE", "POINT")
    )
    assert {image.ReferencedSOPInstanceUID for image in (*drawn, *points)} == {dcmread(source).SOPInstanceUID}
    assert [image.ReferencedFrameNumber for image in drawn] == [row.index + 1 for row in key_slices]
    assert [image.ReferencedFrameNumber for image in points] == [
        row.index + 1 for row in key_slices if row.role == LARGEST_AREA
    ]
    (series, _) = written.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert len(series.ReferencedSOPSequence) == 1


def test_report_names_the_one_that_it_supersedes(inputs, tmp_path):
    written = dcmread(write(tmp_path, inputs, PREDECESSOR))

    (study,) = written.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    former = make_identity(sha256=PREDECESSOR)
    superseded = dcmread(write(tmp_path, inputs | {"identity": former}))
    assert study.StudyInstanceUID == superseded.StudyInstanceUID
    assert series.SeriesInstanceUID == superseded.SeriesInstanceUID
    assert instance.ReferencedSOPInstanceUID == superseded.SOPInstanceUID
    assert instance.ReferencedSOPClassUID == superseded.SOPClassUID


def test_report_that_supersedes_none_names_none(report):
    assert "PredecessorDocumentsSequence" not in report


def test_label_map_that_lies_elsewhere_than_the_images_is_refused(inputs, tmp_path):
    flipped = dataclasses.replace(inputs["volume"], slices=inputs["volume"].slices[::-1])

    with pytest.raises(GeometryError):
        write(tmp_path, inputs | {"volume": flipped})


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


def test_segment_without_voxels_references_no_segment(report):
    referenced = [child(group, "112039").TextValue for group in groups(report) if "121191" in map(concept, walk(group))]

    assert sorted(referenced) == ["test_app/body", "test_app/bone", "test_app/fat"]


def test_long_fractions_fit_a_decimal_string(inputs):
    third = tuple(
        dataclasses.replace(m, values=tuple(dataclasses.replace(v, value=100000 / 3) for v in m.values))
        for m in inputs["measurements"]
    )

    findings = Findings(third, inputs["quality"])
    built = build_report(inputs["volume"], inputs["label_map"], inputs["seg"].dataset, findings, inputs["identity"])

    values = [value for _, _, value, _ in numbers(built)]
    assert values == pytest.approx([100000 / 3] * 9, rel=1e-9)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 144", "Иванов^Пётр"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 127", "قباني^لنزار"),
        ("ISO_IR 138", "שרון^דבורה"),
        ("ISO_IR 100", "Äneas^Rüdiger"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
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


@pytest.mark.skipif(shutil.which(VALIDATOR) is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(path, inputs, tmp_path):
    superseding = write(tmp_path, inputs, PREDECESSOR)

    assert dciodvfy_errors(path) == []
    assert dciodvfy_errors(superseding) == []


@pytest.mark.skipif(not READER.exists(), reason="dcmqi is not installed")
def test_dcmqi_reads_the_same_values(path, inputs, tmp_path):
    out = tmp_path / "report.json"

    done = subprocess.run(
        [READER, "--inputDICOM", path, "--outputMetadata", out], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    read = {
        (group["TrackingIdentifier"], item["quantity"]["CodeValue"], derivation(item)): (
            float(item["value"]),
            item["units"]["CodeValue"],
        )
        for group in json.loads(out.read_text())["Measurements"]
        for item in group["measurementItems"]
    }
    assert read == stated(inputs)


def derivation(item) -> str:
    return item.get("derivationModifier", {}).get("CodeValue", "")


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_the_whole_report(path, report):
    judged = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)

    assert judged.returncode == 0
    assert "W:" not in judged.stderr
    assert judged.stdout.count('"Measurement Group")') == len(groups(report))
    assert judged.stdout.count("<contains NUM:") == len(numbers(report))


@pytest.mark.skipif(not (DCMJS / "node_modules" / "dcmjs").is_dir(), reason="dcmjs is not installed; make dcmjs")
def test_dcmjs_reads_the_same_values_and_polylines(path, report, inputs):
    script = ROOT / "tests" / "dcmjs" / "read_report.cjs"
    done = subprocess.run(
        ["node", script, path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MAPNODE_DCMJS": str(DCMJS)},
    )

    assert done.returncode == 0, done.stderr
    read = {group["tracking"]: group for group in json.loads(done.stdout)["groups"]}
    assert stated(inputs) == {
        (tracking, number["concept"], number["derivation"]): (number["value"], number["unit"])
        for tracking, group in read.items()
        for number in group["numbers"]
    }
    for row in inputs["key_slices"]:
        (region,) = read[f"test_app/{row.segment_name}/{row.role}"]["regions"]
        assert (region["type"], region["image"]) == ("POLYLINE", row.sop_instance_uid)


def test_a_report_that_is_held_says_why_and_has_neither_numbers_nor_the_mask(inputs, tmp_path):
    quality = QualityReport((QualityFinding("scale", "HU are shifted by 100.", Severity.HOLD),), ("Not looked at.",))

    written = WriteMeasurementReport(Application(), ReportParameters(tmp_path)).process(**inputs | {"quality": quality})

    report = dcmread(written.path)
    assert written.withholds
    assert not [item for item in walk(report) if item.ValueType in {"NUM", "SCOORD", "SCOORD3D", "IMAGE"}]
    assert groups(report) == []
    assert child(evaluations(report), "111050").ConceptCodeSequence[0].CodeValue == "QUALITY-HOLD"
    assert child(evaluations(report), "111052").TextValue == "HU are shifted by 100."
    assert "Not looked at." in comments(report)
    assert str(inputs["seg"].dataset.SOPInstanceUID) not in str(report)
    assert check_object(report) == []


@pytest.mark.skipif(shutil.which(VALIDATOR) is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_no_error_in_a_report_that_is_held(inputs, tmp_path):
    quality = QualityReport((QualityFinding("scale", "HU are shifted by 100.", Severity.HOLD),))

    written = WriteMeasurementReport(Application(), ReportParameters(tmp_path)).process(**inputs | {"quality": quality})

    assert dciodvfy_errors(written.path) == []
