"""Pixels: the Modality LUT of each slice (PS3.3 C.11.1), nothing wraps and nothing is guessed."""

import contextlib
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
)

from operators.core import pixels
from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.geometry import SeriesGeometry, VolumeGeometry, examine
from operators.core.pixels import read_values, read_volume
from operators.core.reading import read_folder
from tests.builders import (
    make_ct_series,
    make_header,
    make_hu,
    make_mosaic,
    make_multiframe,
    read_only_series,
    strip_preamble,
    write_image,
    write_slices,
)

ROOT = Path(__file__).parents[3]
NATIVE = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}


def geometry_of(folder) -> SeriesGeometry:
    return examine(read_only_series(folder))


def only_volume(folder) -> VolumeGeometry:
    (volume,) = geometry_of(folder).volumes
    return volume


def read(folder):
    return read_volume(only_volume(folder))


def refusal_of(volume):
    with pytest.raises(InputRefused) as refused:
        read_volume(volume)
    return refused.value.findings


def rescale(slope, intercept):
    def edit(dataset, _index):
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    return edit


def stored(hu=None) -> np.ndarray:
    """What write_ct_series puts into the file: HU from an intercept of -1024."""
    return (make_hu() if hu is None else hu).astype(np.int64) + 1024


def mr_header(index, **values):
    header = make_header(index)
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


