"""Geometry: a regular volume lies where the standard says, and every defect is a finding."""

import random
import time

import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.uid import ComputedRadiographyImageStorage, EnhancedMRImageStorage, MRImageStorage, SegmentationStorage

from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.reading import IDENTITY_KEYWORDS
from tests.builders import (
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    SPACING_MM,
    decimals,
    make_ct_series,
    make_header,
    make_multiframe,
    make_series,
    read_only_series,
    write_image,
)

ORIENTATIONS = {
    "axial": AXIAL,
    "turned": AXIAL_TURNED,
    "feet": AXIAL_FEET,
    "coronal": CORONAL,
    "sagittal": SAGITTAL,
    "oblique": OBLIQUE,
}


def codes_of(series) -> list[FindingCode]:
    return [finding.code for finding in examine(series).findings]


def only_volume(series):
    (volume,) = examine(series).volumes
    return volume


def heights_of(volume) -> list[float]:
    return [float(frame.header.ImagePositionPatient[2]) for frame in volume.frames]


def one_slice(defect, at=2):
    """An edit that puts a defect into one slice alone; at 0 where it loses its place, so that it leaves no gap."""

    def edit(header, index):
        if index == at:
            defect(header)

    return edit


def rotation(quaternion) -> np.ndarray:
    """`(3, 3)`, its columns orthonormal and right-handed."""
    w, x, y, z = np.asarray(quaternion) / np.linalg.norm(quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])


unit = st.floats(-1, 1)
quaternions = st.tuples(unit, unit, unit, unit).filter(lambda q: np.linalg.norm(q) > 0.1)
distances_mm = st.floats(0.3, 8)
coordinates_mm = st.floats(-900, 900)


