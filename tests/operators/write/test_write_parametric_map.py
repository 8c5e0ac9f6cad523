"""WriteParametricMap: others read the same values at the same places (PS3.3 A.75, C.7.6.24)."""

import dataclasses
import json

import highdicom as hd
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.sr.codedict import codes as dictionary

from operators.core.errors import GeometryError, OperatorError
from operators.core.measurements import Quantity
from operators.core.volume import Volume
from operators.measure.measure_segments import MEAN_HU
from operators.runtime.sdk import Application
from operators.write.write_parametric_map import (
    FILE_NAME,
    ParametricMapParameters,
    WriteParametricMap,
    build_parametric_map,
)
from operators.write.write_segmentation import save
from tests.builders import (
    ALGORITHM,
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    make_affine,
    make_identity,
    make_volume,
)
from tests.enhanced import frame_of, make_enhanced_volume
from tests.judges import dciodvfy_errors, dcmqi

FRACTION = Quantity("fat_fraction", "1", dictionary.SCT.AdiposeTissue, dictionary.UCUM.NoUnits)


def make_values(directions=AXIAL, dtype=np.float32, shape=(7, 9, 11)) -> Volume:
    """Values from -5 to 5, each of its own, with tiny and negative ones among them."""
    array = np.random.default_rng(11).uniform(-5, 5, shape).astype(dtype)
    array[0, 0, 0] = 1e-30
    return make_volume(array, make_affine(directions))


def build(values, quantity=FRACTION, identity=None):
    return build_parametric_map(values, quantity, ALGORITHM, identity or make_identity())


def write(tmp_path, values, quantity=FRACTION, identity=None):
    path = tmp_path / "parametric_map.dcm"
    save(build(values, quantity, identity), path)
    return path


def example(tmp_path):
    return (
        ParametricMapParameters(tmp_path, FRACTION, ALGORITHM),
        {"values": make_values(), "identity": make_identity()},
    )


def source_of(frame):
    """The reference of a frame to its source."""
    return frame.DerivationImageSequence[0].SourceImageSequence[0]


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, OBLIQUE])
def test_stored_floats_are_the_values_of_the_source_slice(tmp_path, directions):
    values = make_values(directions)
    index_of = {s.header.SOPInstanceUID: index for index, s in enumerate(values.slices)}

    dataset = dcmread(write(tmp_path, values))

    frames = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(-1, dataset.Rows, dataset.Columns)
    assert dataset.NumberOfFrames == len(values.array)
    for stored, frame in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        index = index_of[source_of(frame).ReferencedSOPInstanceUID]
        assert np.array_equal(stored, values.array[index])
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert [float(v) for v in position] == pytest.approx(values.position_lps(index))


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL])
def test_dcmqi_reads_the_values_at_their_places(tmp_path, directions):
    values = make_values(directions)

    dcmqi(
        "paramap2itkimage", "--inputDICOM", write(tmp_path, values), "--outputDirectory", tmp_path, "-t", "nrrd"
    )  # fmt: skip

    image = SimpleITK.ReadImage(str(tmp_path / "pmap.nrrd"))
    slices, rows, columns = values.array.shape
    for index in [(0, 0, 0), (slices - 1, 0, 0), (0, rows - 1, 0), (2, 3, columns - 1)]:
        point = (values.affine_lps @ (*index, 1))[:3].tolist()
        there = image.TransformPhysicalPointToIndex(point)
        assert image[there] == np.float32(values.array[index])
    read = SimpleITK.GetArrayViewFromImage(image)
    assert np.array_equal(np.sort(read, axis=None), np.sort(values.array, axis=None))


def as_highdicom_reads(path, values) -> np.ndarray:
    """The map's value at the place of each voxel of a volume."""
    volume = hd.pm.ParametricMap.from_file(path).get_volume()
    indices = np.indices(values.array.shape).reshape(3, -1)
    points = values.affine_lps @ np.vstack([indices, np.ones(indices.shape[1])])
    there = (np.linalg.inv(volume.affine) @ points)[:3]
    assert np.abs(there - np.round(there)).max() < 1e-3
    return volume.array[tuple(np.round(there).astype(int))].reshape(values.array.shape)


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET, OBLIQUE])
def test_highdicom_reads_the_values_at_their_places(tmp_path, directions):
    values = make_values(directions)

    read = as_highdicom_reads(write(tmp_path, values), values)

    assert np.array_equal(read, values.array)


def test_frames_run_along_the_normal_whichever_way_the_volume_runs(tmp_path):
    values = make_values()
    affine = values.affine_lps.copy()
    affine[:3, 3] += 6 * affine[:3, 0]
    affine[:3, 0] *= -1
    backwards = Volume(values.array[::-1].copy(), affine, values.frame_of_reference_uid, values.slices[::-1])

    forth, back = dcmread(write(tmp_path, values)), dcmread(write(tmp_path, backwards))

    heights = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in back.PerFrameFunctionalGroupsSequence]
    numbers = [f.FrameContentSequence[0].DimensionIndexValues for f in back.PerFrameFunctionalGroupsSequence]
    assert heights == sorted(heights)
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    assert back.FloatPixelData == forth.FloatPixelData


def test_whole_numbers_stay_what_they_are(tmp_path):
    values = make_volume()

    dataset = dcmread(write(tmp_path, values, MEAN_HU))

    assert np.array_equal(np.frombuffer(dataset.FloatPixelData, "<f4"), values.array.ravel())


def test_doubles_are_rounded_to_the_nearest_float(tmp_path):
    values = make_values(dtype=np.float64)

    dataset = dcmread(write(tmp_path, values))

    assert np.array_equal(np.frombuffer(dataset.FloatPixelData, "<f4"), values.array.astype("<f4").ravel())


