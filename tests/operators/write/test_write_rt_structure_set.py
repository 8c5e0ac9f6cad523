"""WriteRTStructureSet: whoever fills the contours gets the label map (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8)."""

import dataclasses

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.sr.codedict import codes as dictionary
from pydicom.uid import ImplicitVRLittleEndian
from scipy import ndimage
from skimage.draw import polygon

from operators.core import defaults
from operators.core.errors import GeometryError, SegmentationError
from operators.core.volume import Volume
from operators.runtime.sdk import Application
from operators.write.write_rt_structure_set import FILE_NAME, WriteRTStructureSet, build_rt_structure_set
from operators.write.write_segmentation import WriteParameters, save
from tests.builders import (
    ALGORITHM,
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    TISSUES,
    make_affine,
    make_identity,
    make_label_map,
    make_volume,
)
from tests.enhanced import frame_of, make_enhanced_volume
from tests.judges import dciodvfy_errors


def example(tmp_path):
    volume = make_volume()
    inputs = {"volume": volume, "label_map": make_label_map(volume), "identity": make_identity()}
    return WriteParameters(tmp_path), inputs


def blobs(shape=(4, 22, 18)) -> np.ndarray:
    """Labels 0 to 3 in pieces with holes, islands in holes and pixels that touch at corners."""
    noise = ndimage.gaussian_filter(np.random.default_rng(7).standard_normal(shape), 1.0)
    return np.digitize(noise, [0.0, 0.05, 0.2]).astype(np.uint8)


def write(tmp_path, volume, label_map, identity=None):
    path = tmp_path / "rtstruct.dcm"
    save(build_rt_structure_set(volume, label_map, identity or make_identity()), path)
    return path


def filled(path, volume, *, combine) -> dict[int, np.ndarray]:
    """ROIs as masks, from the file alone: SimpleITK places the points, scikit-image fills the polygons."""
    dataset = dcmread(path)
    affine = volume.affine_lps
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = SimpleITK.Image(volume.array.shape[::-1], SimpleITK.sitkUInt8)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    masks = {}
    for roi in dataset.ROIContourSequence:
        mask = masks.setdefault(int(roi.ReferencedROINumber), np.zeros(volume.array.shape, bool))
        for contour in roi.ContourSequence:
            points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3).tolist()
            assert len(points) == contour.NumberOfContourPoints
            indices = np.array([image.TransformPhysicalPointToContinuousIndex(point) for point in points])
            (at,) = set(np.round(indices[:, 2], 2))
            inside = np.zeros(mask.shape[1:], bool)
            inside[polygon(indices[:, 1], indices[:, 0], inside.shape)] = True
            mask[int(at)] = combine(mask[int(at)], inside)
    return masks


@pytest.mark.parametrize("combine", [np.logical_or, np.logical_xor], ids=["union", "exclusive or"])
@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, OBLIQUE])
def test_filled_contours_are_the_label_map(tmp_path, directions, combine):
    labels = blobs()
    volume = make_volume(np.zeros(labels.shape, np.int16), make_affine(directions))
    label_map = make_label_map(volume, labels)

    masks = filled(write(tmp_path, volume, label_map), volume, combine=combine)

    for number, segment in enumerate(TISSUES[:3], start=1):
        assert np.array_equal(masks[number], np.isin(labels, segment.labels))


def test_contours_are_closed_planar_numbered_and_do_not_repeat_their_first_point(tmp_path):
    labels = blobs()
    volume = make_volume(np.zeros(labels.shape, np.int16))

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, labels)))

    for roi in dataset.ROIContourSequence:
        assert [c.ContourNumber for c in roi.ContourSequence] == list(range(1, len(roi.ContourSequence) + 1))
        assert {c.ContourGeometricType for c in roi.ContourSequence} == {"CLOSED_PLANAR"}
        assert all(list(c.ContourData[:3]) != list(c.ContourData[-3:]) for c in roi.ContourSequence)