class TestRegularSeries:
    """PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1."""

    @given(
        quaternion=quaternions,
        pixel_spacing=st.tuples(distances_mm, distances_mm),
        step_mm=st.floats(0.5, 12),
        origin=st.tuples(coordinates_mm, coordinates_mm, coordinates_mm),
        slices=st.integers(2, 7),
        order=st.randoms(use_true_random=False),
    )
    def test_every_voxel_lies_where_the_standard_says(self, quaternion, pixel_spacing, step_mm, origin, slices, order):
        turned = rotation(quaternion)
        row, column, normal = turned[:, 0], turned[:, 1], turned[:, 2]
        headers = [
            make_header(
                index,
                orientation=[*row, *column],
                pixel_spacing=pixel_spacing,
                position=np.asarray(origin) + index * step_mm * normal,
                matrix=(4, 3),
            )
            for index in range(slices)
        ]
        shuffled = list(headers)
        order.shuffle(shuffled)

        geometry = examine(make_series(shuffled))

        (volume,) = geometry.volumes
        assert (geometry.findings, geometry.usable, volume.shape) == ((), True, (slices, 4, 3))
        assert volume.spacing_mm == pytest.approx((step_mm, *pixel_spacing), abs=1e-6)
        for k, header in enumerate(headers):
            assert volume.frames[k].header is header
            for j, i in ((0, 0), (3, 0), (0, 2), (3, 2)):
                expected = position_by_the_standard(header, row_index=j, column_index=i)
                assert volume.affine_lps @ (k, j, i, 1) == pytest.approx((*expected, 1), abs=1e-6)

    @pytest.mark.parametrize("directions", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
    def test_simpleitk_puts_each_voxel_at_the_same_place(self, tmp_path, directions):
        make_ct_series(tmp_path, slices=4, directions=directions)

        volume = only_volume(read_only_series(tmp_path))

        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([str(frame.instance.path) for frame in volume.frames])
        image = reader.Execute()
        for index in ((0, 0, 0), (3, 0, 0), (0, 5, 0), (0, 0, 4), (2, 3, 1)):
            expected = image.TransformIndexToPhysicalPoint(index[::-1])
            assert (volume.affine_lps @ (*index, 1))[:3] == pytest.approx(expected, abs=1e-4)

    def test_rows_and_columns_keep_their_own_spacing(self):
        volume = only_volume(make_series(pixel_spacing=(0.8, 0.6)))

        assert volume.affine_lps[:3, 1] == pytest.approx((0, 0.8, 0))
        assert volume.affine_lps[:3, 2] == pytest.approx((0.6, 0, 0))
        assert volume.spacing_mm == pytest.approx((SPACING_MM[0], 0.8, 0.6))

    def test_slice_thickness_is_not_spacing(self):
        def thick(header, _index):
            header.SliceThickness = header.SpacingBetweenSlices = "9"

        volume = only_volume(make_series(edit=thick))

        assert np.linalg.norm(volume.affine_lps[:3, 0]) == pytest.approx(SPACING_MM[0])
        assert volume.spacing_mm[0] == pytest.approx(SPACING_MM[0])

    def test_instance_number_does_not_order(self):
        def backwards(header, index):
            header.InstanceNumber = 100 - index

        assert heights_of(only_volume(make_series(edit=backwards))) == [0, 3, 6, 9, 12, 15]

    @settings(max_examples=30)
    @given(seed=st.integers(0, 1000))
    def test_order_of_instances_does_not_change_the_grid(self, seed):
        headers = [make_header(index) for index in range(6)]
        straight = only_volume(make_series(headers))
        random.Random(seed).shuffle(headers)

        shuffled = only_volume(make_series(headers))

        assert [f.header for f in shuffled.frames] == [f.header for f in straight.frames]
        assert np.array_equal(shuffled.affine_lps, straight.affine_lps)

    def test_slices_ascend_along_the_normal_even_towards_the_feet(self):
        headers = [make_header(i, orientation=(-1, 0, 0, 0, 1, 0), position=(0, 0, 3 * i)) for i in range(4)]

        volume = only_volume(make_series(headers))

        assert heights_of(volume) == [9, 6, 3, 0]
        assert volume.affine_lps[:3, 0] == pytest.approx((0, 0, -3))

    def test_a_series_of_localizers_alone_is_no_mixture(self):
        def localizer(header, _index):
            header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

        assert codes_of(make_series(edit=localizer)) == []


def position_by_the_standard(header, row_index, column_index) -> np.ndarray:
    """Pxyz of equation C.7.6.2.1-1: i counts columns with the column spacing, j counts rows with the row spacing."""
    x = np.array(header.ImageOrientationPatient[:3], dtype=float)
    y = np.array(header.ImageOrientationPatient[3:], dtype=float)
    s = np.array(header.ImagePositionPatient, dtype=float)
    row_spacing, column_spacing = (float(value) for value in header.PixelSpacing)
    return x * column_spacing * column_index + y * row_spacing * row_index + s


class TestIrregularSeries:
    """What is no regular volume is none, whatever else is right with it."""

    @staticmethod
    def at(*heights_mm):
        return make_series([make_header(i, position=(0, 0, z)) for i, z in enumerate(heights_mm)])

    @pytest.mark.parametrize(
        ("heights", "codes"),
        [
            ((0, 3, 6, 12, 15), [FindingCode.MISSING_SLICES]),
            ((0, 3, 6, 10, 13), [FindingCode.VARIABLE_SPACING]),
            ((0, 3, 3, 6, 9), [FindingCode.DUPLICATE_POSITION]),
            ((5, 5, 5), [FindingCode.DUPLICATE_POSITION, FindingCode.TOO_FEW_SLICES]),
            ((0,), [FindingCode.TOO_FEW_SLICES]),
        ],
    )
    def test_stack_without_a_grid_has_a_finding_and_no_affine(self, heights, codes):
        geometry = examine(self.at(*heights))

        assert [f.code for f in geometry.findings] == codes
        assert geometry.volumes[0].affine_lps is None
        assert (geometry.regular, geometry.usable) == (False, False)

    def test_single_position_has_no_distance_between_slices(self):
        assert only_volume(self.at(0)).spacing_mm == (None, *SPACING_MM[1:])

    @pytest.mark.parametrize("tilt_deg", [0.25, 15])
    def test_tilted_stack_is_not_regular_and_has_a_sheared_affine(self, tilt_deg):
        slope = np.tan(np.radians(tilt_deg))
        headers = [make_header(i, position=(0, 3 * i * slope, 3 * i)) for i in range(8)]

        geometry = examine(make_series(headers))

        assert [f.code for f in geometry.findings] == [FindingCode.GANTRY_TILT]
        assert not geometry.regular
        assert geometry.volumes[0].affine_lps[:3, 0] == pytest.approx((0, 3 * slope, 3))

    def test_slices_pushed_sideways_in_the_middle_of_a_stack_are_no_volume(self):
        series = make_series([make_header(i, position=(40 if 3 <= i <= 6 else 0, 0, 3 * i)) for i in range(10)])

        assert not examine(series).usable

    @pytest.mark.parametrize(
        ("code", "keyword", "value"),
        [
            (FindingCode.MIXED_PATIENT, "PatientID", "SOMEBODY ELSE"),
            (FindingCode.MIXED_STUDY, "StudyInstanceUID", "1.2.3"),
            (FindingCode.MIXED_FRAME_OF_REFERENCE, "FrameOfReferenceUID", "1.2.3"),
            (FindingCode.MIXED_SPACING, "PixelSpacing", [0.8, 0.7]),
        ],
    )
    def test_slice_that_differs_is_found_by_its_uid(self, code, keyword, value):
        series = make_series(edit=one_slice(lambda header: setattr(header, keyword, value)))

        geometry = examine(series)

        assert [(f.code, f.instances) for f in geometry.findings] == [(code, (series.instances[2].uid,))]
        assert not geometry.usable

    @pytest.mark.parametrize(
        ("code", "keyword", "value"),
        [
            (FindingCode.MIXED_MATRIX, "Rows", 7),
            (FindingCode.MIXED_MATRIX, "Columns", 7),
            (FindingCode.MIXED_ORIENTATION, "ImageOrientationPatient", [0.8, 0.6, 0, -0.6, 0.8, 0]),
            (FindingCode.LOCALIZER, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
            (FindingCode.UNSUPPORTED_OBJECT, "SOPClassUID", SegmentationStorage),
            (FindingCode.TWO_DIMENSIONAL, "SOPClassUID", ComputedRadiographyImageStorage),
            (FindingCode.COLOUR, "SamplesPerPixel", 3),
            (FindingCode.UNREADABLE_FRAMES, "NumberOfFrames", 2),
        ],
    )
    def test_slice_that_is_no_part_of_the_volume_is_found_and_the_series_not_regular(self, code, keyword, value):
        series = make_series(edit=one_slice(lambda header: setattr(header, keyword, value)))

        geometry = examine(series)

        assert (code, (series.instances[2].uid,)) in [(f.code, f.instances) for f in geometry.findings]
        assert (geometry.regular, geometry.usable) == (False, False)

    def test_volumes_beside_a_stray_image_keep_their_own_findings(self):
        """The slice that lies elsewhere leaves a gap: the volume without it is not whole."""
        turned = [0.8, 0.6, 0, -0.6, 0.8, 0]
        series = make_series(edit=one_slice(lambda header: setattr(header, "ImageOrientationPatient", turned)))

        largest, stray = examine(series).volumes

        assert [f.code for f in largest.findings] == [FindingCode.MISSING_SLICES]
        assert [f.code for f in stray.findings] == [FindingCode.TOO_FEW_SLICES]


class TestFramesWithoutAPlace:
    """Images that cannot be placed are named, kept beside, and never taken for a gap."""

    @pytest.mark.parametrize(
        "keyword", ["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns"]
    )
    def test_missing_attribute_is_named_with_its_file(self, keyword):
        series = make_series(edit=one_slice(lambda header: delattr(header, keyword), at=0))

        geometry = examine(series)

        (finding,) = geometry.findings
        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message
        assert "ct_0.dcm" in finding.message
        assert not geometry.usable

    def test_value_that_cannot_be_is_invalid(self):
        series = make_series(edit=one_slice(lambda header: setattr(header, "PixelSpacing", [-0.8, 0.6]), at=0))

        assert codes_of(series) == [FindingCode.INVALID_ATTRIBUTE]

    def test_slice_without_a_place_is_not_called_missing(self):
        series = make_series(edit=one_slice(lambda header: delattr(header, "ImagePositionPatient"), at=2))

        geometry = examine(series)

        assert [f.code for f in geometry.findings] == [FindingCode.MISSING_ATTRIBUTE]
        assert not geometry.volumes[0].regular

    def test_slice_without_a_place_is_kept_beside_the_volume(self):
        series = make_series(edit=one_slice(lambda header: delattr(header, "ImagePositionPatient"), at=0))

        volume, loose = examine(series).volumes

        assert (len(volume.frames), len(loose.frames)) == (5, 1)
        assert loose.frames[0].instance is series.instances[0]
        assert (loose.shape, loose.affine_lps, loose.regular) == ((1, 6, 5), None, False)

    def test_all_slices_with_one_defect_are_one_finding_and_leave_no_volume(self):
        def strip(header, _index):
            del header.ImagePositionPatient

        geometry = examine(make_series(edit=strip))

        (finding,) = geometry.findings
        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert len(finding.instances) == 6
        assert "and 5 more files" in finding.message
        assert [v.affine_lps for v in geometry.volumes] == [None] * 6

    def test_image_without_a_matrix_has_no_shape(self):
        def strip(header, _index):
            header.Rows = 0

        assert {v.shape for v in examine(make_series(edit=strip)).volumes} == {None}

    def test_two_dimensional_images_need_no_place(self):
        def cr(header, _index):
            header.SOPClassUID = ComputedRadiographyImageStorage
            del header.ImagePositionPatient, header.ImageOrientationPatient, header.FrameOfReferenceUID

        geometry = examine(make_series(slices=2, edit=cr))

        assert [f.code for f in geometry.findings] == [FindingCode.TWO_DIMENSIONAL]
        assert [v.shape for v in geometry.volumes] == [(1, 6, 5)] * 2
        assert not geometry.regular


class TestMultiFrame:
    """One instance, many slices."""

    def test_enhanced_instance_is_a_regular_volume(self, tmp_path):
        make_multiframe(tmp_path / "mf.dcm", np.zeros((6, 4, 3), np.uint16))

        geometry = examine(read_only_series(tmp_path))

        assert (geometry.findings, geometry.usable) == ((), True)
        assert geometry.volumes[0].shape == (6, 4, 3)

    def test_instance_whose_frames_cannot_be_told_apart_is_a_finding(self, tmp_path):
        def lie(header):
            header.NumberOfFrames = 5

        make_multiframe(tmp_path / "mf.dcm", np.zeros((6, 4, 3), np.uint16), edit=lie)
        series = read_only_series(tmp_path)

        geometry = examine(series)

        (finding,) = geometry.findings
        assert (finding.code, finding.instances) == (FindingCode.UNREADABLE_FRAMES, (series.instances[0].uid,))
        assert "mf.dcm" in finding.message
        assert geometry.volumes == ()

    def test_enhanced_image_without_functional_groups_has_no_place(self, tmp_path):
        header = make_header(0)
        header.SOPClassUID = EnhancedMRImageStorage
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            del header[keyword]
        write_image(tmp_path / "mf.dcm", header, np.zeros((3, 4, 3), np.uint16))

        geometry = examine(read_only_series(tmp_path))

        assert FindingCode.MISSING_ATTRIBUTE in {f.code for f in geometry.findings}
        assert not geometry.usable


class TestRefusals:
    """A finding stands against a volume unless the app accepts it."""

    def test_findings_of_the_series_and_of_the_volume_stand_against_it(self):
        def spoil(header):
            header.PatientID = "OTHER"
            header.PixelSpacing = [0.8, 0.7]

        geometry = examine(make_series(edit=one_slice(spoil)))

        assert {f.code for f in geometry.refusals(geometry.volumes[0])} == {
            FindingCode.MIXED_PATIENT,
            FindingCode.MIXED_SPACING,
        }

    def test_accepted_findings_do_not(self):
        geometry = examine(make_series(edit=one_slice(lambda header: setattr(header, "PatientID", "OTHER"))))

        assert geometry.refusals(geometry.volumes[0], {FindingCode.MIXED_PATIENT}) == ()
        assert len(geometry.refusals(geometry.volumes[0], {FindingCode.GANTRY_TILT})) == 1

    def test_findings_of_another_volume_do_not_stand_against_this_one(self):
        headers = [make_header(i) for i in range(5)]
        turned = (1, 0, 0, 0, 0, -1)
        headers += [make_header(10 + i, orientation=turned, position=(0, y, 0)) for i, y in enumerate((0, 3, 9, 12))]
        geometry = examine(make_series(headers))

        against = {f.code for f in geometry.refusals(geometry.volumes[0])}

        assert against == {FindingCode.MIXED_ORIENTATION}
        assert FindingCode.MISSING_SLICES in {f.code for f in geometry.findings}

    @pytest.mark.parametrize("keyword", IDENTITY_KEYWORDS)
    def test_series_that_does_not_say_what_it_is_is_not_usable(self, keyword):
        geometry = examine(make_series(edit=lambda header, _: setattr(header, keyword, "")))

        assert [f.code for f in geometry.findings] == [FindingCode.MISSING_ATTRIBUTE]
        assert not geometry.usable


class TestTolerances:
    """Noise in the last decimals is no defect; more is."""

    @pytest.mark.parametrize(("off", "found"), [(0.0, False), (2e-5, False), (1e-2, True)])
    def test_orientations_are_compared_with_a_tolerance(self, off, found):
        def turn(header):
            header.ImageOrientationPatient = decimals([np.cos(off), np.sin(off), 0, -np.sin(off), np.cos(off), 0])

        assert (FindingCode.MIXED_ORIENTATION in codes_of(make_series(edit=one_slice(turn)))) is found

    @example(sine=1e-4, jitter=1e-8)
    @settings(max_examples=30)
    @given(sine=st.floats(1e-5, 1e-3), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_orientation(self, sine, jitter):
        def turn(header, index):
            s = sine + jitter * (index % 2)
            c = np.sqrt(1 - s * s)
            header.ImageOrientationPatient = decimals([c, s, 0, -s, c, 0])

        assert codes_of(make_series(edit=turn)) == []

    @example(spacing=0.9765, jitter=1e-6)
    @settings(max_examples=30)
    @given(spacing=st.floats(0.3, 2), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_spacing(self, spacing, jitter):
        def scale(header, index):
            header.PixelSpacing = decimals([spacing + jitter * (index % 2), 0.6])

        assert codes_of(make_series(edit=scale)) == []


def test_time_grows_with_the_number_of_orientations_not_with_its_square():
    """4 times the slices, each turned on its own, in at most 8 times the time (linear: 4, square: 16)."""

    def seconds(slices):
        angles = [1e-3 * index for index in range(slices)]
        headers = [
            make_header(index, orientation=(np.cos(a), np.sin(a), 0, -np.sin(a), np.cos(a), 0))
            for index, a in enumerate(angles)
        ]
        series = make_series(headers)
        begun = time.process_time()
        examine(series)
        return time.process_time() - begun

    seconds(50)

    assert min(seconds(1600) for _ in range(3)) <= 8 * min(seconds(400) for _ in range(3))


@pytest.mark.parametrize(
    ("keyword", "values"),
    [("ConvolutionKernel", ("B30f", "B70f")), ("KVP", ("80", "140")), ("EchoTime", ("5", "10"))],
)
@pytest.mark.parametrize("interleaved", [True, False])
def test_evenly_spaced_slices_that_were_made_differently_are_a_finding(keyword, values, interleaved):
    def differ(header, index):
        setattr(header, keyword, values[index % 2 if interleaved else index // 3])

    geometry = examine(make_series(edit=differ))

    assert [finding.code for finding in geometry.findings] == [FindingCode.MIXED_CONTENT]
    assert len(geometry.findings[0].instances) == 3


def test_one_slice_without_a_slope_that_the_others_have_is_found_in_every_modality():
    def magnetic(header, index):
        header.SOPClassUID, header.Modality = MRImageStorage, "MR"
        header.RescaleSlope = "10"
        if index == 2:
            del header.RescaleSlope

    series = make_series(edit=magnetic)
    (finding,) = examine(series).findings

    assert (finding.code, finding.instances) == (FindingCode.MISSING_ATTRIBUTE, (series.instances[2].uid,))


@pytest.mark.parametrize(("keyword", "value"), [("PatientName", "B^B"), ("PatientBirthDate", "19700101")])
def test_two_patients_with_one_identifier_are_found(keyword, value):
    def change(header, index):
        header.PatientName, header.PatientBirthDate = "A^A", "19600101"
        if index == 4:
            setattr(header, keyword, value)

    (finding,) = examine(make_series(edit=change)).findings

    assert finding.code is FindingCode.MIXED_PATIENT
    assert value not in finding.sentence
