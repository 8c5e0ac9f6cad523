"""Frames: each picture of an instance has a flat header in which stands what functional groups say of it."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from operators.core.findings import FindingCode
from operators.core.frames import UnreadableFrames, frames_of
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from tests.builders import (
    OBLIQUE,
    make_affine,
    make_header,
    make_multiframe,
    make_series,
    read_only_series,
    write_image,
    write_slices,
)


def ramp(frames=6, rows=4, columns=3) -> np.ndarray:
    """Each voxel has a value of its own."""
    return np.arange(frames * rows * columns, dtype=np.uint16).reshape(frames, rows, columns)


def frames_in(folder):
    (instance,) = read_only_series(folder).instances
    return frames_of(instance)


def volumes_in(folder):
    return examine(read_only_series(folder)).volumes


def item(**values) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


class TestSingleFrame:
    """An instance without frames is one."""

    def test_single_frame_image_is_one_frame_with_its_own_header(self):
        (instance,) = make_series(slices=1).instances

        (frame,) = frames_of(instance)

        assert (frame.number, frame.tile) == (1, None)
        assert frame.header is instance.header

    def test_object_that_is_no_image_has_no_frames(self):
        series = make_series(slices=1, edit=lambda header, _: setattr(header, "SOPClassUID", SegmentationStorage))

        assert frames_of(series.instances[0]) == ()


class TestOrder:
    """Frames lie where their groups say, in whatever order they are stored."""

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(places=st.permutations(range(6)))
    def test_frames_in_any_order_make_the_same_volume(self, tmp_path, places):
        stored, affine = ramp(), make_affine(OBLIQUE)
        make_multiframe(tmp_path / "mf.dcm", stored[list(places)], affine, places=places)

        (geometry,) = volumes_in(tmp_path)
        volume = read_volume(geometry)

        assert np.array_equal(volume.array, stored)
        assert volume.affine_lps == pytest.approx(affine, abs=1e-6)
        assert [source.frame_number for source in volume.slices] == [places.index(k) + 1 for k in range(6)]

    def test_each_slice_names_its_frame_and_carries_its_position(self, tmp_path):
        places = [3, 0, 5, 1, 4, 2]
        path = make_multiframe(tmp_path / "mf.dcm", ramp(), places=places)
        groups = dcmread(path).PerFrameFunctionalGroupsSequence

        volume = read_volume(volumes_in(tmp_path)[0])

        for index, source in enumerate(volume.slices):
            expected = groups[source.frame_number - 1].PlanePositionSequence[0].ImagePositionPatient
            assert source.header.ImagePositionPatient == expected
            assert volume.position_lps(index) == pytest.approx([float(v) for v in expected])

    def test_every_frame_has_a_digest_of_its_own(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", ramp())

        volume = read_volume(volumes_in(tmp_path)[0])

        assert len({source.pixel_sha256 for source in volume.slices}) == 6

    def test_multi_frame_and_single_frames_give_the_same_volume(self, tmp_path):
        stored = ramp()
        make_multiframe(tmp_path / "mf" / "mf.dcm", stored, make_affine(origin_mm=(0, 0, 0)))
        write_slices(tmp_path / "sf", stored)

        multi, single = (read_volume(volumes_in(tmp_path / name)[0]) for name in ("mf", "sf"))

        assert np.array_equal(multi.array, single.array)
        assert multi.affine_lps == pytest.approx(single.affine_lps)


class TestFunctionalGroups:
    """What is shared and what is said for each frame stands in the flat header (PS3.3 C.7.6.16.2)."""

    EVERYTHING = (
        "PixelMeasuresSequence",
        "PlaneOrientationSequence",
        "PixelValueTransformationSequence",
    )

    @pytest.mark.parametrize("shared", [(), EVERYTHING[:1], EVERYTHING])
    def test_shared_groups_and_groups_of_each_frame_mean_the_same(self, tmp_path, shared):
        make_multiframe(tmp_path / "mf.dcm", ramp(), shared=shared)

        volume = read_volume(volumes_in(tmp_path)[0])

        assert np.array_equal(volume.array, ramp())
        assert volume.affine_lps == pytest.approx(make_affine())

    def test_group_of_a_frame_stands_before_the_shared_one(self, tmp_path):
        def share(dataset):
            shared = dataset.SharedFunctionalGroupsSequence[0]
            shared.PixelValueTransformationSequence = [item(RescaleSlope="7", RescaleIntercept="7", RescaleType="US")]

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit=share)

        assert {float(frame.header.RescaleSlope) for frame in frames_in(tmp_path)} == {1.0}

    @pytest.mark.parametrize("sop_class", [EnhancedCTImageStorage, EnhancedMRImageStorage])
    def test_each_frame_has_its_own_rescale(self, tmp_path, sop_class):
        def rescale(group, index):
            transform = group.PixelValueTransformationSequence[0]
            transform.RescaleSlope, transform.RescaleIntercept = str(index + 1), str(-100 * index)

        make_multiframe(tmp_path / "mf.dcm", ramp(), sop_class=sop_class, edit_group=rescale)

        volume = read_volume(volumes_in(tmp_path)[0])

        for index, plane in enumerate(ramp().astype(int)):
            assert np.array_equal(volume.array[index], plane * (index + 1) - 100 * index)

    def test_frame_type_is_the_image_type_of_the_frame(self, tmp_path):
        def kind(group, index):
            group.MRImageFrameTypeSequence = [item(FrameType=["ORIGINAL", "PRIMARY", "M", str(index)])]

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit_group=kind)

        assert [frame.header.ImageType[3] for frame in frames_in(tmp_path)] == list("012345")

    def test_diffusion_is_found_two_levels_down(self, tmp_path):
        def diffusion(group, index):
            direction = item(DiffusionGradientOrientation=[1.0, 0.0, float(index)])
            group.MRDiffusionSequence = [
                item(DiffusionBValue=50.0 * index, DiffusionGradientDirectionSequence=[direction])
            ]

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit_group=diffusion)

        headers = [frame.header for frame in frames_in(tmp_path)]
        assert [header.DiffusionBValue for header in headers] == [0, 50, 100, 150, 200, 250]
        assert [header.DiffusionGradientOrientation[2] for header in headers] == [0, 1, 2, 3, 4, 5]

    def test_flat_headers_have_no_functional_groups_and_keep_the_rest(self, tmp_path):
        path = make_multiframe(tmp_path / "mf.dcm", ramp())
        whole = dcmread(path)

        for frame in frames_in(tmp_path):
            assert "PerFrameFunctionalGroupsSequence" not in frame.header
            assert "SharedFunctionalGroupsSequence" not in frame.header
            assert frame.header.SOPInstanceUID == whole.SOPInstanceUID
            assert frame.header.PatientID == whole.PatientID

    def test_the_instance_s_header_is_not_changed(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", ramp())
        (instance,) = read_only_series(tmp_path).instances
        before = copy.deepcopy(instance.header)

        frames = frames_of(instance)
        frames[0].header.PatientID = "CHANGED"
        frames[0].header.ImagePositionPatient = [9, 9, 9]

        assert instance.header == before
        assert frames[1].header.PatientID == before.PatientID

    def test_frames_do_not_share_what_is_set_in_one(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", ramp())
        first, second, *_ = frames_in(tmp_path)

        first.header.PixelSpacing = [5, 5]

        assert [float(v) for v in second.header.PixelSpacing] == pytest.approx([0.8, 0.6])

    def test_implicit_vr_is_read_alike(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", ramp(), syntax=ImplicitVRLittleEndian)

        assert np.array_equal(read_volume(volumes_in(tmp_path)[0]).array, ramp())

    @pytest.mark.parametrize(("keyword", "value"), [("Rows", 10), ("Columns", 10)])
    def test_group_that_changes_the_matrix_gives_no_volume(self, tmp_path, keyword, value):
        """No group may; a picture of one row must not become ten of them."""

        def lie(group, _index):
            group.PlanePositionSequence[0].add_new(keyword, "US", value)

        shape = {"Rows": (6, 1, 3), "Columns": (6, 4, 1)}[keyword]
        make_multiframe(tmp_path / "mf.dcm", ramp(*shape), edit_group=lie)

        geometry = examine(read_only_series(tmp_path))

        assert not geometry.usable or read_volume(geometry.volumes[0]).array.shape == shape

    @pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"])
    def test_group_does_not_change_what_the_frame_belongs_to(self, tmp_path, keyword):
        def lie(group, _index):
            setattr(group.PlanePositionSequence[0], keyword, "1.2.3")

        path = make_multiframe(tmp_path / "mf.dcm", ramp(), edit_group=lie)

        assert {str(frame.header[keyword].value) for frame in frames_in(tmp_path)} == {
            str(dcmread(path)[keyword].value)
        }


class TestSplit:
    """Frames of one instance may make several volumes."""

    def test_two_stacks_are_two_volumes(self, tmp_path):
        def stacks(group, index):
            group.FrameContentSequence[0].StackID = "1" if index < 4 else "2"

        make_multiframe(tmp_path / "mf.dcm", ramp(8), places=[0, 1, 2, 3, 20, 21, 22, 23], edit_group=stacks)

        volumes = volumes_in(tmp_path)

        assert [(v.shape, v.regular, dict(v.traits)) for v in volumes] == [
            ((4, 4, 3), True, {"StackID": "1"}),
            ((4, 4, 3), True, {"StackID": "2"}),
        ]
        assert np.array_equal(read_volume(volumes[1]).array, ramp(8)[4:])

    def test_temporal_index_is_a_volume_for_each_point_in_time(self, tmp_path):
        def times(group, index):
            group.FrameContentSequence[0].TemporalPositionIndex = index % 2 + 1

        make_multiframe(tmp_path / "mf.dcm", ramp(8), places=[0, 0, 1, 1, 2, 2, 3, 3], edit_group=times)

        volumes = volumes_in(tmp_path)

        assert [dict(v.traits) for v in volumes] == [{"TemporalPositionIndex": "1"}, {"TemporalPositionIndex": "2"}]
        assert np.array_equal(read_volume(volumes[0]).array, ramp(8)[0::2])
        assert np.array_equal(read_volume(volumes[1]).array, ramp(8)[1::2])

    def test_frames_at_one_place_that_nothing_tells_apart_are_a_finding(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", ramp(8), places=[0, 0, 1, 1, 2, 2, 3, 3])

        geometry = examine(read_only_series(tmp_path))

        assert FindingCode.DUPLICATE_POSITION in {f.code for f in geometry.findings}
        assert not geometry.usable

    def test_frames_of_several_instances_make_one_volume(self, tmp_path):
        """A concatenation (PS3.3 C.7.6.16.2.2.4), and exports that write some frames a file."""
        stored = ramp(8)
        for part, places in enumerate(([5, 1, 7, 3], [0, 4, 2, 6])):
            uid = make_header(part).SOPInstanceUID
            make_multiframe(
                tmp_path / f"{part}.dcm",
                stored[places],
                places=places,
                edit=lambda dataset, uid=uid: setattr(dataset, "SOPInstanceUID", uid),
            )

        (geometry,) = volumes_in(tmp_path)
        volume = read_volume(geometry)

        assert geometry.regular
        assert np.array_equal(volume.array, stored)
        assert [(source.path.name, source.frame_number) for source in volume.slices] == [
            ("1.dcm", 1), ("0.dcm", 2), ("1.dcm", 3), ("0.dcm", 4),
            ("1.dcm", 2), ("0.dcm", 1), ("1.dcm", 4), ("0.dcm", 3),
        ]  # fmt: skip


class TestLies:
    """Frames that cannot be told apart are refused, never guessed."""

    @pytest.mark.parametrize("groups", [1, 5, 7, 0])
    def test_other_number_of_groups_than_frames_is_refused(self, tmp_path, groups):
        def spoil(dataset):
            per_frame = list(dataset.PerFrameFunctionalGroupsSequence) * 2
            dataset.PerFrameFunctionalGroupsSequence = per_frame[:groups]

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit=spoil)

        with pytest.raises(UnreadableFrames, match="NumberOfFrames"):
            frames_in(tmp_path)

    @pytest.mark.parametrize("count", [0, -1, -(2**31), 2**31 - 1, 100_001])
    def test_number_of_frames_that_the_pixels_cannot_hold_is_refused(self, tmp_path, count):
        def lie(dataset):
            dataset.NumberOfFrames = count

        write_image(tmp_path / "a.dcm", make_header(0), np.zeros((4, 3), np.uint16), edit=lie)

        with pytest.raises(UnreadableFrames, match="NumberOfFrames"):
            frames_in(tmp_path)

    def test_instance_without_pixels_does_not_make_frames_out_of_a_number(self):
        series = make_series(slices=1, edit=lambda header, _: setattr(header, "NumberOfFrames", 10**6))

        with pytest.raises(UnreadableFrames):
            frames_of(series.instances[0])

    def test_groups_that_are_no_groups_are_refused_or_without_a_place(self, tmp_path):
        def spoil(group, index):
            if index == 2:
                group.clear()

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit_group=spoil, shared=())

        geometry = examine(read_only_series(tmp_path))

        assert FindingCode.MISSING_ATTRIBUTE in {f.code for f in geometry.findings}
        assert not geometry.regular

    def test_items_nested_without_end_do_not_crash(self, tmp_path):
        def nest(group, _index):
            inner = item(PixelSpacing=[9, 9])
            for _ in range(40):
                inner = item(PixelMeasuresSequence=[inner])
            group.MRDiffusionSequence = [inner]

        make_multiframe(tmp_path / "mf.dcm", ramp(), edit_group=nest)

        assert [float(v) for v in frames_in(tmp_path)[0].header.PixelSpacing] == pytest.approx([0.8, 0.6])
