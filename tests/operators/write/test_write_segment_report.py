"""WriteSegmentReport: a valid report that refers to the segments that were measured, under their own names."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from mapnode.judges import FALSE_FOR_LABEL_MAP_REPORT, ask_dciodvfy
from operators.core.codes import LEFT
from operators.core.object_checks import check_object
from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.measure.measure_diameters import measure_diameters
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_shapes import measure_shapes
from operators.measure.merge_measurements import merge_measurements
from operators.qc.measure_laterality import measure_laterality
from operators.runtime.sdk import Application
from operators.write.write_contoured_segmentation import WriteContouredSegmentation
from operators.write.write_measurement_report import ReportParameters
from operators.write.write_segment_report import WriteSegmentReport
from operators.write.write_segmentation import WriteParameters
from tests.builders import OBLIQUE, make_affine, make_ct_series, make_identity, make_selection
from tests.judges import dcentvfy_errors, dciodvfy_errors, read_report
from tests.operators.write.test_write_contoured_segmentation import make_contoured_study
from tests.results import content_items, content_named
from tests.segmented import (
    MASKS,
    PRIVATE_TYPE,
    SHAPE,
    TRACKING,
    Grid,
    blob,
    images_of,
    make_hu,
    make_seg,
    make_study,
    read,
)

LONG_AXIS, SHORT_AXIS, BORDER = "103339001", "103340004", "BORDER-CONTACT"


def inputs_of(folder, target):
    volume, regions = read(folder)
    diameters = measure_diameters(regions)
    measurements = merge_measurements(
        measure_shapes(regions), tuple(d.measured for d in diameters), measure_intensities(volume, regions)
    )
    seg = WriteContouredSegmentation(Application(), WriteParameters(target)).process(volume, regions, make_identity())
    return {
        "volume": volume,
        "label_map": regions,
        "seg": seg,
        "measurements": measurements,
        "diameters": diameters,
        "derived": measure_laterality(volume, regions),
        "quality": QualityReport((QualityFinding("touches_border", "It is cut."),)),
        "selection": make_selection(volume),
        "identity": make_identity(),
    }


def example(tmp_path):
    return ReportParameters(tmp_path), inputs_of(make_study(tmp_path / "study"), tmp_path)


def report_on(folder, target):
    target.mkdir(exist_ok=True)
    inputs = inputs_of(folder, target)
    written = WriteSegmentReport(Application(), ReportParameters(target)).process(**inputs)
    return inputs, written, dcmread(written.path)


def groups_of(report, template):
    return [
        item
        for item in content_items(report, "CONTAINER")
        if item.get("ContentTemplateSequence") and item.ContentTemplateSequence[0].TemplateIdentifier == template
    ]


def only(dataset, code):
    ((_, item),) = content_named(dataset, code)
    return item


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_judges_find_no_error_and_read_every_value(tmp_path, kind):
    folder = make_study(tmp_path / "study", kind=kind)
    inputs, written, report = report_on(folder, tmp_path / "out")

    false_for_label_maps = FALSE_FOR_LABEL_MAP_REPORT if kind == "LABELMAP" else ()
    assert ask_dciodvfy(written.path, false_for_label_maps).errors == ()
    assert dcentvfy_errors([*images_of(folder), folder / "seg.dcm", written.path]) == []
    assert check_object(report) == []
    values = read_report(written.path, tmp_path)
    tracked = [segment.origin.tracking_id for segment in inputs["label_map"].segments]
    for identifier, measured in zip(tracked, inputs["measurements"], strict=True):
        expected = {
            (value.quantity.concept.meaning, value.quantity.derivation.meaning if value.quantity.derivation else ""): (
                pytest.approx(value.value)
            )
            for value in measured.values
        }
        assert values[identifier] == expected


def test_groups_refer_to_the_segment_under_its_own_names_and_codes(tmp_path):
    folder = make_study(tmp_path / "study")
    _, _, report = report_on(folder, tmp_path / "out")
    seg = dcmread(folder / "seg.dcm")

    kidney, lesion = groups_of(report, "1411")

    for number, group in ((1, kidney), (2, lesion)):
        reference = only(group, "121191").ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == number
    assert (only(kidney, "112039").TextValue, only(kidney, "112040").UID) == TRACKING["Kidney"]
    assert only(kidney, "272741003").ConceptCodeSequence[0].CodeValue == "24028007"
    found = only(lesion, "121071").ConceptCodeSequence[0]
    assert (found.CodeValue, found.CodingSchemeDesignator) == (PRIVATE_TYPE.value, PRIVATE_TYPE.scheme_designator)
    schemes = [item.CodingSchemeDesignator for item in report.CodingSchemeIdentificationSequence]
    assert schemes == ["99MAPNODE", "99ELSEWHERE"]


def test_comments_say_which_side_was_stated_and_which_one_computed(tmp_path):
    inputs = inputs_of(make_study(tmp_path / "study"), tmp_path)
    kidney, lesion = inputs["derived"]
    # In these images there is no body to be left or right in.
    assert kidney.side is None

    lies = replace(kidney, value=31.0, reason="", side=LEFT, label="Kidney, side of the body: left (stated as right)")
    written = WriteSegmentReport(Application(), ReportParameters(tmp_path)).process(
        **inputs | {"derived": (lies, lesion)}
    )

    of_kidney, of_lesion = (only(group, "121106").TextValue for group in groups_of(dcmread(written.path), "1411"))
    assert of_kidney.endswith("Kidney, side of the body: left (stated as right).")
    assert of_lesion.endswith(f"not computed (no side stated), because {lesion.reason}.")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("MANUAL", "segmented by hand"),
        ("AUTOMATIC", "segmented automatically"),
        ("", "nothing says whether it was drawn"),
    ],
)
def test_nobody_is_said_to_have_drawn_what_nobody_says_was_drawn(tmp_path, stated, words):
    folder = make_contoured_study(tmp_path / "study")
    structure_set = dcmread(folder / "rt.dcm")
    for roi in structure_set.StructureSetROISequence:
        roi.ROIGenerationAlgorithm = stated
    structure_set.save_as(folder / "rt.dcm")

    inputs, _, report = report_on(folder, tmp_path / "out")

    for group, label in zip(groups_of(report, "1411"), ("GTV", "PTV"), strict=True):
        assert only(group, "121106").TextValue.startswith(f"{label}: {words}")
    assert dciodvfy_errors(inputs["seg"].path) == []


def test_evidence_lists_the_images_and_the_segmentation(tmp_path):
    folder = make_study(tmp_path / "study")
    _, _, report = report_on(folder, tmp_path / "out")

    listed = {
        str(instance.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }

    assert listed == {str(dcmread(p).SOPInstanceUID) for p in [*images_of(folder), folder / "seg.dcm"]}


def test_axes_are_lines_on_the_image_as_long_as_they_say(tmp_path):
    folder = make_study(tmp_path / "study")
    inputs, _, report = report_on(folder, tmp_path / "out")

    groups = groups_of(report, "1501")

    assert len(groups) == 2
    for group, diameters in zip(groups, inputs["diameters"], strict=True):
        for code, axis in ((LONG_AXIS, diameters.long_axis), (SHORT_AXIS, diameters.short_axis)):
            number = only(group, code)
            (line,) = content_items(number, "SCOORD")
            points = np.reshape(line.GraphicData, (2, 2))
            assert (line.GraphicType, line.RelationshipType) == ("POLYLINE", "INFERRED FROM")
            # Columns are 0.6 mm apart, rows 0.8 mm.
            assert np.linalg.norm((points[1] - points[0]) * (0.6, 0.8)) == pytest.approx(axis.length_mm, rel=1e-5)
            assert float(number.MeasuredValueSequence[0].NumericValue) == pytest.approx(axis.length_mm)


def test_a_line_lies_on_the_voxels_that_it_measures(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[4, 7, 3:15] = True
    folder = make_study(tmp_path / "study", masks={"Lesion": mask})
    _, _, report = report_on(folder, tmp_path / "out")

    (group,) = groups_of(report, "1501")
    (line,) = content_items(only(group, LONG_AXIS), "SCOORD")

    # PS3.3 C.18.6: the centre of the first pixel is (0.5, 0.5); slice 4 is the fifth image.
    assert sorted(np.reshape(line.GraphicData, (2, 2)).tolist()) == [[3.0, 7.5], [15.0, 7.5]]
    shown = line.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert shown == dcmread(images_of(folder)[4]).SOPInstanceUID


def test_contact_with_the_border_is_said_of_each_segment(tmp_path):
    masks = {"Kidney": MASKS["Kidney"], "Lesion": blob(centre=(0, 12, 12), radius=(2.2, 3.4, 3.2))}
    _, _, report = report_on(make_study(tmp_path / "study", masks=masks), tmp_path / "out")

    codes = [only(group, BORDER).ConceptCodeSequence[0].CodeValue for group in groups_of(report, "1411")]

    assert codes == ["272519000", "52101004"]
    assert "border of the field of view: feet" in only(groups_of(report, "1411")[1], "121106").TextValue


def test_a_segment_without_a_voxel_is_said_to_be_absent(tmp_path):
    masks = {"Kidney": np.zeros(SHAPE, bool), "Lesion": MASKS["Lesion"]}
    _, _, report = report_on(make_study(tmp_path / "study", masks=masks), tmp_path / "out")

    absent = only(report, "121052")

    assert len(groups_of(report, "1411")) == 1
    assert absent.ConceptCodeSequence[0].CodeValue == "272519000"
    assert "without any voxel" in only(absent, "121106").TextValue


@pytest.mark.parametrize("label", ["肝脏", "Печень", "Lésion", "κύστη"])
def test_labels_keep_letters_that_the_images_character_set_lacks(tmp_path, label):
    def rename(seg):
        seg.SpecificCharacterSet = "ISO_IR 192"
        for number, item in enumerate(seg.SegmentSequence, start=1):
            item.SegmentLabel = item.TrackingID = f"{label} {number}"
            item.TrackingUID = f"1.2.3.{number}"

    _, written, report = report_on(make_study(tmp_path / "study", edit=rename), tmp_path / "out")

    groups = groups_of(report, "1411")
    assert [only(group, "112039").TextValue for group in groups] == [f"{label} 1", f"{label} 2"]
    assert all(only(group, "121106").TextValue.startswith(f"{label} ") for group in groups)
    assert str(report.PatientName) == str(dcmread(images_of(tmp_path / "study")[0]).PatientName)
    assert dciodvfy_errors(written.path) == []


def test_what_was_drawn_and_encloses_nothing_is_neither_absent_nor_of_0_ml(tmp_path):
    folder = make_contoured_study(tmp_path / "study")
    structure_set = dcmread(folder / "rt.dcm")
    for contour in structure_set.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    structure_set.save_as(folder / "rt.dcm")

    inputs, written, report = report_on(folder, tmp_path / "out")

    (not_measured,) = (
        item for item in content_items(report, "CODE") if item.ConceptNameCodeSequence[0].CodeValue == "118565006"
    )
    assert not_measured.ConceptCodeSequence[0].CodeMeaning == "Measurement not attempted"
    assert "GTV: not measured, because none of its contours has an inside" in only(not_measured, "121106").TextValue
    assert only(only(report, "121052"), "121106").TextValue.startswith("none: described, but without any voxel")
    assert inputs["measurements"][0].values == ()
    assert inputs["derived"][0].reason.startswith("none of its contours")
    assert dciodvfy_errors(written.path) == []
    assert check_object(report) == []


def test_a_fractional_segment_below_its_threshold_is_absent_by_that_threshold(tmp_path):
    masks = {"Lesion": MASKS["Lesion"] * 0.4}
    _, _, report = report_on(make_study(tmp_path / "study", masks=masks, kind="FRACTIONAL"), tmp_path / "out")

    assert "probability is at least 0.5" in only(only(report, "121052"), "121106").TextValue


def test_the_threshold_of_a_fractional_segment_is_stated(tmp_path):
    masks = {"Lesion": np.random.default_rng(3).random(SHAPE)}
    folder = make_study(tmp_path / "study", masks=masks, kind="FRACTIONAL")
    _, _, report = report_on(folder, tmp_path / "out")

    (group,) = groups_of(report, "1411")

    assert "probability is at least 0.5" in only(group, "121106").TextValue


def test_contours_are_measured_by_way_of_the_seg_that_is_written(tmp_path):
    inputs, written, report = report_on(make_contoured_study(tmp_path / "study"), tmp_path / "out")
    seg = dcmread(inputs["seg"].path)

    references = [only(group, "121191").ReferencedSOPSequence[0] for group in groups_of(report, "1411")]

    assert dciodvfy_errors(written.path) == []
    assert {r.ReferencedSOPInstanceUID for r in references} == {seg.SOPInstanceUID}
    labels = [seg.SegmentSequence[r.ReferencedSegmentNumber - 1].SegmentLabel for r in references]
    assert labels == ["GTV", "PTV"]


def test_a_report_that_is_held_says_why_and_has_neither_numbers_nor_a_segment(tmp_path):
    parameters, inputs = example(tmp_path)
    quality = QualityReport((QualityFinding("scale", "HU are shifted by 100.", Severity.HOLD),))

    written = WriteSegmentReport(Application(), parameters).process(**inputs | {"quality": quality})

    report = dcmread(written.path)
    assert written.withholds
    assert not [one for kind in ("NUM", "SCOORD", "SCOORD3D", "IMAGE") for one in content_items(report, kind)]
    assert "HU are shifted by 100." in [item.TextValue for _, item in content_named(report, "111052")]
    assert dciodvfy_errors(written.path) == []


def test_axes_on_no_image_are_numbers_without_lines(tmp_path):
    images = make_ct_series(tmp_path / "study" / "ct", hu=make_hu())
    grid = Grid((9, 11, 12), make_affine(OBLIQUE, (2.0, 1.1, 0.9), (-10.0, 5.0, 45.0)))
    make_seg(tmp_path / "study" / "seg.dcm", images, {"Lesion": blob(grid.shape, (4, 5, 6), (3.4, 4, 5))}, grid=grid)
    _, written, report = report_on(tmp_path / "study", tmp_path / "out")

    assert dciodvfy_errors(written.path) == []
    assert groups_of(report, "1501") == []
    assert len(content_named(report, LONG_AXIS)) == 1


def test_the_same_input_gives_the_same_bytes(tmp_path):
    folder = make_study(tmp_path / "study")

    first, second = (report_on(folder, tmp_path / name)[1].path.read_bytes() for name in ("a", "b"))

    assert first == second
