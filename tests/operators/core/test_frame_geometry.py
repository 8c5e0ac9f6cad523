"""Frame geometry: a SEG that is flipped, shifted, turned or refers to other slices is found, in any orientation."""

import copy
import time

import numpy as np
import pytest
from pydicom import dcmread

from operators.core.frame_geometry import frame_problems
from operators.core.frame_table import read_frames
from operators.core.source_planes import planes_of
from operators.write.write_segmentation import SegmentationType, build_segmentation
from tests.builders import (
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    decimals,
    make_affine,
    make_identity,
    make_label_map,
    make_volume,
)
from tests.enhanced import make_enhanced_volume
from tests.results import shift_positions

EVERY_WAY = [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, SAGITTAL, OBLIQUE]
MATRIX = (6, 5)


def make_seg(volume):
    return build_segmentation(volume, make_label_map(volume), make_identity())


@pytest.fixture(scope="module")
def written():
    volume = make_volume()
    return make_seg(volume), planes_of([source.header for source in volume.slices])


@pytest.fixture
def seg(written):
    return copy.deepcopy(written[0])


@pytest.fixture(scope="module")
def source(written):
    return written[1]


def problems(seg, source=None):
    return frame_problems(read_frames(seg), (int(seg.Rows), int(seg.Columns)), source)


def only(seg, source=None) -> str:
    (problem,) = problems(seg, source)
    return problem


def frames(seg):
    return seg.PerFrameFunctionalGroupsSequence


def sources(seg):
    return [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in frames(seg)]


def planes(seg):
    return [frame.PlanePositionSequence[0] for frame in frames(seg)]


def shared(seg, sequence):
    return seg.SharedFunctionalGroupsSequence[0][sequence].value[0]


@pytest.mark.parametrize("directions", EVERY_WAY)
@pytest.mark.parametrize("given", [True, False], ids=["with source", "alone"])
def test_frames_on_their_slices_are_no_problem(directions, given):
    volume = make_volume(affine_lps=make_affine(directions))

    found = problems(make_seg(volume), planes_of([s.header for s in volume.slices]) if given else None)

    assert found == []


def test_frames_on_frames_of_an_enhanced_image_are_no_problem(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    labels = np.ones(volume.array.shape, np.uint8)
    seg = build_segmentation(volume, make_label_map(volume, labels), make_identity())

    assert problems(seg, planes_of([dcmread(volume.slices[0].path)])) == []


@pytest.mark.parametrize("form", [SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE])
def test_frames_of_a_label_map_are_no_problem(source, form):
    volume = make_volume()
    label_map = make_label_map(volume, segments=make_label_map(volume).segments[1:])

    assert problems(build_segmentation(volume, label_map, make_identity(), form), source) == []


def test_a_stack_flipped_against_its_references_is_found(seg, source):
    places = [plane.ImagePositionPatient for plane in planes(seg)]
    numbers = [frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames(seg)]
    first = numbers.count(1)
    for plane, position in zip(planes(seg)[:first], places[:first][::-1], strict=True):
        plane.ImagePositionPatient = position

    assert "frames lie on another source image than the one that they refer to" in only(seg, source)
    assert problems(seg) == []


@pytest.mark.parametrize("directions", EVERY_WAY)
def test_a_stack_shifted_by_one_slice_is_found(directions):
    volume = make_volume(affine_lps=make_affine(directions))
    seg = make_seg(volume)
    shift_positions(seg, volume.affine_lps[:3, 0])

    problem = only(seg, planes_of([s.header for s in volume.slices]))

    assert problem.startswith(f"{len(frames(seg))} of {len(frames(seg))} frames lie on another source image")
    assert problem.endswith("by up to 3 mm")


@pytest.mark.parametrize("by_mm", [(0.1, 0, 0), (0, -0.4, 0), (0, 0, 0.5), (0.05, 0.05, 0.05)])
def test_a_shift_by_less_than_a_voxel_is_found(seg, source, by_mm):
    shift_positions(seg, by_mm)

    assert "frames lie elsewhere than the source images that they refer to: shifted" in only(seg, source)


def test_positions_that_lost_digits_are_no_problem(seg, source):
    shift_positions(seg, (0.001, -0.001, 0.001))

    assert problems(seg, source) == []


@pytest.mark.parametrize(
    "orientation",
    [(-1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0), (0, 1, 0, 1, 0, 0), (0, 0, 1, 0, 1, 0), (1, 0, 0, 0, 0.995, 0.0999)],
    ids=["left for right", "front for back", "transposed", "sagittal", "tilted"],
)
def test_rows_and_columns_that_run_another_way_are_found(seg, source, orientation):
    shared(seg, "PlaneOrientationSequence").ImageOrientationPatient = decimals(orientation)

    assert "rows and columns that run another way" in only(seg, source)


def test_one_frame_with_the_reference_of_its_neighbour_is_found(seg, source):
    sources(seg)[0].ReferencedSOPInstanceUID = sources(seg)[1].ReferencedSOPInstanceUID

    assert only(seg, source).startswith(f"1 of {len(frames(seg))} frames lie on another source image")


def test_exchanged_references_of_two_frames_are_found(seg, source):
    a, b = sources(seg)[:2]
    a.ReferencedSOPInstanceUID, b.ReferencedSOPInstanceUID = b.ReferencedSOPInstanceUID, a.ReferencedSOPInstanceUID

    assert only(seg, source).startswith("2 of")


def test_another_pixel_spacing_is_found(seg, source):
    shared(seg, "PixelMeasuresSequence").PixelSpacing = [0.6, 0.8]

    assert "frames have another pixel spacing" in only(seg, source)


def test_another_matrix_is_found(seg, source):
    seg.Rows, seg.Columns = seg.Columns, seg.Rows

    assert "another number of rows or columns" in only(seg, source)


def test_a_frame_between_two_slices_that_names_both_lies_on_neither(seg, source):
    images = frames(seg)[0].DerivationImageSequence[0].SourceImageSequence
    images.append(copy.deepcopy(sources(seg)[1]))
    assert problems(seg, source) == []

    planes(seg)[0].ImagePositionPatient[2] = float(planes(seg)[0].ImagePositionPatient[2]) + 1.5

    assert only(seg, source).startswith("1 of")


def test_frames_without_references_have_to_lie_on_some_slice(seg, source):
    for frame in frames(seg):
        del frame.DerivationImageSequence
    assert problems(seg, source) == []

    shift_positions(seg, (0, 0, 1.5))

    assert "refer to no source image and lie on none" in only(seg, source)


def test_frames_whose_images_are_not_there_are_not_judged(seg):
    other = planes_of([s.header for s in make_volume(affine_lps=make_affine(CORONAL)).slices[:1]])
    for image in sources(seg):
        image.ReferencedSOPInstanceUID = "1.2.3"

    assert problems(seg, other) == []


@pytest.mark.parametrize(
    ("place", "keyword"),
    [
        ("PlanePositionSequence", "ImagePositionPatient"),
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
        ("PixelMeasuresSequence", "PixelSpacing"),
    ],
)
def test_frames_that_do_not_say_where_they_lie_are_found(seg, place, keyword):
    holders = [frames(seg)[0]] if place == "PlanePositionSequence" else [seg.SharedFunctionalGroupsSequence[0]]
    for holder in holders:
        del holder[place]

    count = 1 if place == "PlanePositionSequence" else len(frames(seg))
    assert f"{count} of {len(frames(seg))} frames have no valid {keyword}" in only(seg)


def test_a_frame_with_an_orientation_of_its_own_is_found(seg):
    item = copy.deepcopy(shared(seg, "PlaneOrientationSequence"))
    item.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]
    frames(seg)[1].PlaneOrientationSequence = [item]

    assert only(seg) == "frames differ in ImageOrientationPatient: they do not lie on one grid"