class TestValues:
    """What comes out of the Modality LUT of each slice."""

    def test_ct_is_int16_and_equal_to_what_was_written(self, tmp_path):
        make_ct_series(tmp_path)

        volume = read(tmp_path)

        assert volume.array.dtype == np.int16
        assert np.array_equal(volume.array, make_hu())
        assert volume.padding is None

    def test_each_slice_has_its_own_rescale(self, tmp_path):
        def alternate(dataset, index):
            dataset.RescaleSlope, dataset.RescaleIntercept = index % 3 + 1, -10 * index

        make_ct_series(tmp_path, edit=alternate)

        volume = read(tmp_path)

        for index, plane in enumerate(stored()):
            assert np.array_equal(volume.array[index], plane * (index % 3 + 1) - 10 * index)

    def test_fractional_slope_gives_float32_with_the_right_values(self, tmp_path):
        make_ct_series(tmp_path, edit=rescale("0.125", "-3.5"))

        volume = read(tmp_path)

        assert volume.array.dtype == np.float32
        assert np.array_equal(volume.array, stored() * 0.125 - 3.5)

    def test_one_fractional_slice_makes_the_whole_volume_float32(self, tmp_path):
        make_ct_series(tmp_path, edit=lambda ds, index: rescale("1.5", "0")(ds, index) if index == 7 else None)

        volume = read(tmp_path)

        assert volume.array.dtype == np.float32
        assert np.array_equal(volume.array[6], make_hu()[6])
        assert np.array_equal(volume.array[7], stored()[7] * 1.5)

    @pytest.mark.parametrize("intercept", [40000, -40000])
    def test_values_beyond_int16_do_not_wrap(self, tmp_path, intercept):
        make_ct_series(tmp_path, edit=lambda ds, index: rescale("1", intercept)(ds, index) if index == 5 else None)

        volume = read(tmp_path)

        assert np.array_equal(volume.array[5], stored()[5] + intercept)
        assert np.array_equal(np.delete(volume.array, 5, axis=0), np.delete(make_hu(), 5, axis=0))

    def test_unsigned_pixels_above_the_signed_range_do_not_wrap(self, tmp_path):
        write_slices(tmp_path, np.full((4, 6, 5), 65535, np.uint16))

        volume = read(tmp_path)

        assert volume.array.dtype == np.float32
        assert (volume.array == 65535).all()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        dtype=st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]),
        rescales=st.lists(
            st.tuples(
                st.sampled_from(["1", "2", "-3", "0.5", "1.25", "0.0123"]),
                st.sampled_from(["0", "-1024", "30000", "0.5"]),
            ),
            min_size=3,
            max_size=3,
        ),
        seed=st.integers(0, 2**16),
    )
    def test_pydicom_gets_the_same_values(self, tmp_path, dtype, rescales, seed):
        """From its own pixel_array and its own Modality LUT, slice by slice."""
        limits = np.iinfo(dtype)
        planes = np.random.default_rng(seed).integers(limits.min, limits.max, (3, 6, 5), dtype, endpoint=True)
        paths = write_slices(
            tmp_path,
            planes,
            header=lambda i: mr_header(i, RescaleSlope=rescales[i][0], RescaleIntercept=rescales[i][1]),
        )

        volume = read(tmp_path)

        for index, path in enumerate(paths):
            dataset = dcmread(path)
            expected = apply_modality_lut(dataset.pixel_array, dataset)
            # A float32 has 24 bits.
            relative = 0 if volume.array.dtype == np.int16 else 1e-15 if limits.bits == 32 else 2**-24
            assert np.abs(volume.array[index] - expected).max() <= relative * np.abs(expected).max()

    @pytest.mark.parametrize("dtype", [np.int32, np.uint32])
    def test_32_bits_keep_their_last_digit(self, tmp_path, dtype):
        planes = np.iinfo(dtype).max - np.arange(90, dtype=dtype).reshape(3, 6, 5)
        write_slices(tmp_path, planes, header=mr_header)

        volume = read(tmp_path)

        assert volume.array.dtype == np.float64
        assert np.array_equal(volume.array, planes)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8])
    def test_8_bits_are_read(self, tmp_path, dtype):
        planes = np.arange(90).astype(dtype).reshape(3, 6, 5)
        write_slices(tmp_path, planes)

        assert np.array_equal(read(tmp_path).array, planes)

    def test_absent_rescale_is_the_identity(self, tmp_path):
        def strip(dataset, _index):
            del dataset.RescaleSlope
            dataset.RescaleIntercept = None

        make_ct_series(tmp_path, edit=strip)

        assert np.array_equal(read(tmp_path).array, stored())

    def test_monochrome1_is_not_inverted(self, tmp_path):
        make_ct_series(tmp_path, edit=lambda ds, _: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))

        assert np.array_equal(read(tmp_path).array, make_hu())

    def test_modality_lut_sequence_is_applied_to_its_slice(self, tmp_path):
        def table(header):
            item = Dataset()
            item.add_new("LUTDescriptor", "US", [200, 0, 16])
            item.ModalityLUTType = "HU"
            item.add_new("LUTData", "US", [7 * value for value in range(200)])
            header.ModalityLUTSequence = [item]

        planes = np.arange(90, dtype=np.uint16).reshape(3, 6, 5)
        write_slices(tmp_path, planes, edit=table)

        assert np.array_equal(read(tmp_path).array, planes * 7)

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    @pytest.mark.parametrize("words", [True, False], ids=["OW", "US"])
    @pytest.mark.parametrize("signed", [True, False])
    def test_table_is_read_in_every_native_syntax(self, tmp_path, syntax, words, signed):
        entries, first = [3 * value + 258 for value in range(120)], -10 if signed else 10

        def table(header):
            item = Dataset()
            item.add_new("LUTDescriptor", "SS" if signed else "US", [120, first, 16])
            item.ModalityLUTType = "HU"
            order = "<" if syntax.is_little_endian else ">"
            item.add_new(
                "LUTData", "OW" if words else "US", np.array(entries, f"{order}u2").tobytes() if words else entries
            )
            header.ModalityLUTSequence = [item]

        planes = np.arange(-20, 70).reshape(3, 6, 5) if signed else np.arange(90).reshape(3, 6, 5)
        write_slices(tmp_path, planes.astype(np.int16 if signed else np.uint16), edit=table, syntax=syntax)

        assert np.array_equal(read(tmp_path).array, np.array(entries)[(planes - first).clip(0, 119)])

    def test_table_that_cannot_be_is_refused_by_name(self, tmp_path):
        def table(header):
            item = Dataset()
            item.add_new("LUTDescriptor", "US", [9, 0, 16])
            item.add_new("LUTData", "US", [1, 2, 3])
            header.ModalityLUTSequence = [item]

        write_image(tmp_path / "bad.dcm", make_header(0), np.zeros((6, 5), np.uint16), edit=table)
        write_image(tmp_path / "good.dcm", make_header(1), np.zeros((6, 5), np.uint16))

        (finding,) = refusal_of(only_volume(tmp_path))

        assert finding.files == ("bad.dcm",)

    def test_overlay_in_the_bits_above_does_not_shine_through(self, tmp_path):
        planes = np.arange(90, dtype=np.uint16).reshape(3, 6, 5)
        write_slices(tmp_path, planes | 0xA000, bits_stored=12)

        assert np.array_equal(read(tmp_path).array, planes)

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    @pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
    def test_every_native_syntax_gives_the_same_volume(self, tmp_path, syntax, dtype):
        planes = np.arange(90).astype(dtype).reshape(3, 6, 5)
        write_slices(
            tmp_path, planes, syntax=syntax, header=lambda i: mr_header(i, RescaleSlope="3", RescaleIntercept="-7")
        )

        assert np.array_equal(read(tmp_path).array, planes.astype(int) * 3 - 7)

    @pytest.mark.parametrize("implicit", [True, False])
    def test_files_without_a_preamble_give_the_same_volume(self, tmp_path, implicit):
        for path in make_ct_series(tmp_path):
            strip_preamble(path, implicit=implicit)

        assert np.array_equal(read(tmp_path).array, make_hu())

    @pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
    def test_compressed_series_gives_the_same_volume(self, tmp_path, syntax):
        hu = np.random.default_rng(0).integers(-1000, 3000, (4, 40, 36)).astype(np.int16)
        for path in make_ct_series(tmp_path, hu=hu):
            dataset = dcmread(path)
            dataset.compress(syntax, generate_instance_uid=False)
            dataset.save_as(path)

        volume = read(tmp_path)

        assert (volume.array.dtype, volume.array.shape) == (np.int16, hu.shape)
        assert np.array_equal(volume.array, hu)

    def test_simpleitk_gets_the_same_values(self, tmp_path):
        hu = np.random.default_rng(1).integers(-1000, 3000, (5, 8, 7)).astype(np.int16)
        paths = make_ct_series(tmp_path, hu=hu)

        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([str(path) for path in paths])
        assert np.array_equal(read(tmp_path).array, SimpleITK.GetArrayFromImage(reader.Execute()))


