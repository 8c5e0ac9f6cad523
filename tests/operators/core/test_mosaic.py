"""Mosaic: the tiles of a Siemens mosaic are the slices of a volume, where the scanner measured them."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from operators.core.findings import FindingCode
from operators.core.frames import UnreadableFrames, frames_of
from operators.core.geometry import examine
from operators.core.mosaic import is_mosaic, read_mosaic
from operators.core.pixels import read_volume
from tests.builders import AXIAL, OBLIQUE, make_affine, make_header, make_mosaic, read_only_series

with warnings.catch_warnings():
    # On import nibabel says that its readers are experimental.
    warnings.simplefilter("ignore")
    from nibabel.nicom import csareader, dicomwrappers

AGAINST = ((0, 0, -1), (0, 1, 0), (1, 0, 0))
"""The slices run against row x column."""


def tissue(slices=7, rows=4, columns=3) -> np.ndarray:
    """Each voxel has a value of its own, none is 0."""
    return np.arange(1, slices * rows * columns + 1, dtype=np.uint16).reshape(slices, rows, columns)


def examined(folder):
    return examine(read_only_series(folder))


def only_volume(folder):
    (geometry,) = examined(folder).volumes
    return read_volume(geometry)


def ascending(stored, affine):
    """A volume with its slices along row x column, as every volume here has them."""
    normal = np.cross(affine[:3, 2], affine[:3, 1])
    if affine[:3, 0] @ normal > 0:
        return stored, affine
    turned = affine.copy()
    turned[:3, 0] *= -1
    turned[:3, 3] += affine[:3, 0] * (len(stored) - 1)
    return stored[::-1], turned


class TestVolume:
    """The volume that was put into the picture comes out of it."""

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(slices=st.integers(2, 17), rows=st.integers(1, 5), columns=st.integers(1, 5))
    def test_any_number_of_tiles_comes_out_in_order(self, tmp_path, slices, rows, columns):
        stored = tissue(slices, rows, columns)
        make_mosaic(tmp_path / "m.dcm", stored)

        volume = only_volume(tmp_path)

        assert np.array_equal(volume.array, stored)
        assert volume.affine_lps == pytest.approx(make_affine(), abs=1e-6)

    @pytest.mark.parametrize("directions", [AXIAL, OBLIQUE, AGAINST])
    @pytest.mark.parametrize("slices", [5, 9])
    def test_voxels_lie_where_they_were_measured(self, tmp_path, directions, slices):
        """With the slice normal of the CSA header along row x column, and against it."""
        stored, affine = tissue(slices), make_affine(directions)
        make_mosaic(tmp_path / "m.dcm", stored, affine)

        volume = only_volume(tmp_path)

        expected, expected_affine = ascending(stored, affine)
        assert np.array_equal(volume.array, expected)
        assert volume.affine_lps == pytest.approx(expected_affine, abs=1e-5)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("directions", [AXIAL, OBLIQUE, AGAINST])
    def test_nibabel_puts_the_volume_at_the_same_place(self, tmp_path, directions):
        stored, affine = tissue(), make_affine(directions)
        path = make_mosaic(tmp_path / "m.dcm", stored, affine)

        volume = only_volume(tmp_path)

        theirs = dicomwrappers.MosaicWrapper(dcmread(path))
        # nibabel's axes are row, column, slice index; its affine is in LPS as DICOM has it.
        data = np.asarray(theirs.get_data())
        for k in range(len(stored)):
            position = theirs.affine @ (0, 0, k, 1)
            index = np.linalg.solve(volume.affine_lps, position)
            assert index == pytest.approx(np.round(index), abs=1e-4)
            assert np.array_equal(volume.array[round(index[0])], data[:, :, k])

    def test_csa_header_of_the_builder_is_one(self, tmp_path):
        """The judge of the builder: nibabel reads what it wrote."""
        path = make_mosaic(tmp_path / "m.dcm", tissue(), make_affine(AGAINST))

        csa = csareader.get_csa_header(dcmread(path), "image")

        assert csareader.get_n_mosaic(csa) == 7
        assert csareader.get_slice_normal(csa) == pytest.approx((0, 0, -1))

    def test_each_slice_says_where_it_lies_and_that_it_is_a_part_of_frame_one(self, tmp_path):
        make_mosaic(tmp_path / "m.dcm", tissue())

        volume = only_volume(tmp_path)

        assert {source.frame_number for source in volume.slices} == {1}
        for index, source in enumerate(volume.slices):
            assert (source.header.Rows, source.header.Columns) == (4, 3)
            expected = (make_affine() @ (index, 0, 0, 1))[:3]
            assert [float(v) for v in source.header.ImagePositionPatient] == pytest.approx(expected)

    def test_header_of_the_picture_is_not_changed(self, tmp_path):
        path = make_mosaic(tmp_path / "m.dcm", tissue())
        (instance,) = read_only_series(tmp_path).instances

        frames_of(instance)

        assert (instance.header.Rows, instance.header.Columns) == (12, 9)
        assert instance.header.ImagePositionPatient == dcmread(path).ImagePositionPatient

    def test_implicit_vr_is_read_alike(self, tmp_path):
        make_mosaic(tmp_path / "m.dcm", tissue(), syntax=ImplicitVRLittleEndian)

        assert np.array_equal(only_volume(tmp_path).array, tissue())

    def test_each_picture_is_a_volume_of_its_own(self, tmp_path):
        for index in range(3):
            make_mosaic(tmp_path / f"{index}.dcm", tissue() + 1000 * index, index=index)

        geometry = examined(tmp_path)

        assert [v.shape for v in geometry.volumes] == [(7, 4, 3)] * 3
        assert all(v.regular for v in geometry.volumes)
        assert FindingCode.SEVERAL_VOLUMES in {f.code for f in geometry.findings}

    @pytest.mark.parametrize(
        ("keyword", "values"),
        [("AcquisitionNumber", [1, 2, 3]), ("EchoTime", ["12", "30", "48"]), ("DiffusionBValue", [0.0, 500.0, 1000.0])],
    )
    def test_volume_says_what_tells_its_picture_from_the_others(self, tmp_path, keyword, values):
        """An app that takes one of several volumes has nothing else to choose it by."""
        for index, value in enumerate(values):
            make_mosaic(
                tmp_path / f"{index}.dcm",
                tissue() + 1000 * index,
                index=index,
                edit=lambda dataset, value=value: setattr(dataset, keyword, value),
            )

        volumes = examined(tmp_path).volumes

        assert [v.traits.get(keyword) for v in volumes] == [str(value) for value in values]


class TestCount:
    """How many tiles are slices."""

    @pytest.mark.parametrize("count_in", [("private",), ("csa",), ("private", "csa")])
    def test_black_tiles_at_the_end_are_left_out_where_a_header_counts(self, tmp_path, count_in):
        make_mosaic(tmp_path / "m.dcm", tissue(5), count_in=count_in)

        (volume,) = examined(tmp_path).volumes

        assert volume.shape == (5, 4, 3)

    def test_mosaic_with_a_csa_header_is_used_as_it_is(self, tmp_path):
        make_mosaic(tmp_path / "m.dcm", tissue(5), count_in=("csa",))

        assert examined(tmp_path).usable

    def test_black_slice_that_is_counted_is_kept(self, tmp_path):
        stored = tissue(5)
        stored[4] = 0
        make_mosaic(tmp_path / "m.dcm", stored)

        assert np.array_equal(only_volume(tmp_path).array, stored)

    def test_uncounted_mosaic_has_all_its_tiles_and_a_finding(self, tmp_path):
        make_mosaic(tmp_path / "m.dcm", tissue(5), count_in=())

        geometry = examined(tmp_path)

        assert FindingCode.UNCERTAIN_MOSAIC in {f.code for f in geometry.findings}
        assert not geometry.usable
        assert np.array_equal(read_volume(geometry.volumes[0]).array[:5], tissue(5))

    def test_mosaic_that_does_not_say_which_way_its_slices_run_is_not_used_in_silence(self, tmp_path):
        """Without the CSA header the volume may be upside down."""
        make_mosaic(tmp_path / "m.dcm", tissue(9), make_affine(AGAINST), count_in=("private",))

        assert not examined(tmp_path).usable

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda ds: setattr(ds, "Rows", 13),
            lambda ds: delattr(ds, "SpacingBetweenSlices"),
            lambda ds: delattr(ds, "ImagePositionPatient"),
            lambda ds: delattr(ds, "ImageOrientationPatient"),
            lambda ds: ds[0x0019, 0x100A].__setattr__("value", 10**4),
        ],
        ids=["rows that do not divide", "no distance", "no position", "no orientation", "more tiles than pixels"],
    )
    def test_mosaic_that_cannot_be_cut_is_refused(self, tmp_path, spoil):
        make_mosaic(tmp_path / "m.dcm", tissue(), edit=spoil)
        (instance,) = read_only_series(tmp_path).instances

        with pytest.raises(UnreadableFrames):
            frames_of(instance)

    def test_uncounted_mosaic_without_an_acquisition_matrix_is_refused(self, tmp_path):
        make_mosaic(tmp_path / "m.dcm", tissue(), count_in=(), edit=lambda ds: delattr(ds, "AcquisitionMatrix"))

        assert [f.code for f in examined(tmp_path).findings] == [FindingCode.UNREADABLE_FRAMES]

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_damaged_csa_header_does_not_crash(self, tmp_path, data):
        def damage(dataset):
            element = dataset[0x0029, 0x1010]
            broken = bytearray(element.value)
            for _ in range(3):
                broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
            element.value = bytes(broken)[: data.draw(st.integers(0, len(broken)))]

        make_mosaic(tmp_path / "m.dcm", tissue(5), edit=damage)

        geometry = examined(tmp_path)

        assert geometry.volumes == () or geometry.volumes[0].shape[1:] == (4, 3)

    def test_item_of_the_csa_header_where_none_may_be_does_not_crash(self, tmp_path):
        """nibabel asserts that items behind the last value are empty."""

        def damage(dataset):
            element = dataset[0x0029, 0x1010]
            data = bytearray(element.value)
            # Behind the start (16 bytes), in the first tag (84 bytes), the fourth item: three come before it.
            at = 16 + 84
            for _ in range(3):
                at += 16 + -(-int.from_bytes(data[at + 4 : at + 8], "little") // 4) * 4
            data[at + 4 : at + 8] = (4).to_bytes(4, "little")
            element.value = bytes(data)

        make_mosaic(tmp_path / "m.dcm", tissue(5), edit=damage)

        assert examined(tmp_path).series.instances


@pytest.mark.parametrize(
    ("image_type", "expected"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], True),
        (["ORIGINAL", "PRIMARY", "M", "ND"], False),
        ("MOSAIC", False),
        (None, False),
    ],
)
def test_mosaic_is_told_by_its_image_type(image_type, expected):
    header = make_header(0)
    header.ImageType = image_type

    assert is_mosaic(header) is expected


@pytest.mark.parametrize("distance", ["-3", "0"])
def test_mosaic_with_a_distance_that_is_none_has_no_slices(tmp_path, distance):
    header = make_header(0, matrix=(8, 8))
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    header.AcquisitionMatrix = [4, 0, 0, 4]
    header.SpacingBetweenSlices = distance

    with pytest.raises(ValueError, match="SpacingBetweenSlices"):
        list(read_mosaic(header))
