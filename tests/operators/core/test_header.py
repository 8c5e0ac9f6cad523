"""Header: values are read as they stand, or are none; a copy is the same in its standard attributes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRLittleEndian

from operators.core.header import (
    attribute,
    decimal_strings,
    read_numbers,
    read_text,
    read_value,
    standard_copy,
    whole_number,
)
from operators.core.reading import read_files
from tests.builders import make_header, read_only_series, write_image


def write_in(folder, syntax, **kwargs):
    """One image of 4 x 3 pixels with a value each."""
    picture = np.arange(12, dtype="<u2").reshape(4, 3)
    return write_image(folder / "a.dcm", make_header(0), picture, syntax=syntax, **kwargs)


class TestValues:
    """Values are read as they stand, or are none."""

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values=st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=3))
    def test_decimal_strings_are_the_numbers_that_were_written(self, tmp_path, values):
        header = make_header(0, position=values)
        write_image(tmp_path / "a.dcm", header, np.zeros((4, 3), "<u2"))

        (instance,) = read_only_series(tmp_path).instances

        # 16 characters of a Decimal String (PS3.5 6.2).
        assert read_numbers(instance.header, "ImagePositionPatient") == pytest.approx(values, rel=1e-8, abs=1e-8)

    @pytest.mark.parametrize("converted", [False, True])
    def test_decimal_strings_are_as_they_were_written(self, tmp_path, converted):
        path = write_image(tmp_path / "a.dcm", make_header(0, position=[1, 2, 3]), np.zeros((4, 3), "<u2"))
        path.write_bytes(path.read_bytes().replace(b"1.0\\2.0\\3.0 ", b"+1\\2.0\\ 3e0 "))
        header = read_only_series(tmp_path).instances[0].header
        if converted:
            header["ImagePositionPatient"]

        assert decimal_strings(header, "ImagePositionPatient") == ["+1", "2.0", "3e0"]

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"1\\2 ", [1, 2]),
            (b" 1 \\ 2", [1, 2]),
            (b"+1.5e1\\-2E-1 ", [15, -0.2]),
            (b"1\\2\0", [1, 2]),
            (b"1\\", [np.nan]),
            (b"abc\\2 ", [np.nan]),
            (b"1_0\\2 ", [np.nan]),
            (b"", None),
            (b"  ", None),
        ],
    )
    def test_decimal_string_of_a_file_is_read_as_the_standard_writes_it(self, tmp_path, text, expected):
        path = write_in(tmp_path, ExplicitVRLittleEndian)
        data = path.read_bytes()
        at = data.index(b"\x28\x00\x30\x00DS")
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        path.write_bytes(data[: at + 6] + len(text).to_bytes(2, "little") + text + data[at + 8 + length :])

        found = read_numbers(read_only_series(tmp_path).instances[0].header, "PixelSpacing")

        if expected is None:
            assert found is None
        else:
            assert np.array_equal(found, expected, equal_nan=True)

    @pytest.mark.parametrize("value", [None, "", []])
    def test_empty_value_is_none(self, value):
        header = make_header(0)
        header.ImageType = value
        header.PixelSpacing = value

        assert read_value(header, "ImageType") is None
        assert read_numbers(header, "PixelSpacing") is None

    def test_zero_is_a_value(self):
        header = make_header(0)
        header.InstanceNumber = 0

        assert read_value(header, "InstanceNumber") == 0

    def test_absent_value_is_none(self):
        assert read_value(Dataset(), "Rows") is None
        assert read_numbers(Dataset(), "Rows") is None

    def test_attribute_is_named_with_its_tag(self):
        assert attribute("SliceThickness") == "SliceThickness (0018,0050)"


class TestStandardCopy:
    """A copy that is the same in its standard attributes."""

    def test_private_attributes_and_those_named_are_left_out(self):
        header = make_header(0)
        header.private_block(0x19, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 3)

        copied = standard_copy(header, without=("PatientID",))

        assert {e.keyword for e in header if not e.tag.is_private} - {e.keyword for e in copied} == {"PatientID"}
        assert not [e for e in copied if e.tag.is_private]

    def test_original_is_not_changed_by_a_new_element_of_the_copy(self):
        header = make_header(0)

        copied = standard_copy(header)
        copied["PatientID"] = DataElement("PatientID", "LO", "OTHER")
        del copied.Modality

        assert (header.PatientID, header.Modality) == ("BUILT", "CT")

    @pytest.mark.parametrize(
        ("character_set", "name"),
        [
            ("ISO_IR 100", "Müller^Jörg"),
            ("ISO_IR 192", "Ωmega^Ж"),
            (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ("GB18030", "Wang^XiaoDong=王^小东"),
        ],
    )
    def test_names_keep_their_character_set(self, tmp_path, character_set, name):
        def rename(header):
            header.SpecificCharacterSet = character_set
            header.PatientName = name

        write_in(tmp_path, ExplicitVRLittleEndian, edit=rename)
        (instance,) = read_only_series(tmp_path).instances

        assert str(standard_copy(standard_copy(instance.header)).PatientName) == name

    def test_copy_is_written_as_the_original(self, tmp_path):
        write_in(tmp_path / "in", ExplicitVRLittleEndian, edit=lambda h: h.update({"PatientName": "Doe^Jane"}))
        (instance,) = read_only_series(tmp_path / "in").instances

        copied = standard_copy(instance.header)
        copied.save_as(tmp_path / "copy.dcm", enforce_file_format=True)

        assert dcmread(tmp_path / "copy.dcm") == dcmread(instance.path, stop_before_pixels=True)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("name", ["SCSH31", "SCSH32", "SCSI2", "SCSX1", "SCSX2"])
    def test_real_names_keep_their_character_set(self, shared_data, name):
        path = shared_data / "charsets" / "clunie" / name
        (series,) = read_files([path], path.parent).series
        expected = str(dcmread(path).PatientName)

        copied = standard_copy(series.first)

        assert str(copied.PatientName) == expected
        assert any(ord(character) > 127 for character in expected)


class TestWholeNumber:
    """One whole number, or an error."""

    @pytest.mark.parametrize("value", [0, 1, 65535])
    def test_number_is_given(self, value):
        header = Dataset()
        header.Rows = value

        assert whole_number(header, "Rows") == value

    @pytest.mark.parametrize("value", [None, [1, 2]])
    def test_anything_else_is_an_error_even_where_it_may_be_absent(self, value):
        header = Dataset()
        header.Rows = value

        with pytest.raises(ValueError, match="Rows"):
            whole_number(header, "Rows", absent=1)

    def test_fraction_is_an_error(self):
        header = Dataset()
        header.SliceThickness = "1.5"

        with pytest.raises(ValueError, match="SliceThickness"):
            whole_number(header, "SliceThickness")

    def test_absent_number_is_what_stands_for_it(self):
        assert whole_number(Dataset(), "NumberOfFrames", absent=1) == 1

        with pytest.raises(ValueError, match="Rows"):
            whole_number(Dataset(), "Rows")


@pytest.mark.parametrize(("value", "text"), [("A", "A"), (["A", "B"], ""), (None, ""), ("", "")])
def test_text_is_a_single_value(value, text):
    header = Dataset()
    header.Modality = value

    assert read_text(header, "Modality") == text
