"""A rule on segmentations, with a real Orthanc: a SEG that comes after its images is measured, its report stored."""

import pytest
import SimpleITK
from pydicom import dcmread

from tests.judges import dciodvfy_errors, read_report
from tests.node_under_test import NodeUnderTest
from tests.segmented import MASKS, images_of, make_study
from tests.test_engine import stored_objects, wait_for_states

pytestmark = pytest.mark.orthanc

RULE = {
    "name": "measure",
    "app": "measure_segmentation",
    "own_results": True,
    "with_sources": True,
    "when": [{"attribute": "Modality", "in": ["SEG", "RTSTRUCT"]}],
}


@pytest.fixture
def node(tmp_path):
    made = NodeUnderTest(tmp_path / "node", rules={"rules": [RULE]})
    made.start()
    yield made
    if made.process.poll() is None:
        made.stop()
    made.end_orthanc()


def volume_ml(mask, spacing_mm) -> float:
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    image = SimpleITK.GetImageFromArray(mask.astype("uint8"))
    image.SetSpacing(spacing_mm[::-1])
    shape.Execute(image)
    return shape.GetPhysicalSize(1) / 1000


def test_a_seg_that_comes_after_its_images_has_its_report_in_the_study(node, tmp_path):
    spacing_mm = (3.0, 0.8, 0.6)
    study = make_study(tmp_path / "study", spacing_mm=spacing_mm)
    seg = dcmread(study / "seg.dcm", stop_before_pixels=True)
    assert node.send(images_of(study)) == 0
    assert node.send([study / "seg.dcm"]) == 0

    (job,) = wait_for_states(node, "done")

    assert (job["app"], job["series_instance_uid"]) == ("measure_segmentation", seg.SeriesInstanceUID)
    (report,) = stored_objects(node, seg.StudyInstanceUID, "SR")
    report.save_as(tmp_path / "sr.dcm")
    assert dciodvfy_errors(tmp_path / "sr.dcm") == []
    values = read_report(tmp_path / "sr.dcm", tmp_path)
    assert values["kidney 1"]["Volume", ""] == pytest.approx(volume_ml(MASKS["Kidney"], spacing_mm), rel=1e-3)
