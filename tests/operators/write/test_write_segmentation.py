"""WriteSegmentation: what others read in the SEG is the label map (PS3.3 A.51, C.8.20)."""

import copy
import dataclasses
import json
import shutil
import subprocess
import warnings

import highdicom as hd
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.sr.codedict import codes as dictionary

from operators.core.errors import GeometryError, SegmentationError
from operators.core.found_segments import found_segments
from operators.core.label_map import LabelMap
from operators.core.object_checks import check_object
from operators.core.probability_map import ProbabilityMap
from operators.core.volume import Volume
from operators.runtime.sdk import Application
from operators.write.write_segmentation import (
    FILE_NAME,
    SegmentationType,
    WriteParameters,
    WriteSegmentation,
    build_segmentation,
    save,
    tracking_id,
    tracking_uid,
)
from tests.builders import (
    ALGORITHM,
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
from tests.enhanced import make_enhanced_volume
from tests.judges import dciodvfy_errors, dcmqi

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
FALSE_ERRORS = ("Information Object Not found", "with SegmentNumber of 0")
"""What dciodvfy of 2022 says of each LABELMAP: it does not know the SOP Class, nor that background has number 0."""


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

    assert [found.segment.name for found in found_segments(label_map)] == ["body", "fat"]
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


def make_case(segmentation_type):
    """A volume and a map that the type holds, with an empty slice and a segment (muscle) that is nowhere."""
    volume = make_volume(make_hu(*ODD_MATRIX))
    labels = np.random.default_rng(5).integers(0, 4, ODD_MATRIX).astype(np.uint8)
    labels[0] = 0
    if segmentation_type is SegmentationType.BINARY:
        return volume, make_label_map(volume, labels)
    if segmentation_type is not SegmentationType.FRACTIONAL:
        return volume, make_label_map(volume, labels, segments=TISSUES[1:])
    arrays = tuple(np.isin(labels, segment.labels) * np.float32(0.6) for segment in TISSUES)
    return volume, ProbabilityMap(arrays, volume.affine_lps.copy(), TISSUES, ALGORITHM)


def truth(label_map) -> dict[str, np.ndarray]:
    """Masks of the segments by their label, of those that have a voxel."""
    if isinstance(label_map, ProbabilityMap):
        masks = {s.label: array > 0 for s, array in zip(label_map.segments, label_map.arrays, strict=True)}
    else:
        masks = {s.label: np.isin(label_map.array, s.labels) for s in label_map.segments}
    return {label: mask for label, mask in masks.items() if mask.any()}


def dcmqi_voxel_counts(path, folder) -> dict[str, int]:
    """Voxels a segment as segimage2itkimage reads them: an image a segment, or one with all labels of a LABELMAP."""
    dcmqi("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nrrd")
    counts = {}
    for group in json.loads((folder / "meta.json").read_text(encoding="utf-8"))["segmentAttributes"]:
        voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / f"{group[0]['labelID']}.nrrd")))
        for item in group:
            inside = voxels == item["labelID"] if len(group) > 1 else voxels > 0
            counts[item["SegmentLabel"]] = int(inside.sum())
    return counts


def process(folder, volume, label_map, segmentation_type=SegmentationType.BINARY):
    parameters = WriteParameters(folder, segmentation_type)
    return WriteSegmentation(Application(), parameters).process(volume, label_map, make_identity())


@pytest.mark.parametrize("segmentation_type", SegmentationType)
def test_dcmqi_counts_the_voxels_of_each_segment(tmp_path, segmentation_type):
    volume, label_map = make_case(segmentation_type)

    path = process(tmp_path, volume, label_map, segmentation_type).path

    assert dcmqi_voxel_counts(path, tmp_path) == {label: int(mask.sum()) for label, mask in truth(label_map).items()}


@pytest.mark.parametrize("segmentation_type", SegmentationType)
def test_highdicom_reads_each_type(tmp_path, segmentation_type):
    volume, label_map = make_case(segmentation_type)

    seg = hd.seg.segread(process(tmp_path, volume, label_map, segmentation_type).path)

    uids = [source.header.SOPInstanceUID for source in volume.slices]
    pixels = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for number, (label, mask) in enumerate(truth(label_map).items(), start=1):
        assert seg.get_segment_description(number).segment_label == label
        assert np.array_equal(pixels[..., number - 1] > 0, mask)


