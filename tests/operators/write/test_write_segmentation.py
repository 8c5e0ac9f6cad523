"""WriteSegmentation: what others read in the SEG is the label map (PS3.3 A.51, C.8.20)."""

import shutil
import subprocess
import warnings

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from operators.core.errors import GeometryError, SegmentationError
from operators.core.object_checks import check_object
from operators.write.write_segmentation import (
    WriteParameters,
    build_segmentation,
    found_segments,
    save,
    tracking_id,
    tracking_uid,
)
from tests.builders import (
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    OBLIQUE,
    TISSUES,
    make_affine,
    make_hu,
    make_identity,
    make_label_map,
    make_volume,
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
ODD_MATRIX = (9, 13, 11)
"""143 pixels a frame: no frame but the first begins at a byte."""


def make_odd(directions=AXIAL):
    volume = make_volume(make_hu(*ODD_MATRIX), make_affine(directions))
    labels = np.random.default_rng(5).integers(0, 4, ODD_MATRIX).astype(np.uint8)
    labels[0] = 0
    return volume, make_label_map(volume, labels)


def write(tmp_path, volume, label_map, identity=None):
    path = tmp_path / "seg.dcm"
    save(build_segmentation(volume, label_map, identity or make_identity()), path)
    return path


def example(tmp_path):
    volume = make_volume()
    inputs = {"volume": volume, "label_map": make_label_map(volume), "identity": make_identity()}
    return WriteParameters(tmp_path), inputs


def raw_masks(path, label_map) -> dict[int, np.ndarray]:
    """Segments from the bits of the file (PS3.5 8.1.1: lowest bit first), with nothing but pydicom."""
    dataset = dcmread(path)
    size = dataset.Rows * dataset.Columns
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    frames = bits[: dataset.NumberOfFrames * size].reshape(-1, dataset.Rows, dataset.Columns).astype(bool)
    order = {item.ReferencedSOPInstanceUID: index for index, item in enumerate(referenced(dataset))}
    masks = {item.SegmentNumber: np.zeros(label_map.array.shape, bool) for item in dataset.SegmentSequence}
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        masks[number][order[source]] = frame
    return masks


def referenced(dataset):
    return dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, OBLIQUE])
def test_raw_bits_are_the_label_map(tmp_path, directions):
    volume, label_map = make_odd(directions)

    path = write(tmp_path, volume, label_map)

    uids = [item.ReferencedSOPInstanceUID for item in referenced(dcmread(path))]
    assert uids == [source.header.SOPInstanceUID for source in volume.slices]
    masks = raw_masks(path, label_map)
    for number, segment in enumerate(TISSUES[:3], start=1):
        assert np.array_equal(masks[number], np.isin(label_map.array, segment.labels))


def test_highdicom_reads_the_label_map(tmp_path):
    volume, label_map = make_odd()

    seg = hd.seg.segread(write(tmp_path, volume, label_map))

    uids = [source.header.SOPInstanceUID for source in volume.slices]
    pixels = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for number, segment in enumerate(TISSUES[:3]):
        assert np.array_equal(pixels[..., number] > 0, np.isin(label_map.array, segment.labels))


def test_labels_that_exclude_each_other_are_written_the_same(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume, segments=TISSUES[1:])

    masks = raw_masks(write(tmp_path, volume, label_map), label_map)

    assert np.array_equal(masks[1], label_map.array == 2)
    assert np.array_equal(masks[2], label_map.array == 3)


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, OBLIQUE])
def test_frames_lie_where_their_source_lies(tmp_path, directions):
    volume, label_map = make_odd(directions)
    headers = {source.header.SOPInstanceUID: source.header for source in volume.slices}

    dataset = dcmread(write(tmp_path, volume, label_map))

    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert dataset.FrameOfReferenceUID == volume.frame_of_reference_uid
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        source = headers[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert [float(v) for v in position] == pytest.approx([float(v) for v in source.ImagePositionPatient])
        orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        assert [float(v) for v in orientation] == pytest.approx([float(v) for v in source.ImageOrientationPatient])
        assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == list(source.PixelSpacing)


def test_empty_segments_are_left_out_and_the_numbers_close(tmp_path):
    volume = make_volume()
    labels = make_label_map(volume).array.copy()
    labels[labels == 2] = 1

    label_map = make_label_map(volume, labels)
    dataset = dcmread(write(tmp_path, volume, label_map))

    assert [segment.name for segment in found_segments(label_map)] == ["body", "fat"]
    described = [(item.SegmentNumber, item.SegmentLabel) for item in dataset.SegmentSequence]
    assert described == [(1, "Body"), (2, "Fat")]
    assert np.array_equal(raw_masks(tmp_path / "seg.dcm", label_map)[2], labels == 3)


def test_empty_slices_have_no_frame(tmp_path):
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[4:7, 2, 2] = 2

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, labels)))

    assert dataset.NumberOfFrames == 2 * 3