class TestPadding:
    """Padding is a mask beside the values (PS3.3 C.7.5.1.1.2)."""

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
    @pytest.mark.parametrize(
        ("dtype", "pad", "vr", "written"),
        [
            (np.int16, -2000, "SS", -2000),
            (np.int16, -2000, "US", 63536),
            (np.uint16, 63536, "US", 63536),
            (np.uint16, 63536, "SS", -2000),
            (np.uint16, 0, "US", 0),
        ],
    )
    def test_value_is_padding_in_either_spelling(self, tmp_path, syntax, dtype, pad, vr, written):
        planes = np.arange(100, 190).astype(dtype).reshape(3, 6, 5)
        planes[1, :2] = pad

        write_slices(tmp_path, planes, syntax=syntax, edit=lambda ds: ds.add_new("PixelPaddingValue", vr, written))

        volume = read(tmp_path)

        assert np.array_equal(volume.padding, planes == dtype(pad))
        assert np.array_equal(volume.array, planes)
        assert not volume.padding.flags.writeable

    def test_range_is_padding_from_end_to_end(self, tmp_path):
        planes = np.arange(90, dtype=np.int16).reshape(3, 6, 5)

        def pad(dataset):
            dataset.add_new("PixelPaddingValue", "SS", 10)
            dataset.add_new("PixelPaddingRangeLimit", "SS", 20)

        write_slices(tmp_path, planes, edit=pad)

        assert np.array_equal(read(tmp_path).padding, (planes >= 10) & (planes <= 20))

    def test_padding_is_told_by_stored_values_not_by_hu(self, tmp_path):
        def pad(dataset, _index):
            dataset.add_new("PixelPaddingValue", "SS", 1000)

        make_ct_series(tmp_path, edit=pad)

        assert np.array_equal(read(tmp_path).padding, stored() == 1000)

    def test_value_that_no_pixel_has_is_no_mask(self, tmp_path):
        make_ct_series(tmp_path, edit=lambda ds, _: ds.add_new("PixelPaddingValue", "SS", -32768))

        assert read(tmp_path).padding is None

    def test_each_slice_has_its_own_padding(self, tmp_path):
        planes = np.tile(np.arange(30, dtype=np.int16).reshape(6, 5), (3, 1, 1))
        for index, plane in enumerate(planes):
            header = make_header(index)
            if index != 1:
                header.add_new("PixelPaddingValue", "SS", index)
            write_image(tmp_path / f"{index}.dcm", header, plane)

        padding = read(tmp_path).padding

        assert [np.argwhere(mask).tolist() for mask in padding] == [[[0, 0]], [], [[0, 2]]]