def test_values_have_unit_quantity_and_range(tmp_path):
    values = make_values()

    dataset = dcmread(write(tmp_path, values, MEAN_HU))

    (mapping,) = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == MEAN_HU.ucum.value
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped == values.array.min()
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == values.array.max()
    said = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.ConceptCodeSequence[0].CodeValue
        for item in mapping.QuantityDefinitionSequence
    }
    assert said == {"Quantity": MEAN_HU.concept.value, "Derivation": MEAN_HU.derivation.value}


def test_dcmqi_reads_unit_and_quantity(tmp_path):
    path = write(tmp_path, make_values(), MEAN_HU)

    dcmqi("paramap2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path, "-t", "nrrd")

    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    assert meta["MeasurementUnitsCode"]["CodeValue"] == MEAN_HU.ucum.value
    assert meta["QuantityValueCode"]["CodeValue"] == MEAN_HU.concept.value


def test_window_shows_all_values(tmp_path):
    values = make_values()

    dataset = dcmread(write(tmp_path, values))

    (window,) = dataset.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence
    low = window.WindowCenter - window.WindowWidth / 2
    assert (low, low + window.WindowWidth) == pytest.approx((values.array.min(), values.array.max()))


def test_constant_map_has_a_window(tmp_path):
    path = write(tmp_path, make_volume(np.full((3, 4, 5), 2.5, np.float32)))

    assert dcmread(path).SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0].WindowWidth > 0
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE])
@pytest.mark.parametrize("quantity", [FRACTION, MEAN_HU])
def test_validator_finds_no_error(tmp_path, directions, quantity):
    assert dciodvfy_errors(write(tmp_path, make_values(directions), quantity)) == []


def test_all_instances_of_the_source_are_referenced(tmp_path):
    values = make_values()

    dataset = dcmread(write(tmp_path, values))

    (series,) = dataset.ReferencedSeriesSequence
    uids = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    assert series.SeriesInstanceUID == values.slices[0].header.SeriesInstanceUID
    assert uids == {source.header.SOPInstanceUID for source in values.slices}
    assert dataset.FrameOfReferenceUID == values.frame_of_reference_uid


def test_frames_of_an_enhanced_image_are_named(tmp_path):
    values = make_enhanced_volume(tmp_path)
    header = values.slices[0].header

    path = write(tmp_path, values)

    dataset = dcmread(path)
    (item,) = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert item.ReferencedSOPInstanceUID == header.SOPInstanceUID
    stored = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(values.array.shape)
    index_of = {frame_of(index): index for index in range(len(values.array))}
    seen = set()
    for plane, frame in zip(stored, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        source = source_of(frame)
        assert (source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID) == (
            header.SOPClassUID,
            header.SOPInstanceUID,
        )
        assert np.array_equal(plane, values.array[index_of[source.ReferencedFrameNumber]])
        seen.add(source.ReferencedFrameNumber)
    assert seen == set(index_of)
    assert dciodvfy_errors(path) == []


def test_map_on_a_larger_grid_than_its_images_lies_on_that_grid(tmp_path):
    affine = make_affine()
    affine[:3, 3] -= 2 * affine[:3, 1] + 3 * affine[:3, 2]
    array = np.random.default_rng(2).random((12, 9, 11)).astype(np.float32)
    values = dataclasses.replace(make_volume(), array=array, affine_lps=affine)

    path = write(tmp_path, values)

    assert np.array_equal(as_highdicom_reads(path, values), array)
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_finite_number_are_refused(odd):
    array = np.zeros((3, 4, 5), np.float32)
    array[1, 2, 3] = odd

    with pytest.raises(OperatorError, match="1 are not"):
        build(make_volume(array))


def test_double_too_large_for_a_float_is_refused():
    with pytest.raises(OperatorError, match="1 are not"), np.errstate(over="ignore"):
        build(make_volume(np.array([[[1e300, 0.0]], [[0.0, 0.0]]])))


def test_more_slices_than_sources_are_refused():
    values = make_values()

    with pytest.raises(GeometryError, match="7 slices of 6 images"):
        build(dataclasses.replace(values, slices=values.slices[:-1]))


def test_source_without_frame_of_reference_is_refused():
    adrift = dataclasses.replace(make_volume(), frame_of_reference_uid="")

    with pytest.raises(GeometryError, match="Frame of Reference"):
        build(adrift)


def test_result_says_who_made_it_and_for_what(tmp_path):
    dataset = dcmread(write(tmp_path, make_values()))

    names = [item.ManufacturerModelName for item in dataset.ContributingEquipmentSequence]
    assert ALGORITHM.name in names
    assert "research use" in dataset.SeriesDescription
    assert dataset.ContentQualification == "RESEARCH"
    assert (dataset.ContentDate, dataset.ContentTime) == ("20250102", "101530")


def test_same_identity_gives_the_same_bytes_and_another_another_uid(tmp_path):
    values = make_values()

    first = write(tmp_path, values).read_bytes()
    second = write(tmp_path, values).read_bytes()
    other = build(values, identity=make_identity("cd" * 32))

    assert first == second
    assert other.SOPInstanceUID != build(values).SOPInstanceUID


def test_operator_writes_what_it_gives(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteParametricMap(Application(), parameters).process(**inputs)

    assert written.path == tmp_path / FILE_NAME
    assert dcmread(written.path).FloatPixelData == written.dataset.FloatPixelData
    assert written.record.sop_class == "Parametric Map Storage"
