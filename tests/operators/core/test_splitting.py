"""Splitting: a series that holds several volumes comes apart into them, whatever the order of its files."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import PositronEmissionTomographyImageStorage

from operators.core.findings import FindingCode
from operators.core.frames import frames_of
from operators.core.geometry import examine
from operators.core.placement import place
from operators.core.splitting import is_localizer, orientation_clusters, split
from tests.builders import make_header, make_series, read_only_series, write_image

STEP_MM = 3.0


def header_at(index, place_index, **values):
    """A slice at a place, with attributes of its own."""
    header = make_header(index, position=(0, 0, STEP_MM * place_index))
    header.InstanceNumber = index + 1
    header.AcquisitionNumber = 1
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


def series_of(*volumes, slices=5):
    """Headers of several volumes at the same places, each with the attributes given."""
    return [
        header_at(number * slices + index, index, **values)
        for number, values in enumerate(volumes)
        for index in range(slices)
    ]


def volumes_of(headers):
    return examine(make_series(headers)).volumes


def placements(headers):
    return [place(frame) for instance in make_series(headers).instances for frame in frames_of(instance)]


def uids(volume):
    return [frame.instance.uid for frame in volume.frames]


SPLITS = {
    "echo number": [{"EchoNumbers": 1, "EchoTime": "4.6"}, {"EchoNumbers": 2, "EchoTime": "9.2"}],
    "echo time alone": [{"EchoTime": "4.6"}, {"EchoTime": "9.2"}],
    "temporal position": [{"TemporalPositionIdentifier": n} for n in (1, 2, 3)],
    "Dixon": [{"ImageType": ["DERIVED", "PRIMARY", "M", kind]} for kind in ("FAT", "IN_PHASE", "OUT_PHASE", "WATER")],
    "phase and magnitude": [{"ImageType": ["ORIGINAL", "PRIMARY", kind, "ND"]} for kind in ("M", "P")],
    "inversion time": [{"InversionTime": "100"}, {"InversionTime": "900"}],
    "cardiac phase": [{"TriggerTime": str(100 * n)} for n in range(4)],
    "dual energy": [{"KVP": "80"}, {"KVP": "140"}],
    "kernel": [{"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}],
    "repeated acquisition": [{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}],
    "acquisition time": [{"AcquisitionTime": f"10150{n}"} for n in range(3)],
}
KEYWORDS = {
    "echo number": "EchoNumbers",
    "echo time alone": "EchoTime",
    "temporal position": "TemporalPositionIdentifier",
    "Dixon": "ImageType",
    "phase and magnitude": "ImageType",
    "inversion time": "InversionTime",
    "cardiac phase": "TriggerTime",
    "dual energy": "KVP",
    "kernel": "ConvolutionKernel",
    "repeated acquisition": "AcquisitionNumber",
    "acquisition time": "AcquisitionTime",
}


class TestSamePlaces:
    """Images at the same positions are told apart by the attribute in which they differ."""

    @pytest.mark.parametrize("name", SPLITS)
    def test_each_volume_has_the_slices_of_one_value(self, name):
        headers = series_of(*SPLITS[name])

        volumes = volumes_of(headers)

        assert [uids(v) for v in volumes] == [
            [str(h.SOPInstanceUID) for h in headers[5 * n : 5 * n + 5]] for n in range(len(SPLITS[name]))
        ]
        assert all(volume.regular for volume in volumes)

    @pytest.mark.parametrize("name", SPLITS)
    def test_volume_says_what_tells_it_from_the_others(self, name):
        keyword = KEYWORDS[name]
        headers = series_of(*SPLITS[name])

        volumes = volumes_of(headers)

        assert [dict(v.traits) for v in volumes] == [
            {keyword: str(headers[5 * n][keyword].value)} for n in range(len(volumes))
        ]

    @pytest.mark.parametrize("name", SPLITS)
    @settings(max_examples=15)
    @given(seed=st.integers(0, 10**6))
    def test_volumes_do_not_depend_on_the_order_of_files(self, name, seed):
        headers = series_of(*SPLITS[name])
        straight = [(uids(v), dict(v.traits)) for v in volumes_of(headers)]
        random.Random(seed).shuffle(headers)

        assert [(uids(v), dict(v.traits)) for v in volumes_of(headers)] == straight

    def test_series_of_several_volumes_says_so(self):
        geometry = examine(make_series(series_of({"EchoTime": "4.6"}, {"EchoTime": "9.2"})))

        (finding,) = geometry.findings
        assert finding.code is FindingCode.SEVERAL_VOLUMES
        assert "EchoTime" in finding.message
        assert not geometry.regular
        assert not geometry.usable

    def test_b_values_and_directions_are_told_apart_together(self):
        directions = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        kinds = [{"DiffusionBValue": b, "DiffusionGradientOrientation": d} for b in (500.0, 1000.0) for d in directions]

        volumes = volumes_of(series_of(*kinds))

        assert [set(v.traits) for v in volumes] == [{"DiffusionBValue", "DiffusionGradientOrientation"}] * 6
        assert [float(v.traits["DiffusionBValue"]) for v in volumes] == [500.0] * 3 + [1000.0] * 3
        assert all(volume.regular for volume in volumes)

    def test_image_without_a_direction_is_a_volume_of_its_own(self):
        """The image with b = 0 has none."""
        kinds = [
            {"DiffusionBValue": 0.0},
            {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]},
            {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": [0.0, 1.0, 0.0]},
        ]

        assert [len(v.frames) for v in volumes_of(series_of(*kinds))] == [5, 5, 5]

    @pytest.mark.parametrize(
        ("group", "creator", "element", "vr"),
        [
            (0x0019, "SIEMENS MR HEADER", 0x0C, "IS"),
            (0x0043, "GEMS_PARM_01", 0x39, "IS"),
            (0x2001, "Philips Imaging DD 001", 0x03, "FL"),
        ],
    )
    def test_b_values_are_found_where_makers_hide_them(self, group, creator, element, vr):
        headers = series_of({}, {})
        for number, header in enumerate(headers):
            b = (0, 1000)[number // 5]
            header.private_block(group, creator, create=True).add_new(element, vr, b)

        volumes = volumes_of(headers)

        assert [len(v.frames) for v in volumes] == [5, 5]
        assert [float(v.traits["DiffusionBValue"]) for v in volumes] == [0, 1000]

    def test_b_value_of_ge_stands_before_three_other_numbers(self):
        headers = series_of({}, {})
        for number, header in enumerate(headers):
            b = (0, 1000)[number // 5]
            header.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [b, 8, 0, 0])

        volumes = volumes_of(headers)

        assert [float(v.traits["DiffusionBValue"]) for v in volumes] == [0, 1000]

    def test_repetitions_of_each_echo_are_told_apart_by_two_attributes(self):
        kinds = [{"EchoTime": e, "AcquisitionNumber": n} for e in ("4.6", "9.2") for n in (1, 2)]

        volumes = volumes_of(series_of(*kinds))

        assert [tuple(v.traits.values()) for v in volumes] == [("4.6", "1"), ("4.6", "2"), ("9.2", "1"), ("9.2", "2")]

    def test_last_point_in_time_may_be_incomplete(self):
        """A scan that was stopped: whole volumes are whole, the last one is shorter."""
        headers = series_of(*[{"TemporalPositionIdentifier": n} for n in (1, 2, 3)])[:-2]

        volumes = volumes_of(headers)

        assert [len(v.frames) for v in volumes] == [5, 5, 3]
        assert [v.traits["TemporalPositionIdentifier"] for v in volumes] == ["1", "2", "3"]

    def test_slice_that_one_point_in_time_lacks_inside_is_a_gap_of_that_volume_alone(self):
        headers = series_of(*[{"TemporalPositionIdentifier": n} for n in (1, 2)])
        del headers[7]

        complete, gap = volumes_of(headers)

        assert (complete.findings, complete.regular) == ((), True)
        assert [f.code for f in gap.findings] == [FindingCode.MISSING_SLICES]

    def test_numbers_are_ordered_as_numbers(self):
        headers = series_of(*[{"EchoTime": e} for e in ("10.5", "9.2", "100")])

        assert [v.traits["EchoTime"] for v in volumes_of(headers)] == ["9.2", "10.5", "100"]

    def test_attribute_that_differs_in_every_slice_does_not_split(self):
        headers = series_of({})
        for index, header in enumerate(headers):
            header.AcquisitionTime = f"1015{index:02d}"
            header.AcquisitionNumber = index

        (only,) = volumes_of(headers)

        assert (only.regular, dict(only.traits)) == (True, {})

    def test_attribute_that_differs_within_a_regular_volume_does_not_split(self):
        """An echo time may change halfway for a reason of its own: positions are distinct, so it is one volume."""
        headers = series_of({})
        for header in headers[3:]:
            header.EchoTime = "9.2"

        (only,) = volumes_of(headers)

        assert (len(only.frames), only.regular) == (5, True)

    @settings(max_examples=15)
    @given(seed=st.integers(0, 10**6))
    def test_any_mixture_of_traits_gives_each_frame_to_exactly_one_volume(self, seed):
        rng = random.Random(seed)
        headers = [
            header_at(
                index,
                rng.randrange(4),
                EchoTime=rng.choice(["4.6", "9.2"]),
                AcquisitionNumber=rng.randrange(3),
            )
            for index in range(12)
        ]

        volumes = volumes_of(headers)

        assert sorted(uid for v in volumes for uid in uids(v)) == sorted(str(h.SOPInstanceUID) for h in headers)
        for volume in volumes:
            heights = [float(f.header.ImagePositionPatient[2]) for f in volume.frames]
            distinct = len(set(heights)) == len(heights)
            assert distinct or FindingCode.DUPLICATE_POSITION in {f.code for f in volume.findings}


class TestInstanceNumber:
    """Where nothing else differs, images at one position are numbered in the order of their acquisition."""

    def test_point_in_time_is_the_turn_at_its_position(self):
        headers = series_of({}, {})

        volumes = volumes_of(headers)

        assert [uids(v) for v in volumes] == [
            [str(h.SOPInstanceUID) for h in part] for part in (headers[:5], headers[5:])
        ]
        assert [dict(v.traits) for v in volumes] == [{"InstanceNumber": "1"}, {"InstanceNumber": "2"}]

    def test_numbers_that_run_through_the_times_first_are_understood(self):
        headers = series_of({}, {})
        for number, header in enumerate(headers):
            header.InstanceNumber = 2 * (number % 5) + number // 5 + 1

        volumes = volumes_of(headers)

        assert [uids(v) for v in volumes] == [
            [str(h.SOPInstanceUID) for h in part] for part in (headers[:5], headers[5:])
        ]

    @pytest.mark.parametrize("spoil", ["absent", "equal", "one image too few"])
    def test_without_distinct_numbers_nothing_is_guessed(self, spoil):
        headers = series_of({}, {})
        if spoil == "absent":
            del headers[3].InstanceNumber
        elif spoil == "equal":
            headers[3].InstanceNumber = headers[4].InstanceNumber
        else:
            del headers[3]

        (only,) = volumes_of(headers)

        assert FindingCode.DUPLICATE_POSITION in {f.code for f in only.findings}
        assert not only.regular


class TestOtherPlaces:
    """Stacks at other positions, and what never lies in one volume."""

    def test_two_acquisitions_at_other_positions_are_two_stacks(self):
        headers = [header_at(i, i, AcquisitionNumber=1) for i in range(5)]
        headers += [header_at(5 + i, 40 + i, AcquisitionNumber=2) for i in range(4)]

        volumes = volumes_of(headers)

        assert [(len(v.frames), v.regular) for v in volumes] == [(5, True), (4, True)]
        assert [dict(v.traits) for v in volumes] == [{"AcquisitionNumber": "1"}, {"AcquisitionNumber": "2"}]

    def test_interleaved_acquisitions_are_one_volume(self):
        headers = [header_at(i, i, AcquisitionNumber=i % 2) for i in range(10)]

        (only,) = volumes_of(headers)

        assert (only.regular, len(only.frames)) == (True, 10)

    def test_interleaved_acquisitions_with_a_missing_slice_are_one_volume_with_a_gap(self):
        headers = [header_at(i, i, AcquisitionNumber=i % 2) for i in range(12)]
        del headers[5]

        (only,) = volumes_of(headers)

        assert [f.code for f in only.findings] == [FindingCode.MISSING_SLICES]

    def test_contiguous_acquisitions_are_one_volume(self):
        headers = [header_at(i, i, AcquisitionNumber=i // 5) for i in range(10)]

        assert [len(v.frames) for v in volumes_of(headers)] == [10]

    def test_acquisition_of_two_slices_is_no_stack(self):
        """Two slices are always evenly spaced: what is missing between them would not be seen."""
        headers = [header_at(i, i, AcquisitionNumber=1) for i in range(5)]
        headers += [header_at(5 + i, 9 + 2 * i, AcquisitionNumber=2) for i in range(2)]

        (only,) = volumes_of(headers)

        assert FindingCode.MISSING_SLICES in {f.code for f in only.findings}

    def test_orientations_are_volumes_of_their_own(self):
        axial = [header_at(i, i) for i in range(5)]
        coronal = [make_header(10 + i, orientation=(1, 0, 0, 0, 0, -1), position=(0, 3 * i, 0)) for i in range(3)]

        geometry = examine(make_series([*axial, *coronal]))

        assert [len(v.frames) for v in geometry.volumes] == [5, 3]
        assert [f.code for f in geometry.own_findings] == [FindingCode.MIXED_ORIENTATION]
        assert set(geometry.own_findings[0].instances) == {str(h.SOPInstanceUID) for h in coronal}

    def test_matrices_are_volumes_of_their_own(self):
        headers = [make_header(i, matrix=(6, 5) if i < 5 else (5, 6)) for i in range(8)]

        geometry = examine(make_series(headers))

        assert [v.shape for v in geometry.volumes] == [(5, 6, 5), (3, 5, 6)]
        assert [f.code for f in geometry.own_findings] == [FindingCode.MIXED_MATRIX]

    def test_kinds_of_images_are_volumes_of_their_own(self):
        headers = [header_at(i, i) for i in range(8)]
        for header in headers[5:]:
            header.SOPClassUID = PositronEmissionTomographyImageStorage

        assert [len(v.frames) for v in volumes_of(headers)] == [5, 3]

    def test_localizer_is_kept_out_of_the_volume(self):
        headers = series_of({}, slices=6)
        headers[3].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

        geometry = examine(make_series(headers))

        assert [f.code for f in geometry.own_findings] == [FindingCode.LOCALIZER]
        assert uids(geometry.volumes[1]) == [str(headers[3].SOPInstanceUID)]
        assert len(geometry.volumes[0].frames) == 5

    @pytest.mark.parametrize("image_type", ["LOCALIZER", ["ORIGINAL", "PRIMARY", "LOCALIZER"]])
    def test_localizer_is_told_by_its_image_type(self, image_type):
        (frame,) = frames_of(make_series([header_at(0, 0, ImageType=image_type)]).instances[0])

        assert is_localizer(frame)

    @pytest.mark.parametrize(("off", "clusters"), [(0.0, 1), (2e-5, 1), (1e-2, 2)])
    def test_orientations_are_compared_with_a_tolerance(self, off, clusters):
        turned = [np.cos(off), np.sin(off), 0, -np.sin(off), np.cos(off), 0]
        found = placements([make_header(0), make_header(1, orientation=turned)])

        assert len(set(orientation_clusters(found))) == clusters

    @given(sine=st.floats(1e-5, 1e-3), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_orientation(self, sine, jitter):
        def turned(index):
            s = sine + jitter * (index % 2)
            c = np.sqrt(1 - s * s)
            return [c, s, 0, -s, c, 0]

        assert len(split(placements([make_header(i, orientation=turned(i)) for i in range(5)]))) == 1

    def test_two_volumes_that_share_a_series_are_ordered_by_size_then_traits(self):
        headers = series_of({"EchoTime": "4.6"}, {"EchoTime": "9.2"})[1:]

        assert [v.traits["EchoTime"] for v in volumes_of(headers)] == ["9.2", "4.6"]


class TestCopies:
    """Two images at one position: a copy is left out, another picture is refused."""

    @staticmethod
    def written(folder, pictures):
        """Slices at 0, 3, 6, 9 mm, and one more at 3 mm with the picture given."""
        for index, (place_index, value) in enumerate(pictures):
            header = header_at(index, place_index)
            del header.InstanceNumber
            write_image(folder / f"{index}.dcm", header, np.full((6, 5), value, np.int16))
        return examine(read_only_series(folder))

    def test_copy_to_the_last_bit_is_dropped_and_the_volume_is_whole(self, tmp_path):
        geometry = self.written(tmp_path, [(0, 7), (1, 8), (2, 9), (3, 10), (1, 8)])

        (volume,) = geometry.volumes
        assert [f.code for f in volume.findings] == [FindingCode.DUPLICATE_POSITION]
        assert (volume.shape, volume.regular) == ((4, 6, 5), True)
        (dropped,) = volume.findings[0].instances
        assert dropped not in uids(volume)
        assert volume.affine_lps[:3, 0] == pytest.approx((0, 0, 3))

    def test_series_with_a_dropped_copy_is_not_used_unless_the_app_accepts_it(self, tmp_path):
        geometry = self.written(tmp_path, [(0, 7), (1, 8), (2, 9), (3, 10), (1, 8)])

        assert not geometry.usable
        assert geometry.refusals(geometry.volumes[0])
        assert geometry.refusals(geometry.volumes[0], {FindingCode.DUPLICATE_POSITION}) == ()

    def test_other_picture_at_a_position_is_refused(self, tmp_path):
        geometry = self.written(tmp_path, [(0, 7), (1, 8), (2, 9), (3, 10), (1, 99)])

        (volume,) = geometry.volumes
        assert [f.code for f in volume.findings] == [FindingCode.DUPLICATE_POSITION]
        assert volume.affine_lps is None
        assert not volume.regular

    def test_two_copies_and_another_picture_at_a_position_are_refused(self, tmp_path):
        geometry = self.written(tmp_path, [(0, 7), (1, 8), (2, 9), (3, 10), (1, 8), (1, 99)])

        assert geometry.volumes[0].affine_lps is None

    def test_every_image_sent_twice_is_one_whole_volume(self, tmp_path):
        geometry = self.written(tmp_path, [(i, 7 + i) for i in range(4)] * 2)

        (volume,) = geometry.volumes
        assert (volume.shape, volume.regular) == ((4, 6, 5), True)

    @pytest.mark.parametrize(("keyword", "value"), [("RescaleIntercept", "-500"), ("PixelPaddingValue", 8)])
    def test_equal_bytes_that_mean_other_values_are_no_copies(self, tmp_path, keyword, value):
        for index, place_index in enumerate([0, 1, 2, 3, 1]):
            header = header_at(index, place_index)
            del header.InstanceNumber
            if index == 4:
                header.PixelRepresentation = 1
                setattr(header, keyword, value)
            write_image(tmp_path / f"{index}.dcm", header, np.full((6, 5), 8, np.int16))

        (volume,) = examine(read_only_series(tmp_path)).volumes

        assert volume.affine_lps is None