class TestRefused:
    """One bad slice of many: no volume, and the error names it."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    @pytest.mark.parametrize("text", ["nan", "abc"])
    def test_rescale_that_is_no_number_is_refused(self, tmp_path, keyword, text):
        def spoil(dataset, index):
            if index == 3:
                element = dataset.data_element(keyword)
                dataset[element.tag] = DataElement(element.tag, "LO", text)

        make_ct_series(tmp_path, edit=spoil)
        geometry = geometry_of(tmp_path)

        assert [f.code for f in geometry.findings] == [FindingCode.INVALID_ATTRIBUTE]
        assert not geometry.usable

    def test_truncated_pixel_data_is_refused_by_name(self, tmp_path):
        def cut(dataset, index):
            if index == 4:
                dataset.PixelData = dataset.PixelData[:-2]

        paths = make_ct_series(tmp_path, edit=cut)

        (finding,) = refusal_of(only_volume(tmp_path))

        assert finding.code is FindingCode.UNDECODABLE_PIXELS
        assert finding.files == (paths[4].name,)
        assert paths[4].name in finding.message

    def test_absent_pixel_data_is_refused(self, tmp_path):
        make_ct_series(tmp_path, edit=lambda ds, index: index == 4 and ds.__delattr__("PixelData"))

        (finding,) = refusal_of(only_volume(tmp_path))

        assert finding.code is FindingCode.UNDECODABLE_PIXELS

    @pytest.mark.parametrize("columns", [5, 6])
    def test_file_replaced_after_its_header_was_read_is_refused(self, tmp_path, columns):
        paths = make_ct_series(tmp_path / "in")
        volume = only_volume(tmp_path / "in")
        make_ct_series(tmp_path / "other", columns=columns, uid_seed="other")[4].replace(paths[4])

        (finding,) = refusal_of(volume)

        assert finding.files == (paths[4].name,)

    def test_file_that_is_gone_is_refused(self, tmp_path):
        paths = make_ct_series(tmp_path)
        volume = only_volume(tmp_path)
        paths[4].unlink()

        (finding,) = refusal_of(volume)

        assert finding.files == (paths[4].name,)

    def test_irregular_series_is_refused_with_its_findings(self, tmp_path):
        make_ct_series(tmp_path)[5].unlink()
        volume = only_volume(tmp_path)

        assert refusal_of(volume) == volume.findings
        assert volume.findings

    def test_codestream_that_was_cut_is_refused_by_name(self, tmp_path):
        hu = np.random.default_rng(0).integers(-1000, 3000, (4, 40, 36)).astype(np.int16)
        paths = make_ct_series(tmp_path, hu=hu)
        for index, path in enumerate(paths):
            dataset = dcmread(path)
            dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
            if index == 2:
                dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2 * 2 - 400] + b"\0" * 392
            dataset.save_as(path)

        (finding,) = refusal_of(only_volume(tmp_path))

        assert finding.files == (paths[2].name,)

    def test_failure_in_the_pool_ends_the_reading_and_leaves_no_thread(self, tmp_path, monkeypatch):
        paths = make_ct_series(tmp_path, slices=40)
        volume = only_volume(tmp_path)
        paths[0].unlink()
        decoded = []
        real = pixels.decode

        def slow(stored_bytes, instance):
            decoded.append(instance.uid)
            time.sleep(0.01)
            return real(stored_bytes, instance)

        monkeypatch.setattr(pixels, "decode", slow)
        before = threading.active_count()

        (finding,) = refusal_of(volume)

        assert finding.files == (paths[0].name,)
        assert len(decoded) < 39
        assert threading.active_count() == before

    def test_error_of_the_listener_is_not_swallowed(self, tmp_path):
        make_ct_series(tmp_path)

        def fail(_done, _total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            read_volume(only_volume(tmp_path), fail)

    @pytest.mark.parametrize("shape", [(3, 6, 5), (3, 1, 5), (3, 6, 1)])
    def test_picture_of_another_matrix_than_the_volume_is_not_spread_over_it(self, tmp_path, shape):
        write_slices(tmp_path, np.zeros((3, 1, 1), np.int16))

        (finding,) = refusal_of(replace(only_volume(tmp_path), shape=shape))

        assert finding.code is FindingCode.UNDECODABLE_PIXELS

    def test_volume_that_no_memory_holds_is_refused(self, tmp_path, monkeypatch):
        make_ct_series(tmp_path)
        monkeypatch.setattr(pixels, "LARGEST_VOLUME_BYTES", 12 * 6 * 5 * 2 - 1)

        (finding,) = refusal_of(only_volume(tmp_path))

        assert finding.code is FindingCode.TOO_LARGE
        assert len(finding.instances) == 12

    @pytest.mark.filterwarnings("ignore")
    def test_slice_cut_off_anywhere_never_gives_a_shorter_or_other_volume(self, tmp_path):
        """The last slice arrives in part: whatever its length, it is named, or the volume refused."""
        path = make_ct_series(tmp_path, slices=3)[-1]
        whole = path.read_bytes()
        wrong = {}

        for length in range(132, len(whole), 9):
            path.write_bytes(whole[:length])
            folder = read_folder(tmp_path)
            if any(file.broken and file.name == path.name for file in folder.skipped):
                continue
            geometries = [examine(series) for series in folder.series]
            if any(not geometry.usable for geometry in geometries):
                continue
            with contextlib.suppress(InputRefused):
                wrong[length] = [read_volume(v).array.shape for g in geometries for v in g.volumes]

        assert wrong == {}


class TestSource:
    """Each slice names its file, its frame and its digest."""

    def test_arrays_are_read_only(self, tmp_path):
        make_ct_series(tmp_path)

        volume = read(tmp_path)

        assert not volume.array.flags.writeable
        assert not volume.affine_lps.flags.writeable

    def test_digest_follows_the_pixels_alone(self, tmp_path):
        def brighten(dataset, index):
            if index == 2:
                dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]
            dataset.PatientName = "Somebody^Else"

        make_ct_series(tmp_path / "a")
        make_ct_series(tmp_path / "b", edit=brighten)

        first, second = ([source.pixel_sha256 for source in read(tmp_path / name).slices] for name in "ab")

        assert [a == b for a, b in zip(first, second, strict=True)] == [index != 2 for index in range(12)]

    def test_every_slice_is_reported(self, tmp_path):
        make_ct_series(tmp_path, slices=3)
        heard = []

        read_volume(only_volume(tmp_path), lambda done, total: heard.append((done, total)))

        assert heard == [(1, 3), (2, 3), (3, 3)]

    def test_progress_never_goes_back_where_the_array_has_to_be_wider(self, tmp_path):
        planes = np.ones((9, 6, 5), np.uint16)
        planes[6] = 65535
        write_slices(tmp_path, planes)
        heard = []

        read_volume(only_volume(tmp_path), lambda done, total: heard.append((done, total)))

        assert heard == [(done, 9) for done in range(1, len(heard) + 1)]

    @pytest.mark.parametrize("make", [make_multiframe, make_mosaic])
    def test_all_slices_of_one_instance_are_reported(self, tmp_path, make):
        make(tmp_path / "a.dcm", np.ones((7, 4, 3), np.uint16))
        heard = []

        read_volume(only_volume(tmp_path), lambda done, total: heard.append((done, total)))

        assert heard[-1] == (7, 7)
        assert [done for done, _ in heard] == sorted(done for done, _ in heard)

    def test_repeated_reading_gives_the_same(self, tmp_path):
        make_ct_series(tmp_path)
        volume = only_volume(tmp_path)

        first, second = read_volume(volume), read_volume(volume)

        assert np.array_equal(first.array, second.array)
        assert first.slices == second.slices
        assert first.array is not second.array


class TestReadValues:
    """Frames that need not make a volume."""

    def test_irregular_stack_is_read_in_the_order_of_its_positions(self, tmp_path):
        make_ct_series(tmp_path)[5].unlink()

        values = read_values(only_volume(tmp_path))

        assert np.array_equal(values, np.delete(make_hu(), 5, axis=0))

    def test_two_dimensional_image_is_read(self, tmp_path):
        header = make_header(0)
        header.SOPClassUID = ComputedRadiographyImageStorage
        header.RescaleSlope, header.RescaleIntercept = "0.1", "5"
        picture = np.arange(30, dtype=np.uint16).reshape(6, 5)
        write_image(tmp_path / "cr.dcm", header, picture)

        values = read_values(only_volume(tmp_path))

        assert values.dtype == np.float64
        assert values[0] == pytest.approx(picture * 0.1 + 5)

    def test_colour_is_read_as_rgb(self, tmp_path):
        colour = np.random.default_rng(2).integers(0, 256, (6, 5, 3), dtype=np.uint8)

        def describe(dataset):
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
            dataset.Rows, dataset.Columns = 6, 5
            del dataset.NumberOfFrames

        write_image(tmp_path / "rgb.dcm", mr_header(0), colour, edit=describe)

        assert np.array_equal(read_values(only_volume(tmp_path)), colour[np.newaxis])

    def test_image_without_a_matrix_is_refused(self, tmp_path):
        write_image(
            tmp_path / "a.dcm", make_header(0), np.zeros((6, 5), np.uint16), edit=lambda ds: setattr(ds, "Rows", 0)
        )

        with pytest.raises(InputRefused):
            read_values(only_volume(tmp_path))


MEASURE = """
import re, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_folder