def test_contour_data_are_decimal_strings(tmp_path):
    affine = make_affine(OBLIQUE, (3.0, 0.83333333, 0.7654321), (-1234.56789, 1e-9, 0.1))
    volume = make_volume(affine_lps=affine)

    path = write(tmp_path, volume, make_label_map(volume))

    raw = dcmread(path).ROIContourSequence[0].ContourSequence[0].get_item("ContourData").value.decode()
    assert len(raw) % 2 == 0
    assert max(len(value.strip()) for value in raw.split("\\")) <= 16
    assert "-0" not in [value.strip() for value in raw.split("\\")]


def test_contour_longer_than_64_kib_reads_back(tmp_path):
    labels = np.full((2, 61, 61), 2, np.uint8)
    labels[:, 1::2, 1::2] = 0
    volume = make_volume(np.zeros(labels.shape, np.int16))
    label_map = make_label_map(volume, labels)

    path = write(tmp_path, volume, label_map)

    dataset = dcmread(path)
    lengths = [len(c.get_item("ContourData").value) for r in dataset.ROIContourSequence for c in r.ContourSequence]
    assert max(lengths) > 1 << 16
    assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert np.array_equal(filled(path, volume, combine=np.logical_or)[2], labels == 2)


def test_rois_say_what_the_segments_are(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)

    dataset = dcmread(write(tmp_path, volume, label_map))

    rois = dataset.StructureSetROISequence
    assert [(r.ROINumber, r.ROIName) for r in rois] == [(1, "Body"), (2, "Bone"), (3, "Fat")]
    assert {r.ROIGenerationAlgorithm for r in rois} == {"AUTOMATIC"}
    assert {r.ReferencedFrameOfReferenceUID for r in rois} == {volume.frame_of_reference_uid}
    for number, segment in enumerate(TISSUES[:3]):
        pixels = np.isin(label_map.array, segment.labels).sum()
        assert float(rois[number].ROIVolume) == pytest.approx(pixels * 3.0 * 0.8 * 0.6 / 1000)
        contour, observation = dataset.ROIContourSequence[number], dataset.RTROIObservationsSequence[number]
        assert tuple(contour.ROIDisplayColor) == segment.colour
        assert observation.ReferencedROINumber == number + 1
        assert observation.RTROIIdentificationCodeSequence[0].CodeValue == segment.type.value
        assert observation.SegmentedPropertyCategoryCodeSequence[0].CodeValue == segment.category.value
    assert dataset.RTROIObservationsSequence[2].AnatomicRegionSequence[0].CodeValue == TISSUES[2].region.value


def test_laterality_stands_at_the_region_or_else_at_the_type(tmp_path):
    volume = make_volume()
    left = [dataclasses.replace(segment, modifier=dictionary.SCT.Left) for segment in TISSUES[1:3]]

    path = write(tmp_path, volume, make_label_map(volume, segments=tuple(left)))

    bone, fat = dcmread(path).RTROIObservationsSequence
    type_item = bone.RTROIIdentificationCodeSequence[0]
    assert type_item.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == dictionary.SCT.Left.value
    assert fat.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeValue == dictionary.SCT.Left.value
    assert dciodvfy_errors(path) == []


def test_all_images_of_the_series_are_referenced(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    header = volume.slices[0].header
    assert frame.FrameOfReferenceUID == dataset.FrameOfReferenceUID == volume.frame_of_reference_uid
    assert study.ReferencedSOPInstanceUID == dataset.StudyInstanceUID == header.StudyInstanceUID
    assert series.SeriesInstanceUID == header.SeriesInstanceUID
    images = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in series.ContourImageSequence]
    assert images == [(s.header.SOPClassUID, s.header.SOPInstanceUID) for s in volume.slices]


def test_each_contour_names_the_image_in_whose_plane_it_lies(tmp_path):
    volume = make_volume(affine_lps=make_affine(AXIAL_FEET))
    height = {s.header.SOPInstanceUID: float(s.header.ImagePositionPatient[2]) for s in volume.slices}

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    contours = [contour for roi in dataset.ROIContourSequence for contour in roi.ContourSequence]
    assert len(contours) > 3
    for contour in contours:
        (image,) = contour.ContourImageSequence
        assert {float(z) for z in contour.ContourData[2::3]} == {height[image.ReferencedSOPInstanceUID]}