@pytest.mark.parametrize("segmentation_type", SegmentationType)
def test_dciodvfy_finds_no_error_but_its_own(tmp_path, segmentation_type):
    path = process(tmp_path, *make_case(segmentation_type), segmentation_type).path

    errors = dciodvfy_errors(path)

    accepted = FALSE_ERRORS if "LABELMAP" in segmentation_type.name else ()
    assert [error for error in errors if not error.endswith(accepted or "no such end")] == []
    assert len(errors) == len(accepted)


@pytest.mark.parametrize("segmentation_type", SegmentationType)
def test_type_and_transfer_syntax_are_said(tmp_path, segmentation_type):
    dataset = process(tmp_path, *make_case(segmentation_type), segmentation_type).dataset

    labelmap = "LABELMAP" in segmentation_type.name
    assert dataset.SegmentationType == ("LABELMAP" if labelmap else segmentation_type.name)
    assert dataset.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.66.{7 if labelmap else 4}"
    assert dataset.file_meta.TransferSyntaxUID.is_compressed == (segmentation_type is SegmentationType.LABELMAP_RLE)


def sources_of_frames(dataset) -> list[str]:
    """SOP Instance UID of the image behind each frame."""
    return [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in dataset.PerFrameFunctionalGroupsSequence
    ]


@pytest.mark.parametrize("segmentation_type", [SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE])
def test_labelmap_has_a_frame_for_each_slice(tmp_path, segmentation_type):
    volume, label_map = make_case(segmentation_type)

    dataset = process(tmp_path, volume, label_map, segmentation_type).dataset

    assert sorted(sources_of_frames(dataset)) == sorted(source.header.SOPInstanceUID for source in volume.slices)


def test_rle_labelmap_is_decoded_by_pydicom_to_segment_numbers(tmp_path):
    volume, label_map = make_case(SegmentationType.LABELMAP_RLE)

    dataset = dcmread(process(tmp_path, volume, label_map, SegmentationType.LABELMAP_RLE).path)

    # Bone is label 2 and segment 1, fat label 3 and segment 2; label 1 (body) belongs to no segment here.
    numbers = dict(zip(sources_of_frames(dataset), dataset.pixel_array, strict=True))
    for source, labels in zip(volume.slices, label_map.array, strict=True):
        assert np.array_equal(numbers[source.header.SOPInstanceUID], np.array([0, 0, 1, 2])[labels])


def test_probabilities_are_stored_in_256_steps(tmp_path):
    volume = make_volume()
    array = np.zeros(volume.array.shape, np.float32)
    array[5, 2, :4] = [0.2, 0.501, 0.999, 1.0]

    probabilities = ProbabilityMap((array,), volume.affine_lps.copy(), TISSUES[:1], ALGORITHM)
    dataset = process(tmp_path, volume, probabilities, SegmentationType.FRACTIONAL).dataset

    assert (dataset.SegmentationFractionalType, dataset.MaximumFractionalValue) == ("PROBABILITY", 255)
    assert dataset.pixel_array.shape == volume.array.shape[1:]
    # 255 p to the nearest: 51, 127.755, 254.745, 255.
    assert dataset.pixel_array[2].tolist() == [51, 128, 255, 255, 0]


@pytest.mark.parametrize("segmentation_type", [SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE])
def test_labelmap_of_overlapping_segments_is_refused(tmp_path, segmentation_type):
    volume, label_map = make_odd()

    with pytest.raises(SegmentationError, match=r"body, bone, fat overlap.*BINARY"):
        process(tmp_path, volume, label_map, segmentation_type)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("segmentation_type", SegmentationType)
def test_map_of_another_kind_than_the_type_holds_is_refused(tmp_path, segmentation_type):
    fractional = segmentation_type is SegmentationType.FRACTIONAL
    volume, label_map = make_case(SegmentationType.BINARY if fractional else SegmentationType.FRACTIONAL)

    with pytest.raises(SegmentationError, match=segmentation_type.name):
        process(tmp_path, volume, label_map, segmentation_type)

    assert list(tmp_path.iterdir()) == []


def test_probabilities_that_are_all_stored_as_0_are_no_segment(tmp_path):
    volume = make_volume()
    array = np.full(volume.array.shape, 0.0019, np.float32)

    with pytest.raises(SegmentationError, match="no segment was found"):
        process(
            tmp_path,
            volume,
            ProbabilityMap((array,), volume.affine_lps.copy(), TISSUES[:1], ALGORITHM),
            SegmentationType.FRACTIONAL,
        )