def read(folder):
    (series,) = read_folder(Path(folder)).series
    (volume,) = examine(series).volumes
    return read_volume(volume)
def kilobytes(name):
    # Of this process alone: getrusage counts the parent's memory from before exec.
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
small, large = sys.argv[1:]
read(small)  # what libraries take once
before = kilobytes("VmRSS")
volume = read(large)
print((kilobytes("VmHWM") - before) * 1024 / volume.array.nbytes)
"""


@pytest.mark.parametrize(
    ("dtype", "low", "high", "slope"),
    [
        (np.int16, -1000, 3000, "1"),
        (np.uint16, 0, 4000, "0.5"),
        (np.uint16, 0, 65535, "1"),
    ],
    ids=["int16", "float32", "beyond int16"],
)
def test_pixels_are_not_held_twice(tmp_path, dtype, low, high, slope):
    """At most 1.5 times the volume beyond what the interpreter and its libraries take."""
    rng = np.random.default_rng(0)
    planes = rng.integers(low, high, (60, 512, 512), dtype, endpoint=True)
    for name, part in (("small", planes[:4]), ("large", planes)):
        write_slices(tmp_path / name, part, header=lambda i: mr_header(i, RescaleSlope=slope))
    del planes

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "small", tmp_path / "large"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert float(done.stdout) <= 1.5
