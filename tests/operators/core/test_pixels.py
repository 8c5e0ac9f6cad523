"""Pixels: the Modality LUT of each slice (PS3.3 C.11.1), nothing wraps and nothing is guessed."""

import numpy as np
import pytest
from pydicom.dataelem import DataElement

from operators.core.errors import InputRefused, NotApplicable
from operators.core.findings import FindingCode
from operators.core.geometry import SeriesGeometry, examine
from operators.core.manifest import Criteria
from operators.core.pixels import read_volume
from operators.core.reading import read_folder
from operators.load.load_series import load_series
from operators.select.select_series import select_series
from tests.builders import make_ct_series, make_hu


def geometry_of(folder) -> SeriesGeometry:
    (series,) = read_folder(folder).series
    return examine(series)


def refusal_of(geometry):
    with pytest.raises(InputRefused) as refused:
        read_volume(geometry)
    return refused.value.findings


def rescale(slope, intercept):
    def edit(dataset, _index):
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    return edit


def stored(hu=None) -> np.ndarray:
    """What write_ct_series puts into the file: HU from an intercept of -1024."""
    return (make_hu() if hu is None else hu).astype(np.int64) + 1024


def test_ct_is_int16_and_equal_to_what_was_written(tmp_path):
    make_ct_series(tmp_path)

    volume = read_volume(geometry_of(tmp_path))

    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, make_hu())


def test_each_slice_has_its_own_rescale(tmp_path):
    def alternate(dataset, index):
        dataset.RescaleSlope, dataset.RescaleIntercept = index % 3 + 1, -10 * index

    make_ct_series(tmp_path, edit=alternate)

    volume = read_volume(geometry_of(tmp_path))

    for index, plane in enumerate(stored()):
        assert np.array_equal(volume.array[index], plane * (index % 3 + 1) - 10 * index)


def test_fractional_slope_gives_float32_with_the_right_values(tmp_path):
    make_ct_series(tmp_path, edit=rescale("0.125", "-3.5"))

    volume = read_volume(geometry_of(tmp_path))

    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, stored() * 0.125 - 3.5)


def test_one_fractional_slice_makes_the_whole_volume_float32(tmp_path):
    make_ct_series(tmp_path, edit=lambda ds, index: rescale("1.5", "0")(ds, index) if index == 7 else None)

    volume = read_volume(geometry_of(tmp_path))

    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array[6], make_hu()[6])
    assert np.array_equal(volume.array[7], stored()[7] * 1.5)


@pytest.mark.parametrize("intercept", [40000, -40000])
def test_values_beyond_int16_do_not_wrap(tmp_path, intercept):
    make_ct_series(tmp_path, edit=lambda ds, index: rescale("1", intercept)(ds, index) if index == 5 else None)

    volume = read_volume(geometry_of(tmp_path))

    assert np.array_equal(volume.array[5], stored()[5] + intercept)
    assert np.array_equal(np.delete(volume.array, 5, axis=0), np.delete(make_hu(), 5, axis=0))


def test_unsigned_pixels_above_the_signed_range_do_not_wrap(tmp_path):
    def unsigned(dataset, _index):
        dataset.PixelRepresentation = 0
        dataset.PixelData = np.full((6, 5), 65535, "<u2").tobytes()
        dataset.RescaleIntercept = 0

    make_ct_series(tmp_path, edit=unsigned)

    assert (read_volume(geometry_of(tmp_path)).array == 65535).all()


def test_absent_rescale_is_the_identity(tmp_path):
    def strip(dataset, _index):
        del dataset.RescaleSlope
        dataset.RescaleIntercept = None

    make_ct_series(tmp_path, edit=strip)

    assert np.array_equal(read_volume(geometry_of(tmp_path)).array, stored())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("text", ["nan", "abc"])
def test_rescale_that_is_no_number_is_refused(tmp_path, keyword, text):
    def spoil(dataset, index):
        if index == 3:
            element = dataset.data_element(keyword)
            dataset[element.tag] = DataElement(element.tag, "LO", text)

    make_ct_series(tmp_path, edit=spoil)
    geometry = geometry_of(tmp_path)

    findings = geometry.findings or refusal_of(geometry)

    assert {finding.code for finding in findings} <= {FindingCode.INVALID_ATTRIBUTE, FindingCode.UNDECODABLE_PIXELS}