def test_segments_are_described_by_their_codes(tmp_path):
    volume = make_volume()
    identity = make_identity()

    items = dcmread(write(tmp_path, volume, make_label_map(volume))).SegmentSequence

    for item, segment in zip(items, TISSUES[:3], strict=True):
        assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == segment.category.value
        assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == segment.type.value
        assert (item.TrackingUID, item.TrackingID) == (tracking_uid(segment, identity), tracking_id(segment, identity))
        assert item.SegmentAlgorithmType == "AUTOMATIC"
    assert items[2].AnatomicRegionSequence[0].CodeValue == TISSUES[2].region.value
    assert len({item.TrackingUID for item in items}) == 3


def test_patient_and_study_are_those_of_the_source(tmp_path):
    volume = make_volume()
    source = volume.slices[0].header

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert dataset.Modality == "SEG"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 144", "Иванов^Пётр"),
        ("ISO_IR 192", "Иванов^Пётр"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Müller^Jörg"),
    ],
)
def test_name_survives_in_its_own_letters(tmp_path, character_set, name):
    def rename(header, _index):
        header.SpecificCharacterSet = character_set
        header.PatientName = name

    volume = make_volume(edit=rename)

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    assert str(dataset.PatientName) == name


def test_name_of_one_component_is_written_and_not_printed(tmp_path, recwarn, capfd):
    def rename(header, _index):
        header.SpecificCharacterSet = "ISO_IR 100"
        header.PatientName = "Secret"

    volume = make_volume(edit=rename)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    said = [str(warning.message) for warning in recwarn] + list(capfd.readouterr())
    assert str(dataset.PatientName) == "Secret"
    assert not any("Secret" in text for text in said)


@pytest.mark.parametrize("keyword", MAY_BE_ABSENT)
def test_source_may_lack_what_a_ct_may_lack(tmp_path, keyword):
    def strip(header, _index):
        delattr(header, keyword)

    volume = make_volume(edit=strip)

    assert check_object(dcmread(write(tmp_path, volume, make_label_map(volume)))) == []


def test_two_builds_give_identical_bytes(tmp_path):
    volume, label_map = make_odd()
    files = []

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.append(write(tmp_path / name, volume, label_map).read_bytes())

    assert files[0] == files[1]


def test_uids_derive_from_the_identity(tmp_path):
    volume, label_map = make_odd()
    identity, other = make_identity(), make_identity(sha256="cd" * 32)

    first, second = (dcmread(write(tmp_path, volume, label_map, i)) for i in (identity, other))

    assert first.SOPInstanceUID == identity.uid("seg/instance")
    assert first.SeriesInstanceUID == identity.uid("seg/series")
    assert first.DimensionOrganizationSequence[0].DimensionOrganizationUID == identity.uid("seg/dimensions")
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert second[keyword].value != first[keyword].value


def test_wall_clock_is_nowhere(tmp_path):
    volume, label_map = make_odd()

    dataset = dcmread(write(tmp_path, volume, label_map))

    dates = {str(element.value)[:8] for element in dataset.iterall() if element.VR in {"DA", "DT"} and element.value}
    assert dates == {"20250102"}


def test_map_without_segments_is_refused():
    volume = make_volume()

    with pytest.raises(SegmentationError):
        build_segmentation(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)), make_identity())


def test_map_on_another_grid_is_refused():
    volume = make_volume()

    with pytest.raises(GeometryError):
        build_segmentation(volume, make_label_map(make_volume(volume.array[1:])), make_identity())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET, OBLIQUE])
def test_dciodvfy_finds_no_error(tmp_path, directions):
    path = write(tmp_path, *make_odd(directions))

    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)

    lines = (judged.stdout + judged.stderr).splitlines()
    assert lines, "dciodvfy names at least the IOD"
    assert [line for line in lines if line.startswith("Error")] == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "U"),
        ("PatientSex", "m"),
        ("PatientBirthDate", "19500000"),
        ("PatientBirthDate", "02/03/1901"),
        ("StudyTime", "10:15:00"),
        ("SpecificCharacterSet", "ISO-IR 100"),
        ("SpecificCharacterSet", "ISO_IR 6"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_values_that_anonymised_images_often_have_do_not_stop_a_result(tmp_path, keyword, value):
    volume = make_volume(edit=lambda header, _: header.__setattr__(keyword, value))

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    assert dataset.PatientID == volume.slices[0].header.PatientID
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