def test_frames_of_an_enhanced_image_are_named(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1:4, 2:4, 2:4] = 2

    path = write(tmp_path, volume, make_label_map(volume, labels, segments=TISSUES[1:2]))

    dataset = dcmread(path)
    contours = dataset.ROIContourSequence[0].ContourSequence
    assert [c.ContourImageSequence[0].ReferencedFrameNumber for c in contours] == [frame_of(i) for i in (1, 2, 3)]
    uids = {c.ContourImageSequence[0].ReferencedSOPInstanceUID for c in contours}
    assert uids == {volume.slices[0].header.SOPInstanceUID}
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    (image,) = study.RTReferencedSeriesSequence[0].ContourImageSequence
    assert image.ReferencedFrameNumber == [frame_of(i) for i in range(6)]
    assert dciodvfy_errors(path) == []
    assert np.array_equal(filled(path, volume, combine=np.logical_xor)[1], labels == 2)


@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE])
def test_validator_finds_no_error(tmp_path, directions):
    labels = blobs()
    volume = make_volume(np.zeros(labels.shape, np.int16), make_affine(directions))

    path = write(tmp_path, volume, make_label_map(volume, labels))

    assert dciodvfy_errors(path) == []


def test_segments_that_were_not_found_are_left_out(tmp_path):
    volume = make_volume()
    labels = make_label_map(volume).array.copy()
    labels[labels == 2] = 1

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, labels)))

    assert [(r.ROINumber, r.ROIName) for r in dataset.StructureSetROISequence] == [(1, "Body"), (2, "Fat")]
    assert [r.ReferencedROINumber for r in dataset.ROIContourSequence] == [1, 2]
    assert [r.ReferencedROINumber for r in dataset.RTROIObservationsSequence] == [1, 2]


def test_empty_label_map_is_refused():
    volume = make_volume()

    with pytest.raises(SegmentationError, match="no segment was found"):
        build_rt_structure_set(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)), make_identity())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_grid_that_is_not_that_of_the_images_is_refused(axis):
    volume = make_volume()
    affine = volume.affine_lps.copy()
    affine[:3, 3] += affine[:3, axis] * (volume.array.shape[axis] - 1)
    affine[:3, axis] *= -1
    flipped = Volume(volume.array, affine, volume.frame_of_reference_uid, volume.slices)

    with pytest.raises(GeometryError, match="from where its image"):
        build_rt_structure_set(flipped, make_label_map(flipped), make_identity())


def test_source_without_frame_of_reference_is_refused():
    adrift = dataclasses.replace(make_volume(), frame_of_reference_uid="")

    with pytest.raises(GeometryError, match="Frame of Reference"):
        build_rt_structure_set(adrift, make_label_map(adrift), make_identity())


def test_result_says_who_made_it_and_for_what(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    (equipment,) = dataset.ContributingEquipmentSequence
    assert equipment.ManufacturerModelName == dataset.ManufacturerModelName == ALGORITHM.name
    assert "research use" in dataset.SeriesDescription
    assert dataset.StructureSetDescription == defaults.RESEARCH_STATUS
    assert (dataset.Modality, dataset.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    assert (dataset.StructureSetDate, dataset.StructureSetTime) == ("20250102", "101530")
    assert "ContentDate" not in dataset


def test_patient_name_keeps_its_letters(tmp_path):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"

    def rename(header, _):
        header.SpecificCharacterSet = "ISO_IR 192"
        header.PatientName = name

    volume = make_volume(edit=rename)

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    assert str(dataset.PatientName) == name


def test_same_identity_gives_the_same_bytes_and_another_another_uid(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)

    first = write(tmp_path, volume, label_map).read_bytes()
    second = write(tmp_path, volume, label_map).read_bytes()
    other = dcmread(write(tmp_path, volume, label_map, make_identity("cd" * 32)))

    assert first == second
    assert other.SOPInstanceUID != build_rt_structure_set(volume, label_map, make_identity()).SOPInstanceUID


def test_operator_writes_what_it_gives(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteRTStructureSet(Application(), parameters).process(**inputs)

    assert written.path == tmp_path / FILE_NAME
    assert dcmread(written.path).to_json() == written.dataset.to_json()
    assert written.record.sop_class == "RT Structure Set Storage"
