"""Check: a report may refer to the segmentation that came in with the images, and to no other one."""

import pytest
from pydicom import dcmread

from mapnode.results.check import check_files, identity_of
from operators.core.manifest import read_manifest
from operators.write.written import WrittenFile
from tests.operators.write.test_write_contoured_segmentation import make_contoured_study
from tests.operators.write.test_write_segment_report import report_on
from tests.segmented import images_of, make_study
from tests.test_measured_segmentations import ROOT

MADE = read_manifest(ROOT / "apps" / "measure_segmentation" / "app.yaml").mapnode.outputs


def headers_of(paths):
    return [dcmread(path, stop_before_pixels=True) for path in paths]


def problems_of(folder, target, inputs):
    run_inputs, report, _ = report_on(folder, target)
    written = [file for file in (run_inputs["seg"], report) if file is not None]
    outputs = [WrittenFile(file.path, file.dataset).record for file in written]
    return check_files(target, outputs, MADE, identity_of(headers_of(inputs)))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_report_on_a_seg_of_the_input_is_stored(tmp_path, kind):
    folder = make_study(tmp_path / "study", kind=kind)

    assert problems_of(folder, tmp_path / "out", [*images_of(folder), folder / "seg.dcm"]) == []


def test_a_report_on_contours_of_the_input_is_stored_with_its_seg(tmp_path):
    folder = make_contoured_study(tmp_path / "study")

    assert problems_of(folder, tmp_path / "out", [*images_of(folder), folder / "rt.dcm"]) == []


def test_a_report_on_a_seg_that_was_no_input_is_not(tmp_path):
    folder = make_study(tmp_path / "study")

    (problem,) = problems_of(folder, tmp_path / "out", images_of(folder))

    assert "refers to 1 instances that are not in the source series" in problem
