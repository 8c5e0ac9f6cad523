"""Geometry: a regular volume lies where the standard says, and every defect is a finding."""

import random
import struct

import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.uid import EnhancedCTImageStorage

from operators.core.findings import FindingCode
from operators.core.geometry import IDENTITY_KEYWORDS, examine, normal_of
from operators.core.reading import read_folder
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
    make_series,
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

        assert (geometry.findings, geometry.shape) == ((), (slices, 4, 3))
        for k, header in enumerate(headers):
            assert geometry.instances[k].header is header
            for j, i in ((0, 0), (3, 0), (0, 2), (3, 2)):
                expected = position_by_the_standard(header, row_index=j, column_index=i)
                assert geometry.affine_lps @ (k, j, i, 1) == pytest.approx((*expected, 1), abs=1e-6)

    @pytest.mark.parametrize("directions", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
    def test_simpleitk_puts_each_voxel_at_the_same_place(self, tmp_path, directions):
        make_ct_series(tmp_path, slices=4, directions=directions)
        (series,) = read_folder(tmp_path).series

        geometry = examine(series)

        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([str(instance.path) for instance in geometry.instances])
        image = reader.Execute()
        for index in ((0, 0, 0), (3, 0, 0), (0, 5, 0), (0, 0, 4), (2, 3, 1)):
            expected = image.TransformIndexToPhysicalPoint(index[::-1])
            assert (geometry.affine_lps @ (*index, 1))[:3] == pytest.approx(expected, abs=1e-4)

    def test_rows_and_columns_keep_their_own_spacing(self):
        geometry = examine(make_series(pixel_spacing=(0.8, 0.6)))

        assert geometry.affine_lps[:3, 1] == pytest.approx((0, 0.8, 0))
        assert geometry.affine_lps[:3, 2] == pytest.approx((0.6, 0, 0))

    def test_slice_thickness_is_not_spacing(self):
        def thick(header, _index):
            header.SliceThickness = "9"

        geometry = examine(make_series(edit=thick))

        assert np.linalg.norm(geometry.affine_lps[:3, 0]) == pytest.approx(SPACING_MM[0])

    def test_instance_number_does_not_order(self):
        def backwards(header, index):
            header.InstanceNumber = 100 - index

        geometry = examine(make_series(edit=backwards))

        assert [float(i.header.ImagePositionPatient[2]) for i in geometry.instances] == [0, 3, 6, 9, 12, 15]

    @given(seed=st.integers(0, 1000))
    def test_order_of_instances_does_not_change_the_grid(self, seed):
        headers = [make_header(index) for index in range(6)]
        straight = examine(make_series(headers))
        random.Random(seed).shuffle(headers)

        shuffled = examine(make_series(headers))

        assert [i.header for i in shuffled.instances] == [i.header for i in straight.instances]
        assert np.array_equal(shuffled.affine_lps, straight.affine_lps)

    def test_slices_ascend_along_the_normal_even_towards_the_feet(self):
        headers = [make_header(i, orientation=(-1, 0, 0, 0, 1, 0), position=(0, 0, 3 * i)) for i in range(4)]

        geometry = examine(make_series(headers))

        assert [float(i.header.ImagePositionPatient[2]) for i in geometry.instances] == [9, 6, 3, 0]
        assert geometry.affine_lps[:3, 0] == pytest.approx((0, 0, -3))

    def test_a_series_of_localizers_alone_is_no_mixture(self):
        def localizer(header, _index):
            header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

        assert codes_of(make_series(edit=localizer)) == []

    def test_normal_is_row_times_column(self):
        assert normal_of(np.array([0, 1, 0, 0, 0, -1.0])) == pytest.approx((-1, 0, 0))


def position_by_the_standard(header, row_index, column_index) -> np.ndarray:
    """Pxyz of equation C.7.6.2.1-1: i counts columns with the column spacing, j counts rows with the row spacing."""
    x = np.array(header.ImageOrientationPatient[:3], dtype=float)
    y = np.array(header.ImageOrientationPatient[3:], dtype=float)
    s = np.array(header.ImagePositionPatient, dtype=float)
    row_spacing, column_spacing = (float(value) for value in header.PixelSpacing)
    return x * column_spacing * column_index + y * row_spacing * row_index + s


class TestPositions:
    """Positions are distinct, equally spaced, and on one line."""

    @staticmethod
    def at(*heights_mm):
        return make_series([make_header(i, position=(0, 0, z)) for i, z in enumerate(heights_mm)])

    def test_missing_slices_are_counted(self):
        (finding,) = examine(self.at(0, 3, 6, 15, 18, 21, 27, 30)).findings

        assert finding.code is FindingCode.MISSING_SLICES
        assert finding.message.startswith("3 slices are missing in 2 gaps")
        assert len(finding.instances) == 4

    def test_gap_that_is_no_multiple_is_variable_spacing(self):
        assert codes_of(self.at(0, 3, 6, 10, 13, 16)) == [FindingCode.VARIABLE_SPACING]

    def test_narrow_gap_is_variable_spacing(self):
        assert codes_of(self.at(0, 3, 6, 7.5, 10.5, 13.5)) == [FindingCode.VARIABLE_SPACING]

    def test_same_position_is_found_with_both_instances(self):
        series = self.at(0, 3, 3, 6, 9)

        (finding,) = examine(series).findings

        assert finding.code is FindingCode.DUPLICATE_POSITION
        assert set(finding.instances) == {series.instances[1].uid, series.instances[2].uid}

    def test_one_slice_is_too_few(self):
        assert codes_of(self.at(0)) == [FindingCode.TOO_FEW_SLICES]

    def test_all_slices_at_one_position_are_too_few(self):
        assert codes_of(self.at(5, 5, 5)) == [FindingCode.DUPLICATE_POSITION, FindingCode.TOO_FEW_SLICES]

    def test_two_slices_are_a_volume(self):
        assert examine(self.at(0, 5)).usable

    @pytest.mark.parametrize(("shift_mm", "found"), [(0.0, False), (0.029, False), (0.031, True)])
    def test_gaps_may_differ_by_one_percent(self, shift_mm, found):
        series = self.at(0, 3, 6, 9 + shift_mm, 12 + shift_mm, 15 + shift_mm, 18 + shift_mm)

        assert codes_of(series) == [FindingCode.VARIABLE_SPACING] * found

    @pytest.mark.parametrize(("shift_mm", "found"), [(0.019, False), (0.021, True)])
    def test_gaps_of_thin_slices_may_differ_by_two_hundredths_of_a_mm(self, shift_mm, found):
        series = self.at(0, 0.5, 1.0, 1.5 + shift_mm, 2.0 + shift_mm, 2.5 + shift_mm)

        assert codes_of(series) == [FindingCode.VARIABLE_SPACING] * found

    @pytest.mark.parametrize(("tilt_deg", "found"), [(0.15, False), (0.25, True), (15, True)])
    def test_tilt_above_a_fifth_of_a_degree_is_found(self, tilt_deg, found):
        slope = np.tan(np.radians(tilt_deg))
        series = make_series([make_header(i, position=(0, 3 * i * slope, 3 * i)) for i in range(8)])

        assert codes_of(series) == [FindingCode.GANTRY_TILT] * found
        assert examine(series).regular is not found

    def test_slices_pushed_sideways_in_the_middle_of_a_stack_are_no_volume(self):
        series = make_series([make_header(i, position=(40 if 3 <= i <= 6 else 0, 0, 3 * i)) for i in range(10)])

        assert not examine(series).usable


class TestHeaders:
    """One source, one kind of image, and attributes that can be."""

    @pytest.mark.parametrize(
        ("code", "keyword", "value"),
        [
            (FindingCode.MIXED_PATIENT, "PatientID", "SOMEBODY ELSE"),
            (FindingCode.MIXED_STUDY, "StudyInstanceUID", "1.2.3"),
            (FindingCode.MIXED_FRAME_OF_REFERENCE, "FrameOfReferenceUID", "1.2.3"),
            (FindingCode.MIXED_SPACING, "PixelSpacing", [0.8, 0.7]),
            (FindingCode.MIXED_MATRIX, "Rows", 7),
            (FindingCode.MIXED_MATRIX, "Columns", 7),
            (FindingCode.MIXED_ORIENTATION, "ImageOrientationPatient", [0.8, 0.6, 0, -0.6, 0.8, 0]),
            (FindingCode.LOCALIZER, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
            (FindingCode.UNSUPPORTED_OBJECT, "SOPClassUID", EnhancedCTImageStorage),
            (FindingCode.UNSUPPORTED_OBJECT, "SamplesPerPixel", 3),
            (FindingCode.UNSUPPORTED_OBJECT, "NumberOfFrames", 2),
        ],
    )
    def test_slice_that_differs_is_found_by_its_uid(self, code, keyword, value):
        series = make_series(edit=one_slice(lambda header: setattr(header, keyword, value)))

        geometry = examine(series)

        assert [(f.code, f.instances) for f in geometry.findings] == [(code, (series.instances[2].uid,))]
        assert not geometry.usable

    @pytest.mark.parametrize("keyword", ["PatientID", "FrameOfReferenceUID"])
    def test_attribute_that_one_slice_lacks_is_a_mixture(self, keyword):
        series = make_series(edit=one_slice(lambda header: delattr(header, keyword)))

        assert len(codes_of(series)) == 1

    def test_series_without_any_frame_of_reference_is_refused(self):
        """Type 1 (PS3.3 C.7.4.1): without it nothing says where a segment lies."""
        series = make_series(edit=lambda header, _index: delattr(header, "FrameOfReferenceUID"))

        assert codes_of(series) == [FindingCode.MISSING_ATTRIBUTE]

    def test_findings_do_not_repeat_the_patient_id(self):
        series = make_series(edit=one_slice(lambda header: setattr(header, "PatientID", "SECRET-7")))

        (finding,) = examine(series).findings

        assert "SECRET" not in finding.sentence
        assert "BUILT" not in finding.sentence

    def test_instance_stored_twice_is_found(self):
        def copy_uid(header):
            header.SOPInstanceUID = make_header(1).SOPInstanceUID

        (finding,) = examine(make_series(edit=one_slice(copy_uid))).findings

        assert finding.code is FindingCode.DUPLICATE_INSTANCE
        assert len(finding.instances) == 2

    @pytest.mark.parametrize("keyword", IDENTITY_KEYWORDS)
    @pytest.mark.parametrize("empty", [True, False])
    def test_image_that_does_not_say_what_it_is_is_refused(self, keyword, empty):
        def strip(header, _index):
            delattr(header, keyword)
            if empty:
                setattr(header, keyword, "")

        geometry = examine(make_series(edit=strip))

        (finding,) = geometry.findings
        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message
        assert not geometry.usable

    @pytest.mark.parametrize(
        "keyword", ["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns"]
    )
    def test_missing_attribute_is_named(self, keyword):
        (finding,) = examine(make_series(edit=one_slice(lambda header: delattr(header, keyword), at=0))).findings

        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message
        assert "ct_0.dcm" in finding.message

    @pytest.mark.parametrize("keyword", ["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"])
    def test_empty_attribute_is_missing(self, keyword):
        series = make_series(edit=one_slice(lambda header: setattr(header, keyword, None), at=0))

        assert codes_of(series) == [FindingCode.MISSING_ATTRIBUTE]

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("PixelSpacing", [0, 0.6]),
            ("PixelSpacing", [-0.8, 0.6]),
            ("PixelSpacing", [0.8]),
            ("ImagePositionPatient", [1, 2]),
            ("ImagePositionPatient", [1, 2, 3, 4]),
            ("ImageOrientationPatient", [1, 0, 0, 0, 1]),
            ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
            ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
            ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
            ("ImageOrientationPatient", [1, 0, 0, 0.1, 0.995, 0]),
        ],
    )
    def test_attribute_that_cannot_be_is_invalid(self, keyword, value):
        geometry = examine(make_series(edit=one_slice(lambda header: setattr(header, keyword, value), at=0)))

        assert [finding.code for finding in geometry.findings] == [FindingCode.INVALID_ATTRIBUTE]
        assert keyword in geometry.findings[0].message

    @pytest.mark.parametrize("text", ["abc", "nan", "inf", "1,5"])
    @pytest.mark.parametrize("keyword", ["ImagePositionPatient", "PixelSpacing", "ImageOrientationPatient"])
    def test_text_where_a_number_belongs_is_invalid(self, tmp_path, keyword, text):
        write_text(make_ct_series(tmp_path, slices=4)[0], keyword, text)
        (series,) = read_folder(tmp_path).series

        geometry = examine(series)

        assert [finding.code for finding in geometry.findings] == [FindingCode.INVALID_ATTRIBUTE]

    def test_slice_without_a_place_is_not_called_missing(self):
        series = make_series(edit=one_slice(lambda header: delattr(header, "ImagePositionPatient"), at=2))

        assert codes_of(series) == [FindingCode.MISSING_ATTRIBUTE]

    def test_all_slices_with_a_defect_leave_no_order(self):
        def strip(header, _index):
            del header.ImagePositionPatient

        geometry = examine(make_series(edit=strip))

        assert len(geometry.findings) == 6
        assert geometry.instances == ()

    @pytest.mark.parametrize(
        ("off", "found"),
        [(0.0, False), (2e-5, False), (1e-2, True)],
    )
    def test_orientations_are_compared_with_a_tolerance(self, off, found):
        def turn(header):
            header.ImageOrientationPatient = decimals([np.cos(off), np.sin(off), 0, -np.sin(off), np.cos(off), 0])

        assert codes_of(make_series(edit=one_slice(turn))) == [FindingCode.MIXED_ORIENTATION] * found

    @example(sine=1e-4, jitter=1e-8)
    @given(sine=st.floats(1e-5, 1e-3), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_orientation(self, sine, jitter):
        def turn(header, index):
            s = sine + jitter * (index % 2)
            c = np.sqrt(1 - s * s)
            header.ImageOrientationPatient = decimals([c, s, 0, -s, c, 0])

        assert codes_of(make_series(edit=turn)) == []

    @example(spacing=0.9765, jitter=1e-6)
    @given(spacing=st.floats(0.3, 2), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_spacing(self, spacing, jitter):
        def scale(header, index):
            header.PixelSpacing = decimals([spacing + jitter * (index % 2), 0.6])

        assert codes_of(make_series(edit=scale)) == []


def write_text(path, keyword, text):
    """Put text into a Decimal String (VR DS), which pydicom would not write."""
    dataset = dcmread(path)
    tag = dataset.data_element(keyword).tag
    dataset[tag] = DataElement(tag, "LO", [text] * len(dataset[tag].value))
    dataset.save_as(path)
    start = struct.pack("<HH", tag.group, tag.element)
    path.write_bytes(path.read_bytes().replace(start + b"LO", start + b"DS"))


class TestRescale:
    """Stored values of CT become HU by Rescale Slope and Intercept, both Type 1 (PS3.3 C.8.2.1.1)."""

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_one_image_without_it_is_no_hu(self, tmp_path, keyword):
        def strip(dataset, index):
            if index == 3:
                del dataset[keyword]

        make_ct_series(tmp_path, slices=6, edit=strip)
        (series,) = read_folder(tmp_path).series

        (finding,) = examine(series).findings

        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message
        assert len(finding.instances) == 1

    @pytest.mark.parametrize(
        ("keyword", "value", "code"),
        [
            ("RescaleSlope", "0", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleSlope", "-1", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleSlope", "1e30", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleIntercept", "1e9", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleType", "Z_EFF", FindingCode.UNSUPPORTED_OBJECT),
            ("PhotometricInterpretation", "PALETTE COLOR", FindingCode.UNSUPPORTED_OBJECT),
            ("PixelSpacing", ["1500", "1500"], FindingCode.INVALID_ATTRIBUTE),
        ],
    )
    def test_values_that_are_no_hu_of_a_ct_are_refused(self, tmp_path, keyword, value, code):
        make_ct_series(tmp_path, slices=6, edit=lambda dataset, _: setattr(dataset, keyword, value))
        (series,) = read_folder(tmp_path).series

        geometry = examine(series)

        assert {finding.code for finding in geometry.findings} == {code}
        assert not geometry.usable
