"""Modality: stored values become what they stand for as PS3.3 C.11.1 says; padding is told apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut

from operators.core.modality import ModalityTransform, padding_of, transform_of
from tests.builders import make_header

int16_arrays = st.lists(st.integers(-32768, 32767), min_size=1, max_size=9).map(lambda v: np.array(v, np.int16))
uint16_arrays = st.lists(st.integers(0, 65535), min_size=1, max_size=9).map(lambda v: np.array(v, np.uint16))
slopes = st.integers(-3, 3).filter(bool)


def rescale(slope, intercept) -> Dataset:
    header = make_header(0)
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    return header


def table(data, first=0, bits=16, entries=None) -> Dataset:
    """A header with a Modality LUT (PS3.3 C.11.1.1)."""
    header, item = Dataset(), Dataset()
    header.PixelRepresentation = int(first < 0)
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(data) if entries is None else entries, first, bits])
    item.ModalityLUTType = "HU"
    item.add_new("LUTData", "US" if isinstance(data, list) else "OW", data)
    header.ModalityLUTSequence = [item]
    return header


def values(header, stored, dtype=np.float64) -> np.ndarray:
    transform = transform_of(header)
    looked_up = transform.looked_up(stored)
    out = np.empty(stored.shape, dtype)
    transform.apply(looked_up, out)
    return out


class TestRescale:
    """Slope and intercept."""

    @given(stored=st.one_of(int16_arrays, uint16_arrays), slope=slopes, intercept=st.integers(-70000, 70000))
    def test_whole_values_are_exact_or_said_not_to_fit(self, stored, slope, intercept):
        header = rescale(slope, intercept)
        exact = stored.astype(np.int64) * slope + intercept

        fits = transform_of(header).fits_int16(stored)

        assert fits == bool((exact >= -32768).all() and (exact <= 32767).all())
        assert np.array_equal(values(header, stored, np.int16 if fits else np.float64), exact)

    @pytest.mark.parametrize(
        ("value", "intercept", "fits"),
        [
            (32767, 0, True),
            (32766, 1, True),
            (32767, 1, False),
            (-32768, 0, True),
            (-32767, -1, True),
            (-32768, -1, False),
        ],
    )
    def test_int16_is_full_at_its_ends(self, value, intercept, fits):
        assert transform_of(rescale(1, intercept)).fits_int16(np.array([0, value], np.int16)) is fits

    @given(
        stored=st.one_of(int16_arrays, uint16_arrays),
        slope=st.floats(-10, 10).filter(lambda v: abs(v) > 1e-3),
        intercept=st.floats(-2000, 2000),
    )
    def test_pydicom_gets_the_same_values(self, stored, slope, intercept):
        header = rescale(f"{slope:.8g}", f"{intercept:.8g}")

        assert values(header, stored) == pytest.approx(apply_modality_lut(stored, header), rel=1e-12, abs=1e-9)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
    @pytest.mark.parametrize("intercept", [0, -1024, 100])
    def test_any_stored_type_becomes_int16(self, dtype, intercept):
        stored = np.array([0, 1, 100, 127], dtype)

        assert np.array_equal(values(rescale(1, intercept), stored, np.int16), stored.astype(int) + intercept)

    def test_view_of_a_larger_picture_is_taken(self):
        picture = np.arange(24, dtype=np.uint16).reshape(4, 6)

        assert np.array_equal(values(rescale(1, -5), picture[1:3, 2:5], np.int16), picture[1:3, 2:5].astype(int) - 5)

    def test_absent_rescale_is_the_identity(self):
        assert transform_of(Dataset()) == ModalityTransform(1.0, 0.0)

    @pytest.mark.parametrize(
        ("slope", "intercept", "whole"),
        [("1", "0", True), ("2.0", "-1024", True), ("0.5", "0", False), ("1", "0.5", False)],
    )
    def test_whole_is_slope_and_intercept(self, slope, intercept, whole):
        assert transform_of(rescale(slope, intercept)).whole is whole

    def test_stored_values_are_not_changed(self):
        stored = np.array([1, 2, 3], np.int16)

        values(rescale(2, 5), stored, np.int16)

        assert stored.tolist() == [1, 2, 3]


class TestTable:
    """Modality LUT Sequence (0028,3000)."""

    @given(
        data=st.lists(st.integers(0, 65535), min_size=2, max_size=20),
        first=st.integers(-30, 30),
        stored=st.lists(st.integers(-50, 60), min_size=1, max_size=9),
    )
    def test_each_value_is_its_entry_and_those_beyond_take_the_ends(self, data, first, stored):
        expected = [data[min(max(value - first, 0), len(data) - 1)] for value in stored]

        assert values(table(data, first), np.array(stored, np.int16)).tolist() == expected

    @given(data=st.lists(st.integers(0, 65535), min_size=2, max_size=20), first=st.integers(-10, 10))
    def test_pydicom_gets_the_same_values(self, data, first):
        stored = np.arange(-15, 40, dtype=np.int16)

        assert np.array_equal(values(table(data, first), stored), apply_modality_lut(stored, table(data, first)))

    def test_table_stands_before_slope_and_intercept(self):
        header = table([5, 6, 7])
        header.RescaleSlope, header.RescaleIntercept = "9", "9"

        assert values(header, np.array([0, 1, 2], np.uint16)).tolist() == [5, 6, 7]

    def test_table_of_words_is_read(self):
        words = np.array([5, 600, 65535], "<u2").tobytes()

        assert values(table(words, entries=3), np.array([0, 1, 2], np.uint16)).tolist() == [5, 600, 65535]

    @pytest.mark.parametrize("data", [bytes([5, 6, 7, 8]), bytes([5, 6, 7, 0])])
    def test_table_of_bytes_is_read(self, data):
        entries = 4 if data[-1] else 3

        found = values(table(data, bits=8, entries=entries), np.arange(entries, dtype=np.uint16))

        assert found.tolist() == list(data[:entries])

    def test_descriptor_of_0_entries_means_65536(self):
        full = np.arange(65536, dtype="<u2")[::-1].tobytes()
        header = table(full, entries=0)

        assert values(header, np.array([0, 1, 65535], np.uint16)).tolist() == [65535, 65534, 0]

    def test_values_beyond_int16_are_said_not_to_fit(self):
        transform = transform_of(table([0, 40000]))

        assert not transform.fits_int16(transform.looked_up(np.array([1], np.uint16)))
        assert transform.fits_int16(transform.looked_up(np.array([0], np.uint16)))

    @pytest.mark.parametrize("spoil", ["entries", "no data", "no descriptor", "short descriptor", "single number"])
    def test_table_that_says_less_than_it_should_is_refused(self, spoil):
        header = table([1, 2, 3], entries=4 if spoil == "entries" else None)
        item = header.ModalityLUTSequence[0]
        if spoil == "no data":
            del item.LUTData
        elif spoil == "no descriptor":
            del item.LUTDescriptor
        elif spoil == "short descriptor":
            item.LUTDescriptor = [3, 0]
        elif spoil == "single number":
            item.LUTDescriptor = 3

        with pytest.raises((ValueError, TypeError)):
            transform_of(header)


class TestPadding:
    """Pixel Padding Value and Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""

    @staticmethod
    def header(value=None, limit=None, vr="SS"):
        header = make_header(0)
        if value is not None:
            header.add_new("PixelPaddingValue", vr, value)
        if limit is not None:
            header.add_new("PixelPaddingRangeLimit", vr, limit)
        return header

    @pytest.mark.parametrize(
        ("value", "vr", "signed", "expected"),
        [
            (-2000, "SS", True, -2000),
            (63536, "US", True, -2000),
            (-2000, "SS", False, 63536),
            (63536, "US", False, 63536),
            (0, "US", False, 0),
            (0, "SS", True, 0),
            (32767, "US", True, 32767),
            (32768, "US", True, -32768),
            (b"\x30\xf8", "OW", True, -2000),
            (b"\x30\xf8", "OW", False, 63536),
        ],
    )
    def test_value_has_the_sign_of_the_pixels_whatever_it_is_written_as(self, value, vr, signed, expected):
        assert padding_of(self.header(value, vr=vr), signed=signed) == (expected, expected)

    @pytest.mark.parametrize(("value", "limit"), [(-2000, -1500), (-1500, -2000)])
    def test_range_is_from_the_lower_to_the_higher(self, value, limit):
        assert padding_of(self.header(value, limit), signed=True) == (-2000, -1500)

    def test_no_value_is_no_padding(self):
        assert padding_of(self.header(), signed=True) is None

    def test_limit_without_a_value_is_no_padding(self):
        assert padding_of(self.header(limit=-1500), signed=True) is None

    @pytest.mark.parametrize("value", ["", None, b"", b"\1\2\3"])
    def test_value_that_is_no_number_is_no_padding(self, value):
        header = make_header(0)
        header.add_new("PixelPaddingValue", "OW" if isinstance(value, bytes) else "LO", value)

        assert padding_of(header, signed=True) is None