def test_an_orientation_that_is_none_is_found(seg):
    shared(seg, "PlaneOrientationSequence").ImageOrientationPatient = [1, 0, 0, 1, 0, 0]

    assert only(seg).startswith("ImageOrientationPatient is not orthonormal")


def test_a_spacing_between_slices_that_is_not_theirs_is_found(seg):
    shared(seg, "PixelMeasuresSequence").SpacingBetweenSlices = 2

    assert only(seg).startswith("SpacingBetweenSlices (0018,0088) is 2 mm, but frames lie 3 mm apart")


def test_uneven_distances_are_found_without_a_source(seg):
    del shared(seg, "PixelMeasuresSequence").SpacingBetweenSlices
    moved = planes(seg)[1].ImagePositionPatient[2]
    for plane in planes(seg):
        if plane.ImagePositionPatient[2] == moved:
            plane.ImagePositionPatient = [*plane.ImagePositionPatient[:2], float(moved) + 1]

    assert "no multiples of one distance" in only(seg)


def test_a_gap_where_frames_are_empty_is_no_problem(seg):
    kept = [f for f in frames(seg) if f.PlanePositionSequence[0].ImagePositionPatient[2] != 52]
    assert len(kept) < len(frames(seg))
    seg.PerFrameFunctionalGroupsSequence = kept

    assert problems(seg) == []


def test_a_frame_shifted_in_its_plane_is_found_without_a_source(seg):
    planes(seg)[1].ImagePositionPatient = [-9.5, *planes(seg)[1].ImagePositionPatient[1:]]

    assert "shifted against each other" in only(seg)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("digits_mm", [1e-6, 1e-3])
def test_segments_whose_positions_differ_in_the_last_digits_share_their_planes(seg, axis, digits_mm):
    for frame in frames(seg):
        place = frame.PlanePositionSequence[0] = copy.deepcopy(frame.PlanePositionSequence[0])
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 2:
            position = [float(value) for value in place.ImagePositionPatient]
            position[axis] += digits_mm
            place.ImagePositionPatient = decimals(position)

    assert problems(seg) == []


def test_time_grows_with_the_number_of_frames_not_with_its_square():
    """4 times the slices, with 20 segments each, in at most 8 times the time (linear: 4, square: 16)."""
    few, many = seg_and_source(75), seg_and_source(300)

    assert min(judging_s(*many) for _ in range(3)) <= 8 * min(judging_s(*few) for _ in range(3))


def seg_and_source(slices):
    volume = make_volume(np.zeros((slices, 4, 4), np.int16))
    label_map = make_label_map(volume, np.ones(volume.array.shape, np.uint8), segments=many_segments(20))
    seg = build_segmentation(volume, label_map, make_identity())
    return seg, planes_of([s.header for s in volume.slices])


def judging_s(seg, source):
    started = time.process_time()
    table = read_frames(seg)
    found = frame_problems(table, (4, 4), source)
    took_s = time.process_time() - started

    assert (len(table), found) == (20 * len(source.frames), [])
    return took_s


def many_segments(count):
    first = make_label_map(make_volume()).segments[0]
    return tuple(
        type(first)(n, f"s{n}", f"S {n}", (1,), first.category, first.type, first.colour) for n in range(1, count + 1)
    )
