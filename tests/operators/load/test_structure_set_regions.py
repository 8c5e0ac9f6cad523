"""Structure set regions: contours are filled as others fill them, and what we contour comes back to the voxel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from skimage.measure import grid_points_in_poly

from operators.core.errors import InputRefused
from operators.load.structure_set_regions import rasterised
from operators.write.write_rt_structure_set import build_rt_structure_set
from tests.builders import CORONAL, OBLIQUE, TISSUES, make_ct_series, make_identity, make_label_map
from tests.segmented import make_hu, make_structure_set, read, whole

LABELLED = TISSUES[1:3]


def square(low, high):
    return np.array([[low, low], [low, high], [high, high], [high, low]])


@given(
    st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 17)), min_size=3, max_size=12),
)
def test_a_polygon_is_filled_as_skimage_fills_it(points):
    ring = np.array(points)
    found = rasterised([ring], (12, 14))

    theirs = grid_points_in_poly((12, 14), ring)

    # Only a centre on the contour itself may be taken either way.
    for row, column in np.argwhere(found != theirs):
        assert distance_to(ring, (row, column)) < 1e-9


def distance_to(ring, point):
    starts, ends = ring, np.roll(ring, -1, axis=0)
    steps = ends - starts
    lengths = np.maximum((steps**2).sum(axis=1), 1e-300)
    shares = np.clip(((point - starts) * steps).sum(axis=1) / lengths, 0, 1)
    return np.linalg.norm(starts + shares[:, None] * steps - point, axis=1).min()


def test_a_contour_inside_another_one_is_a_hole():
    found = rasterised([square(0.5, 8.5), square(2.5, 5.5)], (10, 10))

    assert found.sum() == 8 * 8 - 3 * 3
    assert not found[4, 4]


def test_the_channel_of_a_keyhole_cancels_out():
    outer, hole = square(0.5, 8.5), square(2.5, 5.5)[::-1]
    keyhole = np.concatenate([outer, outer[:1], hole, hole[:1]])

    assert np.array_equal(rasterised([keyhole], (10, 10)), rasterised([outer, hole], (10, 10)))


def test_two_halves_of_a_region_do_not_share_a_pixel_of_their_border():
    left = np.array([[1.0, 1.0], [1.0, 4.0], [7.0, 4.0], [7.0, 1.0]])
    right = left + np.array([0.0, 3.0])

    halves = [rasterised([half], (10, 10)) for half in (left, right)]

    assert not (halves[0] & halves[1]).any()
    assert (halves[0] | halves[1]).sum() == 6 * 6


@pytest.mark.parametrize("directions", [None, CORONAL, OBLIQUE])
def test_what_we_contour_comes_back_to_the_voxel(tmp_path, directions):
    options = {} if directions is None else {"directions": directions}
    images = make_ct_series(tmp_path / "ct", hu=make_hu(), **options)
    make_structure_set(tmp_path / "rt.dcm", images, {"any": []})
    volume, _ = read(tmp_path)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[2:9, 3:20, 2:15] = 2
    labels[3:8, 6:12, 5:9] = 0
    labels[4:6, 8:10, 6:8] = 2
    labels[5:11, 12:18, 12:19] = 3
    labels[np.random.default_rng(2).random(labels.shape) > 0.93] = 3
    label_map = make_label_map(volume, labels, segments=LABELLED)
    build_rt_structure_set(volume, label_map, make_identity()).save_as(tmp_path / "rt.dcm", enforce_file_format=True)

    _, regions = read(tmp_path)

    assert [s.label for s in regions.segments] == ["Bone", "Fat"]
    for region, label in zip(regions.regions, (2, 3), strict=True):
        assert np.array_equal(whole(region), labels == label)


def circle(index, radius, to_lps):
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rows, columns = 11 + radius * np.sin(angles), 9 + radius * np.cos(angles)
    return np.column_stack([np.full(60, index), rows, columns, np.ones(60)]) @ to_lps.T[:, :3]


def test_rois_keep_name_colour_and_maker_and_say_where_contours_are_missing(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_structure_set(tmp_path / "rt.dcm", images, {"GTV": []})
    affine = read(tmp_path)[0].affine_lps
    contours = [circle(index, 4, affine) for index in (2, 3, 5, 8)]
    make_structure_set(tmp_path / "rt.dcm", images, {"GTV": contours, "marker": []})

    gtv, marker = read(tmp_path)[1].regions

    assert (gtv.segment.label, gtv.segment.colour, gtv.segment.origin.algorithm_type) == ("GTV", (255, 0, 0), "MANUAL")
    assert gtv.remark.startswith("3 slices between")
    assert gtv.voxels == pytest.approx(4 * np.pi * 16, rel=0.1)
    assert (marker.voxels, marker.segment.type.value) == (0, "111099")


def read_contours(folder, *contours, kind="CLOSED_PLANAR", kinds=(), moved_mm=(0, 0, 0)):
    """The region of an ROI: contours are indices and radii of circles, all of a kind or of the kinds given."""
    images = make_ct_series(folder / "ct", hu=make_hu())
    path = make_structure_set(folder / "rt.dcm", images, {"GTV": []})
    affine = read(folder)[0].affine_lps
    circles = [circle(index, radius, affine) + moved_mm for index, radius in contours]
    make_structure_set(path, images, {"GTV": circles})
    structure_set = dcmread(path)
    items = structure_set.ROIContourSequence[0].ContourSequence
    for item, its_kind in zip(items, kinds or [kind] * len(contours), strict=True):
        item.ContourGeometricType = its_kind
    structure_set.save_as(path)
    (region,) = read(folder)[1].regions
    return region


def test_a_contour_that_stands_there_twice_is_one(tmp_path):
    once = read_contours(tmp_path / "once", (3, 5), (3, 2), (4, 5))
    twice = read_contours(tmp_path / "twice", (3, 5), (3, 2), (4, 5), (3, 5), (4, 5))

    assert once.voxels > 100
    assert np.array_equal(whole(twice), whole(once))


def test_contours_that_are_said_to_exclude_each_other_do(tmp_path):
    region = read_contours(tmp_path, (3, 5), (3, 5), (4, 5), kind="CLOSEDPLANAR_XOR")

    assert np.flatnonzero(whole(region).any(axis=(1, 2))).tolist() == [4]
    assert not region.unmeasured


def test_contours_without_an_inside_are_counted(tmp_path):
    region = read_contours(tmp_path, (3, 5), (4, 5), (5, 5), kinds=["CLOSED_PLANAR", "OPEN_PLANAR", "POINT"])

    assert region.remark == "2 of its contours have no inside and were left out: OPEN_PLANAR, POINT."
    assert np.flatnonzero(whole(region).any(axis=(1, 2))).tolist() == [3]


@pytest.mark.parametrize(
    ("kind", "radius", "reason"),
    [
        ("OPEN_PLANAR", 5, "none of its contours has an inside: OPEN_PLANAR"),
        ("CLOSED_PLANAR", 0.3, "its contours enclose no centre of a pixel of the images"),
    ],
)
def test_what_was_drawn_and_has_no_voxel_is_not_measured_and_says_why(tmp_path, kind, radius, reason):
    between_pixels_mm = (0.3, 0.4, 0)

    region = read_contours(tmp_path, (3, radius), kind=kind, moved_mm=between_pixels_mm)

    assert (region.voxels, region.unmeasured) == (0, reason)


@pytest.mark.parametrize("off", [0.3, 20.0, -3.0])
def test_a_contour_on_no_slice_is_refused(tmp_path, off):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_structure_set(tmp_path / "rt.dcm", images, {"GTV": []})
    affine = read(tmp_path)[0].affine_lps
    make_structure_set(tmp_path / "rt.dcm", images, {"GTV": [circle(2 + off, 4, affine)]})

    with pytest.raises(InputRefused, match="lies on no slice of the images"):
        read(tmp_path)


def test_two_rois_of_one_number_are_refused(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    path = make_structure_set(tmp_path / "rt.dcm", images, {"GTV": [], "PTV": []})
    structure_set = dcmread(path)
    structure_set.StructureSetROISequence[1].ROINumber = 1
    structure_set.save_as(path)

    with pytest.raises(InputRefused, match="it describes several segments with the number 1"):
        read(tmp_path)


def test_contour_data_that_is_no_numbers_is_refused(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    path = make_structure_set(tmp_path / "rt.dcm", images, {"GTV": [np.arange(9.0).reshape(3, 3)]})
    path.write_bytes(path.read_bytes().replace(b"0.0\\1.0\\2.0\\", b"0.0\\x.0\\2.0\\"))

    with pytest.raises(InputRefused, match="its contours cannot be read"):
        read(tmp_path)


def test_a_name_with_a_backslash_is_kept(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    path = make_structure_set(tmp_path / "rt.dcm", images, {"GTV": []})
    structure_set = dcmread(path)
    structure_set.StructureSetROISequence[0].ROIName = ["PTV", "boost"]
    structure_set.save_as(path)

    (region,) = read(tmp_path)[1].regions

    assert region.segment.label == "PTV/boost"
