"""Staging: a volume from its stage is the volume from its files, and anything that does not fit is read anew."""

import random

import numpy as np
import pytest
from pydicom import dcmread

from operators.core import pixels, staging
from operators.core.geometry import VolumeGeometry, examine
from operators.core.pixels import read_volume, volume_of
from operators.core.reading import read_folder
from operators.core.staged_volume import take_staged
from operators.core.staging import FRAMES_NAME, INDEX_NAME, StageInUse, StageWriter, read_index
from operators.core.stored_pixels import read_frames
from operators.load import LoadVolumeParameters
from operators.load.load_volume import load_volume
from tests.builders import make_ct_series


def geometry_of(folder) -> VolumeGeometry:
    (series,) = read_folder(folder).series
    (volume,) = examine(series).volumes
    return volume


def stage(folder, target, order=None) -> int:
    """Decode all instances of a folder, in the order of their names or another one."""
    (series,) = read_folder(folder).series
    instances = sorted(series.instances, key=lambda instance: instance.path.name)
    with StageWriter(target) as writer:
        return sum(writer.add(instances[i]) for i in order or range(len(instances)))


def is_mapped(array) -> bool:
    """Whether an array is a part of a file, not a copy."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def assert_equal(volume, expected) -> None:
    assert volume.array.dtype == expected.array.dtype
    assert np.array_equal(volume.array, expected.array)
    assert (volume.padding is None) == (expected.padding is None)
    assert expected.padding is None or np.array_equal(volume.padding, expected.padding)
    assert [s.pixel_sha256 for s in volume.slices] == [s.pixel_sha256 for s in expected.slices]


def rescaled(dataset, _index):
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-3"


def padded(dataset, index):
    dataset.PixelPaddingValue = dcmread_first(dataset) if index % 2 else 7
    dataset["PixelPaddingValue"].VR = "SS"


def dcmread_first(dataset) -> int:
    return int(np.frombuffer(dataset.PixelData, "<i2")[0])


@pytest.mark.parametrize("edit", [None, rescaled, padded], ids=["int16", "fractions", "padding"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_volume_from_the_stage_equals_the_volume_from_its_files(tmp_path, edit, order):
    make_ct_series(tmp_path / "in", edit=edit)
    numbers = list(range(12))
    if order == "descending":
        numbers.reverse()
    if order == "shuffled":
        random.Random(1).shuffle(numbers)
    geometry = geometry_of(tmp_path / "in")

    assert stage(tmp_path / "in", tmp_path / "stage", numbers) == 12
    staged, read = volume_of(geometry, take_staged(tmp_path / "stage", geometry)), read_volume(geometry)

    assert_equal(staged, read)
    assert (read.padding is not None and read.padding.any()) == (edit is padded)
    assert is_mapped(staged.array) == (order != "shuffled")


def test_slices_in_order_are_mapped_not_copied(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")

    array = take_staged(tmp_path / "stage", geometry_of(tmp_path / "in")).array

    assert is_mapped(array)


@pytest.mark.parametrize("edit", [None, rescaled, padded], ids=["int16", "fractions", "padding"])
@pytest.mark.parametrize("missing", [{11}, {0, 5, 6}, set(range(11))], ids=["the last", "some", "all but one"])
def test_slices_that_were_not_staged_are_decoded_and_only_they(tmp_path, monkeypatch, edit, missing):
    make_ct_series(tmp_path / "in", edit=edit)
    stage(tmp_path / "in", tmp_path / "stage", [i for i in range(12) if i not in missing])
    geometry = geometry_of(tmp_path / "in")
    expected, decoded, told = read_volume(geometry), [], []
    monkeypatch.setattr(pixels, "read_frames", lambda i, wanted: decoded.append(i.path) or read_frames(i, wanted))

    volume = load_volume(geometry, LoadVolumeParameters(tmp_path / "stage"), lambda *done: told.append(done))

    assert_equal(volume, expected)
    assert sorted(decoded) == sorted(geometry.frames[index].instance.path for index in missing)
    assert told[-1] == (12, 12)


def test_slice_that_int16_does_not_hold_is_decoded_with_all_others_when_it_was_not_staged(tmp_path):
    make_ct_series(tmp_path / "in", edit=lambda ds, index: rescaled(ds, index) if index == 4 else None)
    stage(tmp_path / "in", tmp_path / "stage", [i for i in range(12) if i != 4])
    geometry = geometry_of(tmp_path / "in")

    assert take_staged(tmp_path / "stage", geometry) is None
    assert_equal(load_volume(geometry, LoadVolumeParameters(tmp_path / "stage")), read_volume(geometry))


def test_value_beyond_int16_in_a_slice_that_was_not_staged_makes_the_whole_volume_wider(tmp_path):
    def bright(dataset, index):
        if index == 4:
            dataset.RescaleIntercept = "32000"

    make_ct_series(tmp_path / "in", edit=bright)
    stage(tmp_path / "in", tmp_path / "stage", [i for i in range(12) if i != 4])
    geometry = geometry_of(tmp_path / "in")

    volume = load_volume(geometry, LoadVolumeParameters(tmp_path / "stage"))

    assert_equal(volume, read_volume(geometry))
    assert volume.array.dtype == np.float32


def test_stage_serves_hard_links_of_the_files_that_were_decoded(tmp_path, monkeypatch):
    paths = make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")
    (tmp_path / "job").mkdir()
    for path in paths:
        (tmp_path / "job" / path.name).hardlink_to(path)
        path.unlink()
    geometry = geometry_of(tmp_path / "job")
    expected = read_volume(geometry).array
    monkeypatch.setattr("operators.core.pixels.read_frames", None)

    assert np.array_equal(take_staged(tmp_path / "stage", geometry).array, expected)


def test_staged_volume_is_taken_without_its_pixels_being_read_again(tmp_path, monkeypatch):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")
    geometry = geometry_of(tmp_path / "in")
    expected = read_volume(geometry).array
    monkeypatch.setattr("operators.core.pixels.read_frames", None)

    volume = load_volume(geometry, LoadVolumeParameters(tmp_path / "stage"))

    assert np.array_equal(volume.array, expected)


class TestMisfit:
    """Whatever does not fit, the volume comes from its files."""

    @staticmethod
    def staged(tmp_path):
        paths = make_ct_series(tmp_path / "in")
        stage(tmp_path / "in", tmp_path / "stage")
        return paths

    def test_file_that_changed_is_not_taken_from_the_stage(self, tmp_path):
        paths = self.staged(tmp_path)
        dataset = dcmread(paths[3])
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(paths[3])
        geometry = geometry_of(tmp_path / "in")

        volume = load_volume(geometry, LoadVolumeParameters(tmp_path / "stage"))

        assert (volume.array[3] == -1024).all()
        assert_equal(volume, read_volume(geometry))

    @pytest.mark.parametrize("name", [FRAMES_NAME, INDEX_NAME])
    def test_what_was_cut_off_a_stage_is_read_from_files(self, tmp_path, name):
        self.staged(tmp_path)
        path = tmp_path / "stage" / name
        path.write_bytes(path.read_bytes()[:-20])
        geometry = geometry_of(tmp_path / "in")

        assert_equal(load_volume(geometry, LoadVolumeParameters(tmp_path / "stage")), read_volume(geometry))

    def test_stage_of_before_the_machine_started_is_not_taken(self, tmp_path, monkeypatch):
        self.staged(tmp_path)
        (tmp_path / "boot_id").write_text("another\n")
        monkeypatch.setattr(staging, "BOOT_ID", tmp_path / "boot_id")

        assert take_staged(tmp_path / "stage", geometry_of(tmp_path / "in")) is None
        assert stage(tmp_path / "in", tmp_path / "stage") == 12
        geometry = geometry_of(tmp_path / "in")
        assert_equal(volume_of(geometry, take_staged(tmp_path / "stage", geometry)), read_volume(geometry))

    def test_folder_without_a_stage_is_no_failure(self, tmp_path):
        make_ct_series(tmp_path / "in")

        volume = load_volume(geometry_of(tmp_path / "in"), LoadVolumeParameters(tmp_path / "nothing"))

        assert volume.array.shape == (12, 6, 5)

    def test_one_slice_of_another_type_is_read_from_files_with_all(self, tmp_path):
        make_ct_series(tmp_path / "in", edit=lambda ds, index: rescaled(ds, index) if index == 4 else None)
        stage(tmp_path / "in", tmp_path / "stage")
        geometry = geometry_of(tmp_path / "in")

        assert take_staged(tmp_path / "stage", geometry) is None
        assert load_volume(geometry, LoadVolumeParameters(tmp_path / "stage")).array.dtype == np.float32


def test_undecodable_instance_is_left_out_and_the_next_is_staged(tmp_path):
    paths = make_ct_series(tmp_path / "in")
    dataset = dcmread(paths[5])
    dataset.PixelData = dataset.PixelData[:-4]
    dataset.save_as(paths[5])

    assert stage(tmp_path / "in", tmp_path / "stage") == 11


def test_stage_goes_on_where_an_earlier_writer_stopped(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage", range(6))
    stage(tmp_path / "in", tmp_path / "stage", range(6, 12))

    geometry = geometry_of(tmp_path / "in")

    assert np.array_equal(take_staged(tmp_path / "stage", geometry).array, read_volume(geometry).array)
    assert sorted(e.offset for e in read_index(tmp_path / "stage").values()) == [index * 60 for index in range(12)]


def test_line_of_a_writer_that_was_killed_costs_its_slice_alone(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage", range(6))
    index = tmp_path / "stage" / INDEX_NAME
    index.write_bytes(index.read_bytes()[:-20])

    stage(tmp_path / "in", tmp_path / "stage", range(6, 12))

    assert len(read_index(tmp_path / "stage")) == 11


def test_slice_that_is_staged_already_is_not_written_twice(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")
    size = (tmp_path / "stage" / FRAMES_NAME).stat().st_size

    assert stage(tmp_path / "in", tmp_path / "stage") == 12
    assert (tmp_path / "stage" / FRAMES_NAME).stat().st_size == size


def test_two_writers_never_share_a_stage(tmp_path):
    with StageWriter(tmp_path / "stage"), pytest.raises(StageInUse):
        StageWriter(tmp_path / "stage")
    StageWriter(tmp_path / "stage").close()
