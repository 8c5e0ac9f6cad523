"""WrittenFile: its entry in result.json."""

from pydicom import dcmread

from operators.core.contract import Output
from operators.write.written import WrittenFile
from tests.builders import make_ct_series


def test_picture_is_recorded_by_its_name_alone(tmp_path):
    assert WrittenFile(tmp_path / "key_image.png").record == Output(path="key_image.png")


def test_dicom_is_recorded_with_its_uids(tmp_path):
    path = make_ct_series(tmp_path, slices=1)[0]
    dataset = dcmread(path)

    assert WrittenFile(path, dataset).record == Output(
        path=path.name,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_class="CT Image Storage",
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        study_instance_uid=dataset.StudyInstanceUID,
    )