def test_truncated_pixel_data_is_refused_by_name(tmp_path):
    def cut(dataset, index):
        if index == 4:
            dataset.PixelData = dataset.PixelData[:-2]

    paths = make_ct_series(tmp_path, edit=cut)

    (finding,) = refusal_of(geometry_of(tmp_path))

    assert finding.code is FindingCode.UNDECODABLE_PIXELS
    assert finding.files == (paths[4].name,)
    assert paths[4].name in finding.message


def test_absent_pixel_data_is_refused(tmp_path):
    make_ct_series(tmp_path, edit=lambda ds, index: index == 4 and ds.__delattr__("PixelData"))

    (finding,) = refusal_of(geometry_of(tmp_path))

    assert finding.code is FindingCode.UNDECODABLE_PIXELS


def test_file_replaced_after_its_header_was_read_is_refused(tmp_path):
    paths = make_ct_series(tmp_path / "in")
    geometry = geometry_of(tmp_path / "in")
    make_ct_series(tmp_path / "other", uid_seed="other")[4].replace(paths[4])

    (finding,) = refusal_of(geometry)

    assert finding.files == (paths[4].name,)


def test_file_with_another_matrix_is_refused(tmp_path):
    paths = make_ct_series(tmp_path / "in")
    geometry = geometry_of(tmp_path / "in")
    make_ct_series(tmp_path / "wider", columns=6)[4].replace(paths[4])

    (finding,) = refusal_of(geometry)

    assert finding.files == (paths[4].name,)


def test_file_that_is_gone_is_refused(tmp_path):
    paths = make_ct_series(tmp_path)
    geometry = geometry_of(tmp_path)
    paths[4].unlink()

    (finding,) = refusal_of(geometry)

    assert finding.files == (paths[4].name,)


def test_irregular_series_is_refused_with_its_findings(tmp_path):
    make_ct_series(tmp_path)[5].unlink()
    geometry = geometry_of(tmp_path)

    assert refusal_of(geometry) == geometry.findings


def test_arrays_are_read_only(tmp_path):
    make_ct_series(tmp_path)

    volume = read_volume(geometry_of(tmp_path))

    assert not volume.array.flags.writeable
    assert not volume.affine_lps.flags.writeable


def test_digest_follows_the_pixels_alone(tmp_path):
    def brighten(dataset, index):
        if index == 2:
            dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]
        dataset.PatientName = "Somebody^Else"

    make_ct_series(tmp_path / "a")
    make_ct_series(tmp_path / "b", edit=brighten)

    first, second = (
        [source.pixel_sha256 for source in read_volume(geometry_of(tmp_path / name)).slices] for name in "ab"
    )

    assert [a == b for a, b in zip(first, second, strict=True)] == [index != 2 for index in range(12)]


def test_every_slice_is_reported(tmp_path):
    make_ct_series(tmp_path, slices=3)
    heard = []

    read_volume(geometry_of(tmp_path), lambda done, total: heard.append((done, total)))

    assert heard == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.filterwarnings("ignore")
def test_slice_cut_off_anywhere_never_gives_a_shorter_or_other_volume(tmp_path):
    """The last slice arrives in part: whatever its length, no volume comes out, and no error but a refusal."""
    criteria = Criteria(modality="CT", orientation="axial", min_slices=2, min_coverage_mm=1, max_slice_spacing_mm=9)
    path = make_ct_series(tmp_path, slices=3)[-1]
    whole = path.read_bytes()
    wrong = {}

    for length in range(132, len(whole), 9):
        path.write_bytes(whole[:length])
        try:
            volume = read_volume(select_series(load_series(tmp_path).series, criteria).series)
            wrong[length] = volume.array.shape
        except (InputRefused, NotApplicable):
            pass
        except Exception as error:  # noqa: BLE001 - whatever else it is, the user does not hear of the file
            wrong[length] = repr(error)

    assert wrong == {}