def flipped(volume):
    """A volume and its map, both with the slices upside down: they agree, but not with the images."""
    affine = volume.affine_lps @ np.array([[-1, 0, 0, 11], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    return Volume(volume.array[::-1].copy(), affine, volume.frame_of_reference_uid, volume.slices)


def test_map_that_agrees_with_a_flipped_volume_is_refused_before_anything_is_written(tmp_path):
    volume = flipped(make_volume())

    with pytest.raises(GeometryError, match=r"slice 0 .*voxels"):
        process(tmp_path, volume, make_label_map(volume))

    assert list(tmp_path.iterdir()) == []


def test_dataset_of_the_file_gives_its_frames_when_asked(tmp_path):
    volume, label_map = make_odd()

    written = process(tmp_path, volume, label_map)

    whole = dcmread(tmp_path / FILE_NAME)
    assert written.path == tmp_path / FILE_NAME
    assert written.dataset.PixelData == whole.PixelData
    assert written.dataset.to_json() == whole.to_json()


def test_large_elements_stay_in_the_file(tmp_path):
    volume = make_volume(np.zeros((12, 256, 256), np.int16))
    labels = np.ones(volume.array.shape, np.uint8)

    dataset = process(tmp_path, volume, make_label_map(volume, labels)).dataset

    in_memory = dict(dataset.items())
    assert in_memory[0x7FE00010].value is None
    assert in_memory[0x52009230].value is not None
    assert len(dataset.PixelData) == 12 * 256 * 256 // 8


def test_laterality_stands_at_the_region_or_else_at_the_type(tmp_path):
    volume = make_volume()
    sided = [dataclasses.replace(segment, modifier=dictionary.SCT.Left) for segment in TISSUES[1:3]]

    bone, fat = process(tmp_path, volume, make_label_map(volume, segments=tuple(sided))).dataset.SegmentSequence

    at_type = bone.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    at_region = fat.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert at_type.CodeValue == at_region.CodeValue == "7771000"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in fat.SegmentedPropertyTypeCodeSequence[0]
    assert dciodvfy_errors(tmp_path / FILE_NAME) == []


@pytest.mark.parametrize("segmentation_type", [SegmentationType.BINARY, SegmentationType.LABELMAP])
def test_frames_of_a_multi_frame_source_are_referred_to_by_number(tmp_path, segmentation_type):
    volume = make_enhanced_volume(tmp_path)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1:, 1:, 1:] = 2
    (uid,) = {source.header.SOPInstanceUID for source in volume.slices}

    dataset = process(tmp_path, volume, make_label_map(volume, labels, segments=TISSUES[1:]), segmentation_type).dataset

    by_number = {source.frame_number: source.header for source in volume.slices}
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (item,) = frame.DerivationImageSequence[0].SourceImageSequence
        header = by_number[item.ReferencedFrameNumber]
        assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (header.SOPClassUID, uid)
        assert frame.PlanePositionSequence[0].ImagePositionPatient == header.ImagePositionPatient
    assert [item.ReferencedSOPInstanceUID for item in referenced(dataset)] == [uid]
    assert dcmqi_voxel_counts(tmp_path / FILE_NAME, tmp_path) == {"Bone": int((labels == 2).sum())}
    if segmentation_type is SegmentationType.BINARY:
        assert dciodvfy_errors(tmp_path / FILE_NAME) == []


def test_headers_of_the_source_stay_as_they_are(tmp_path):
    def spoil(header, _):
        header.PatientBirthDate, header.PatientSex, header.SliceThickness = "19500000", "U", None
        del header.StudyID

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volume = make_volume(edit=spoil)
        before = [copy.deepcopy(source.header) for source in volume.slices]

        process(tmp_path, volume, make_label_map(volume))

    assert [source.header for source in volume.slices] == before


def test_more_segments_than_a_label_map_has_labels_are_written(tmp_path):
    volume = make_volume()
    segments = tuple(
        dataclasses.replace(TISSUES[0], number=number, name=f"s{number}", labels=(1, 2) if number % 2 else (2, 3))
        for number in range(1, 301)
    )

    dataset = process(tmp_path, volume, make_label_map(volume, segments=segments)).dataset

    frames = dataset.PerFrameFunctionalGroupsSequence
    numbers = [frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 301))
    assert check_object(dataset) == []


@pytest.mark.parametrize("array", [np.zeros((12, 6, 5), np.uint8)[:, ::-1], np.zeros((5, 6, 12), np.uint8).T])
def test_arrays_in_any_order_of_memory_are_written(tmp_path, array):
    volume = make_volume()
    array = array.copy(order="K")
    array[3:5, 1:3, 2:4] = 2
    label_map = LabelMap(array, volume.affine_lps.copy(), TISSUES, ALGORITHM)

    path = process(tmp_path, volume, label_map).path

    assert np.array_equal(raw_masks(path, label_map)[2], array == 2)
